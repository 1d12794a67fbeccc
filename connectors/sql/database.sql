-- Which database this session reads, and whether its user may read the identifier of the cluster.
SELECT
    (SELECT oid::bigint FROM pg_catalog.pg_database WHERE datname = current_database()),
    current_database()::text,
    current_schemas(false)::text[],
    coalesce(has_function_privilege(to_regprocedure('pg_catalog.pg_control_system()'), 'EXECUTE'), false)
