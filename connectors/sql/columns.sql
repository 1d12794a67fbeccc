-- What PostgreSQL knows of the types of a result's columns: the name, and whether it is an enum.
-- Parameter: the oids of the types, one for each column.
SELECT format_type(t.oid, NULL), t.typtype = 'e'
FROM unnest(%s::oid[]) WITH ORDINALITY AS c (type, number)
JOIN pg_catalog.pg_type t ON t.oid = c.type
ORDER BY c.number
