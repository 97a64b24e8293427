-- Vaults, keys and versions remember which one they were restored from, and when: 16 zero bytes
-- and NULL for those that never were. Adding the columns leaves older releases working.
ALTER TABLE vaults ADD COLUMN restored_from BLOB NOT NULL DEFAULT x'00000000000000000000000000000000'
    CHECK (length(restored_from) = 16);
ALTER TABLE vaults ADD COLUMN restored_at INTEGER;
ALTER TABLE keys ADD COLUMN restored_from BLOB NOT NULL DEFAULT x'00000000000000000000000000000000'
    CHECK (length(restored_from) = 16);
ALTER TABLE keys ADD COLUMN restored_at INTEGER;
ALTER TABLE versions ADD COLUMN restored_from BLOB NOT NULL DEFAULT x'00000000000000000000000000000000'
    CHECK (length(restored_from) = 16);
ALTER TABLE versions ADD COLUMN restored_at INTEGER;

-- What is being restored has a time until which it may take without progress.
CREATE INDEX vaults_restoring ON vaults (delete_at, id) WHERE state = 'RESTORING';
CREATE INDEX keys_restoring ON keys (delete_at, id) WHERE state = 'RESTORING';
