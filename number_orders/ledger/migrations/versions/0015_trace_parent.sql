ALTER TABLE orders ADD COLUMN trace_parent text;

-- Sessions that have read `orders.*` with prepared statements, as in revision 0004.
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'number-orders' AND pid <> pg_backend_pid()
  AND pg_has_role(current_user, usesysid, 'MEMBER');
