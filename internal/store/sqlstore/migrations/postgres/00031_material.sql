-- The same keys as before. SQLite makes a table of a list of three for each row that is written, and
-- compares one after the other without one.
DROP INDEX keys_material;
CREATE INDEX keys_material ON keys (material_expires_at, id)
    WHERE (state = 'ENABLED' OR state = 'DISABLED' OR state = 'PENDING_DELETION') AND state_before <> 'PENDING_IMPORT'
    AND material_expires_at IS NOT NULL;
