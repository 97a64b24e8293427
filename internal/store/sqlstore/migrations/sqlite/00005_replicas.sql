-- A vault's replica: zero bytes while it has none.
ALTER TABLE vaults ADD COLUMN replica BLOB NOT NULL DEFAULT x'00000000000000000000000000000000'
    CHECK (length(replica) = 16);

-- Second places of vaults in other regions. What is DELETED keeps its endpoint from being given away.
CREATE TABLE replicas (
    id         BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    tenant     BLOB    NOT NULL REFERENCES tenants,
    vault      BLOB    NOT NULL REFERENCES vaults,
    region     TEXT    NOT NULL,
    endpoint   TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    state      TEXT    NOT NULL,
    delete_at  INTEGER,
    revision   INTEGER NOT NULL,
    CHECK (delete_at IS NOT NULL OR state <> 'DELETED')
) STRICT;
CREATE INDEX replicas_tenant ON replicas (tenant, created_at, id);
CREATE INDEX replicas_region ON replicas (region, tenant);
CREATE INDEX replicas_vault ON replicas (vault);
CREATE UNIQUE INDEX replicas_endpoint ON replicas (endpoint) WHERE endpoint <> '';
CREATE INDEX replicas_erased ON replicas (delete_at) WHERE state = 'DELETED';
