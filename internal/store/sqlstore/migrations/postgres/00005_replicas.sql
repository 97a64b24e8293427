-- A vault's replica: zero bytes while it has none.
ALTER TABLE vaults ADD COLUMN replica BYTEA NOT NULL DEFAULT '\x00000000000000000000000000000000'
    CHECK (length(replica) = 16);

-- Second places of vaults in other regions. What is DELETED keeps its endpoint from being given away.
CREATE TABLE replicas (
    id         BYTEA            NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    tenant     BYTEA            NOT NULL REFERENCES tenants,
    vault      BYTEA            NOT NULL REFERENCES vaults,
    region     TEXT COLLATE "C" NOT NULL,
    endpoint   TEXT COLLATE "C" NOT NULL,
    created_at BIGINT           NOT NULL,
    state      TEXT COLLATE "C" NOT NULL,
    delete_at  BIGINT,
    revision   BIGINT           NOT NULL,
    CHECK (delete_at IS NOT NULL OR state <> 'DELETED')
);
CREATE INDEX replicas_tenant ON replicas (tenant, created_at, id);
CREATE INDEX replicas_region ON replicas (region, tenant);
CREATE INDEX replicas_vault ON replicas (vault);
CREATE UNIQUE INDEX replicas_endpoint ON replicas (endpoint) WHERE endpoint <> '';
CREATE INDEX replicas_erased ON replicas (delete_at) WHERE state = 'DELETED';
