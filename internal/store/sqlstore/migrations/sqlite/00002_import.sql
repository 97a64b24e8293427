-- Keys of the server's own, which no list and no total shows: the vaults' wrapping keys.
ALTER TABLE keys ADD COLUMN hidden INTEGER NOT NULL DEFAULT 0;

-- When imported material is over. It stays after that and after the material's deletion.
ALTER TABLE keys ADD COLUMN material_expires_at INTEGER;
CREATE INDEX keys_material ON keys (material_expires_at, id)
    WHERE state IN ('ENABLED', 'DISABLED', 'PENDING_DELETION') AND state_before <> 'PENDING_IMPORT'
    AND material_expires_at IS NOT NULL;

-- What imported material is recognized by when it comes again, sealed as the material is.
ALTER TABLE versions ADD COLUMN fingerprint BLOB
    CHECK ((fingerprint IS NULL OR state <> 'DELETED') AND (sealed IS NULL OR state <> 'PENDING_IMPORT'));

-- A release that does not know hidden keys would list them, count them and let them be used.
UPDATE schema_floor SET version = 2;
