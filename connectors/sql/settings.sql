-- What the reading of values relies on, for this transaction only, since a pooler may pass the connection on.
-- DateStyle without an order keeps the one in effect, in which the query's own literals are read.
SET LOCAL DateStyle = 'ISO';
SET LOCAL IntervalStyle = 'postgres';
SET LOCAL extra_float_digits = 3;
SET LOCAL bytea_output = 'hex';
SET LOCAL standard_conforming_strings = on
