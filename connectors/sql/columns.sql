-- What PostgreSQL knows of the columns of a result: the name of the type, whether it is an enum,
-- and whether equal text is the same text. Parameters, one item for each column: oid of the type,
-- table and attribute the column comes from (0 where it is computed).
SELECT format_type(t.oid, NULL),
       t.typtype = 'e',
       coalesce(l.collisdeterministic, true)
FROM unnest(%s::oid[], %s::oid[], %s::integer[]) WITH ORDINALITY AS c (type, relation, attribute, number)
JOIN pg_catalog.pg_type t ON t.oid = c.type
LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.relation AND a.attnum = c.attribute
LEFT JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation
ORDER BY c.number
