-- Times are microseconds since 1970 UTC, durations microseconds, documents JSON, IDs 16 bytes
-- (zero bytes: none). A time that is not set is NULL. Text is compared by its bytes, as in SQLite.

-- The one row that every transaction begins by locking and ends by changing: the newest revision,
-- and the end of the chain of audit events.
CREATE TABLE feed_head (
    one        BIGINT NOT NULL PRIMARY KEY CHECK (one = 1),
    rev        BIGINT NOT NULL,
    events     BIGINT NOT NULL,
    event_hash BYTEA  NOT NULL CHECK (length(event_hash) = 32)
);
INSERT INTO feed_head VALUES (1, 0, 0, decode(repeat('00', 32), 'hex'));

-- The oldest schema whose release still runs on this one.
CREATE TABLE schema_floor (
    one     BIGINT NOT NULL PRIMARY KEY CHECK (one = 1),
    version BIGINT NOT NULL
);
INSERT INTO schema_floor VALUES (1, 1);

CREATE TABLE changes (
    rev  BIGINT           NOT NULL,
    seq  BIGINT           NOT NULL, -- within the revision, from 1
    type TEXT COLLATE "C" NOT NULL,
    id   BYTEA            NOT NULL CHECK (length(id) = 16),
    name TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (rev, seq)
);

CREATE TABLE events (
    seq   BIGINT           NOT NULL PRIMARY KEY,
    hash  BYTEA            NOT NULL CHECK (length(hash) = 32),
    event TEXT COLLATE "C" NOT NULL
);

CREATE TABLE counters (
    type   TEXT COLLATE "C" NOT NULL,
    owner  BYTEA            NOT NULL CHECK (length(owner) = 16), -- a tenant; for a key's aliases the key
    region TEXT COLLATE "C" NOT NULL,
    spec   TEXT COLLATE "C" NOT NULL,
    n      BIGINT           NOT NULL CHECK (n >= 0),
    PRIMARY KEY (type, owner, region, spec)
);

CREATE TABLE tenants (
    id         BYTEA            NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    created_at BIGINT           NOT NULL,
    name       TEXT COLLATE "C" NOT NULL UNIQUE,
    names      TEXT COLLATE "C" NOT NULL,
    revision   BIGINT           NOT NULL
);

CREATE TABLE compartments (
    id         BYTEA            NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    tenant     BYTEA            NOT NULL REFERENCES tenants,
    created_at BIGINT           NOT NULL,
    parent     BYTEA            NOT NULL CHECK (length(parent) = 16),
    name       TEXT COLLATE "C" NOT NULL,
    names      TEXT COLLATE "C" NOT NULL,
    revision   BIGINT           NOT NULL
);
CREATE INDEX compartments_tenant ON compartments (tenant, created_at, id);

CREATE TABLE principals (
    id         BYTEA            NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    tenant     BYTEA            NOT NULL REFERENCES tenants,
    created_at BIGINT           NOT NULL,
    name       TEXT COLLATE "C" NOT NULL,
    names      TEXT COLLATE "C" NOT NULL,
    revision   BIGINT           NOT NULL,
    UNIQUE (tenant, name)
);
CREATE INDEX principals_tenant ON principals (tenant, created_at, id);

CREATE TABLE bindings (
    id         BYTEA            NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    tenant     BYTEA            NOT NULL REFERENCES tenants,
    principal  BYTEA            NOT NULL REFERENCES principals,
    created_at BIGINT           NOT NULL,
    role       TEXT COLLATE "C" NOT NULL,
    vault      BYTEA            NOT NULL CHECK (length(vault) = 16),
    revision   BIGINT           NOT NULL
);
CREATE INDEX bindings_principal ON bindings (principal, created_at, id);
CREATE INDEX bindings_tenant ON bindings (tenant);

CREATE TABLE credentials (
    id             BYTEA            NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    tenant         BYTEA            NOT NULL REFERENCES tenants,
    principal      BYTEA            NOT NULL REFERENCES principals,
    kind           TEXT COLLATE "C" NOT NULL,
    name           TEXT COLLATE "C" NOT NULL,
    created_at     BIGINT           NOT NULL,
    public_key     BYTEA,
    sealed         BYTEA,
    kek_generation BIGINT           NOT NULL,
    mac            BYTEA,
    disabled       BIGINT           NOT NULL,
    revision       BIGINT           NOT NULL,
    UNIQUE (kind, name)
);
CREATE INDEX credentials_tenant ON credentials (tenant, created_at, id);
CREATE INDEX credentials_principal ON credentials (principal);

CREATE TABLE vaults (
    id          BYTEA            NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    tenant      BYTEA            NOT NULL REFERENCES tenants,
    region      TEXT COLLATE "C" NOT NULL,
    kind        TEXT COLLATE "C" NOT NULL,
    created_at  BIGINT           NOT NULL,
    compartment BYTEA            NOT NULL CHECK (length(compartment) = 16),
    name        TEXT COLLATE "C" NOT NULL,
    is_default  BIGINT           NOT NULL,
    endpoint    TEXT COLLATE "C" NOT NULL,
    state       TEXT COLLATE "C" NOT NULL,
    delete_at   BIGINT,
    tags        TEXT COLLATE "C" NOT NULL,
    revision    BIGINT           NOT NULL,
    CHECK (delete_at IS NOT NULL OR state NOT IN ('PENDING_DELETION', 'DELETED')),
    CHECK (tags = '{}' OR state <> 'DELETED')
);
CREATE INDEX vaults_created ON vaults (tenant, region, created_at, id);
CREATE INDEX vaults_name ON vaults (tenant, region, name, id);
CREATE UNIQUE INDEX vaults_default ON vaults (tenant, region) WHERE is_default = 1 AND state <> 'DELETED';
CREATE UNIQUE INDEX vaults_endpoint ON vaults (endpoint) WHERE endpoint <> '';
CREATE INDEX vaults_due ON vaults (delete_at, id) WHERE state = 'PENDING_DELETION';
CREATE INDEX vaults_erased ON vaults (delete_at) WHERE state = 'DELETED';

CREATE TABLE keys (
    id                  BYTEA            NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    tenant              BYTEA            NOT NULL REFERENCES tenants,
    vault               BYTEA            NOT NULL REFERENCES vaults,
    region              TEXT COLLATE "C" NOT NULL,
    spec                TEXT COLLATE "C" NOT NULL,
    usages              BIGINT           NOT NULL,
    origin              TEXT COLLATE "C" NOT NULL,
    protection          TEXT COLLATE "C" NOT NULL,
    creator             BYTEA            NOT NULL CHECK (length(creator) = 16),
    created_at          BIGINT           NOT NULL,
    compartment         BYTEA            NOT NULL CHECK (length(compartment) = 16),
    name                TEXT COLLATE "C" NOT NULL,
    description         TEXT COLLATE "C" NOT NULL,
    state               TEXT COLLATE "C" NOT NULL,
    state_before        TEXT COLLATE "C" NOT NULL,
    delete_at           BIGINT,
    primary_version     BYTEA            NOT NULL CHECK (length(primary_version) = 16),
    versions            BIGINT           NOT NULL,
    erased              BIGINT           NOT NULL,
    last_version_at     BIGINT,
    rotation_interval   BIGINT           NOT NULL,
    rotation_start      BIGINT,
    rotation_next       BIGINT,
    rotation_last       BIGINT,
    rotation_status     TEXT COLLATE "C" NOT NULL,
    rotation_message    TEXT COLLATE "C" NOT NULL,
    deletion_protected  BIGINT           NOT NULL,
    deletion_protection TEXT COLLATE "C" NOT NULL,
    tags                TEXT COLLATE "C" NOT NULL,
    revision            BIGINT           NOT NULL,
    CHECK (delete_at IS NOT NULL OR state NOT IN ('PENDING_DELETION', 'DELETED')),
    CHECK (tags = '{}' OR state <> 'DELETED')
);
CREATE INDEX keys_created ON keys (tenant, region, created_at, id);
CREATE INDEX keys_name ON keys (tenant, region, name, id);
CREATE INDEX keys_vault_created ON keys (vault, created_at, id);
CREATE INDEX keys_vault_name ON keys (vault, name, id);
CREATE INDEX keys_due ON keys (delete_at, id) WHERE state = 'PENDING_DELETION';
CREATE INDEX keys_erased ON keys (delete_at) WHERE state = 'DELETED';
CREATE INDEX keys_rotation ON keys (rotation_next, id) WHERE state = 'ENABLED' AND rotation_next IS NOT NULL;

CREATE TABLE versions (
    id             BYTEA            NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    tenant         BYTEA            NOT NULL CHECK (length(tenant) = 16),
    vault          BYTEA            NOT NULL CHECK (length(vault) = 16),
    key            BYTEA            NOT NULL REFERENCES keys,
    region         TEXT COLLATE "C" NOT NULL,
    ordinal        BIGINT           NOT NULL CHECK (ordinal > 0),
    origin         TEXT COLLATE "C" NOT NULL,
    auto_rotated   BIGINT           NOT NULL,
    created_at     BIGINT           NOT NULL,
    state          TEXT COLLATE "C" NOT NULL,
    delete_at      BIGINT,
    public_key     BYTEA,
    sealed         BYTEA,
    kek_generation BIGINT           NOT NULL,
    revision       BIGINT           NOT NULL,
    UNIQUE (key, ordinal),
    CHECK (delete_at IS NOT NULL OR state NOT IN ('PENDING_DELETION', 'DELETED')),
    CHECK (sealed IS NULL OR state <> 'DELETED')
);
CREATE INDEX versions_live ON versions (key, ordinal) WHERE state <> 'DELETED';
CREATE INDEX versions_due ON versions (delete_at, id) WHERE state = 'PENDING_DELETION';
CREATE INDEX versions_erased ON versions (delete_at) WHERE state = 'DELETED';

CREATE TABLE aliases (
    tenant     BYTEA            NOT NULL REFERENCES tenants,
    region     TEXT COLLATE "C" NOT NULL,
    name       TEXT COLLATE "C" NOT NULL,
    created_at BIGINT           NOT NULL,
    key        BYTEA            NOT NULL REFERENCES keys,
    revision   BIGINT           NOT NULL,
    PRIMARY KEY (tenant, region, name)
);
CREATE INDEX aliases_created ON aliases (tenant, region, created_at, name);
CREATE INDEX aliases_key ON aliases (key, created_at, name);

CREATE TABLE grants (
    id         BYTEA            NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    tenant     BYTEA            NOT NULL REFERENCES tenants,
    key        BYTEA            NOT NULL REFERENCES keys,
    grantee    BYTEA            NOT NULL CHECK (length(grantee) = 16),
    created_at BIGINT           NOT NULL,
    actions    TEXT COLLATE "C" NOT NULL,
    revision   BIGINT           NOT NULL
);
CREATE INDEX grants_key ON grants (key, created_at, id);
CREATE INDEX grants_tenant ON grants (tenant);

CREATE TABLE keks (
    owner      BYTEA            NOT NULL CHECK (length(owner) = 16),
    generation BIGINT           NOT NULL CHECK (generation > 0),
    root       TEXT COLLATE "C" NOT NULL,
    sealed     BYTEA            NOT NULL,
    created_at BIGINT           NOT NULL,
    PRIMARY KEY (owner, generation)
);

CREATE TABLE settings (
    name  TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    value TEXT COLLATE "C" NOT NULL
);

CREATE TABLE external_ids (
    dialect TEXT COLLATE "C" NOT NULL,
    type    TEXT COLLATE "C" NOT NULL,
    tenant  BYTEA            NOT NULL CHECK (length(tenant) = 16),
    region  TEXT COLLATE "C" NOT NULL,
    name    TEXT COLLATE "C" NOT NULL,
    id      BYTEA            NOT NULL CHECK (length(id) = 16),
    PRIMARY KEY (dialect, type, tenant, region, name)
);
CREATE INDEX external_ids_id ON external_ids (id);

CREATE TABLE tokens (
    principal   BYTEA            NOT NULL CHECK (length(principal) = 16),
    operation   TEXT COLLATE "C" NOT NULL,
    token       TEXT COLLATE "C" NOT NULL,
    fingerprint BYTEA            NOT NULL CHECK (length(fingerprint) = 32),
    type        TEXT COLLATE "C" NOT NULL,
    result      BYTEA,
    id          BYTEA            NOT NULL CHECK (length(id) = 16),
    expires_at  BIGINT           NOT NULL,
    PRIMARY KEY (principal, operation, token)
);
CREATE INDEX tokens_expiry ON tokens (expires_at);

CREATE TABLE nonces (
    hash       BYTEA  NOT NULL PRIMARY KEY CHECK (length(hash) = 16),
    expires_at BIGINT NOT NULL
);
CREATE INDEX nonces_expiry ON nonces (expires_at);
