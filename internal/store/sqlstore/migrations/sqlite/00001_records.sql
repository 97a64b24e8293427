-- Times are microseconds since 1970 UTC, durations microseconds, documents JSON, IDs 16 bytes
-- (zero bytes: none). A time that is not set is NULL.

-- The one row that every transaction ends with: the newest revision, and the end of the chain
-- of audit events.
CREATE TABLE feed_head (
    one        INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    rev        INTEGER NOT NULL,
    events     INTEGER NOT NULL,
    event_hash BLOB    NOT NULL CHECK (length(event_hash) = 32)
) STRICT;
INSERT INTO feed_head VALUES (1, 0, 0, zeroblob(32));

-- The oldest schema whose release still runs on this one.
CREATE TABLE schema_floor (
    one     INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    version INTEGER NOT NULL
) STRICT;
INSERT INTO schema_floor VALUES (1, 1);

CREATE TABLE changes (
    rev  INTEGER NOT NULL,
    seq  INTEGER NOT NULL, -- within the revision, from 1
    type TEXT    NOT NULL,
    id   BLOB    NOT NULL CHECK (length(id) = 16),
    name TEXT    NOT NULL,
    PRIMARY KEY (rev, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
    seq   INTEGER NOT NULL PRIMARY KEY,
    hash  BLOB    NOT NULL CHECK (length(hash) = 32),
    event TEXT    NOT NULL
) STRICT;

CREATE TABLE counters (
    type   TEXT    NOT NULL,
    owner  BLOB    NOT NULL CHECK (length(owner) = 16), -- a tenant; for a key's aliases the key
    region TEXT    NOT NULL,
    spec   TEXT    NOT NULL,
    n      INTEGER NOT NULL CHECK (n >= 0),
    PRIMARY KEY (type, owner, region, spec)
) STRICT, WITHOUT ROWID;

CREATE TABLE tenants (
    id         BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    created_at INTEGER NOT NULL,
    name       TEXT    NOT NULL UNIQUE,
    names      TEXT    NOT NULL,
    revision   INTEGER NOT NULL
) STRICT;

CREATE TABLE compartments (
    id         BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    tenant     BLOB    NOT NULL REFERENCES tenants,
    created_at INTEGER NOT NULL,
    parent     BLOB    NOT NULL CHECK (length(parent) = 16),
    name       TEXT    NOT NULL,
    names      TEXT    NOT NULL,
    revision   INTEGER NOT NULL
) STRICT;
CREATE INDEX compartments_tenant ON compartments (tenant, created_at, id);

CREATE TABLE principals (
    id         BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    tenant     BLOB    NOT NULL REFERENCES tenants,
    created_at INTEGER NOT NULL,
    name       TEXT    NOT NULL,
    names      TEXT    NOT NULL,
    revision   INTEGER NOT NULL,
    UNIQUE (tenant, name)
) STRICT;
CREATE INDEX principals_tenant ON principals (tenant, created_at, id);

CREATE TABLE bindings (
    id         BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    tenant     BLOB    NOT NULL REFERENCES tenants,
    principal  BLOB    NOT NULL REFERENCES principals,
    created_at INTEGER NOT NULL,
    role       TEXT    NOT NULL,
    vault      BLOB    NOT NULL CHECK (length(vault) = 16),
    revision   INTEGER NOT NULL
) STRICT;
CREATE INDEX bindings_principal ON bindings (principal, created_at, id);
CREATE INDEX bindings_tenant ON bindings (tenant);

CREATE TABLE credentials (
    id             BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    tenant         BLOB    NOT NULL REFERENCES tenants,
    principal      BLOB    NOT NULL REFERENCES principals,
    kind           TEXT    NOT NULL,
    name           TEXT    NOT NULL,
    created_at     INTEGER NOT NULL,
    public_key     BLOB,
    sealed         BLOB,
    kek_generation INTEGER NOT NULL,
    mac            BLOB,
    disabled       INTEGER NOT NULL,
    revision       INTEGER NOT NULL,
    UNIQUE (kind, name)
) STRICT;
CREATE INDEX credentials_tenant ON credentials (tenant, created_at, id);
CREATE INDEX credentials_principal ON credentials (principal);

CREATE TABLE vaults (
    id          BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    tenant      BLOB    NOT NULL REFERENCES tenants,
    region      TEXT    NOT NULL,
    kind        TEXT    NOT NULL,
    created_at  INTEGER NOT NULL,
    compartment BLOB    NOT NULL CHECK (length(compartment) = 16),
    name        TEXT    NOT NULL,
    is_default  INTEGER NOT NULL,
    endpoint    TEXT    NOT NULL,
    state       TEXT    NOT NULL,
    delete_at   INTEGER,
    tags        TEXT    NOT NULL,
    revision    INTEGER NOT NULL,
    CHECK (delete_at IS NOT NULL OR state NOT IN ('PENDING_DELETION', 'DELETED')),
    CHECK (tags = '{}' OR state <> 'DELETED')
) STRICT;
CREATE INDEX vaults_created ON vaults (tenant, region, created_at, id);
CREATE INDEX vaults_name ON vaults (tenant, region, name, id);
CREATE UNIQUE INDEX vaults_default ON vaults (tenant, region) WHERE is_default = 1 AND state <> 'DELETED';
CREATE UNIQUE INDEX vaults_endpoint ON vaults (endpoint) WHERE endpoint <> '';
CREATE INDEX vaults_due ON vaults (delete_at, id) WHERE state = 'PENDING_DELETION';
CREATE INDEX vaults_erased ON vaults (delete_at) WHERE state = 'DELETED';

CREATE TABLE keys (
    id                  BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    tenant              BLOB    NOT NULL REFERENCES tenants,
    vault               BLOB    NOT NULL REFERENCES vaults,
    region              TEXT    NOT NULL,
    spec                TEXT    NOT NULL,
    usages              INTEGER NOT NULL,
    origin              TEXT    NOT NULL,
    protection          TEXT    NOT NULL,
    creator             BLOB    NOT NULL CHECK (length(creator) = 16),
    created_at          INTEGER NOT NULL,
    compartment         BLOB    NOT NULL CHECK (length(compartment) = 16),
    name                TEXT    NOT NULL,
    description         TEXT    NOT NULL,
    state               TEXT    NOT NULL,
    state_before        TEXT    NOT NULL,
    delete_at           INTEGER,
    primary_version     BLOB    NOT NULL CHECK (length(primary_version) = 16),
    versions            INTEGER NOT NULL,
    erased              INTEGER NOT NULL,
    last_version_at     INTEGER,
    rotation_interval   INTEGER NOT NULL,
    rotation_start      INTEGER,
    rotation_next       INTEGER,
    rotation_last       INTEGER,
    rotation_status     TEXT    NOT NULL,
    rotation_message    TEXT    NOT NULL,
    deletion_protected  INTEGER NOT NULL,
    deletion_protection TEXT    NOT NULL,
    tags                TEXT    NOT NULL,
    revision            INTEGER NOT NULL,
    CHECK (delete_at IS NOT NULL OR state NOT IN ('PENDING_DELETION', 'DELETED')),
    CHECK (tags = '{}' OR state <> 'DELETED')
) STRICT;
CREATE INDEX keys_created ON keys (tenant, region, created_at, id);
CREATE INDEX keys_name ON keys (tenant, region, name, id);
CREATE INDEX keys_vault_created ON keys (vault, created_at, id);
CREATE INDEX keys_vault_name ON keys (vault, name, id);
CREATE INDEX keys_due ON keys (delete_at, id) WHERE state = 'PENDING_DELETION';
CREATE INDEX keys_erased ON keys (delete_at) WHERE state = 'DELETED';
CREATE INDEX keys_rotation ON keys (rotation_next, id) WHERE state = 'ENABLED' AND rotation_next IS NOT NULL;

CREATE TABLE versions (
    id             BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    tenant         BLOB    NOT NULL CHECK (length(tenant) = 16),
    vault          BLOB    NOT NULL CHECK (length(vault) = 16),
    key            BLOB    NOT NULL REFERENCES keys,
    region         TEXT    NOT NULL,
    ordinal        INTEGER NOT NULL CHECK (ordinal > 0),
    origin         TEXT    NOT NULL,
    auto_rotated   INTEGER NOT NULL,
    created_at     INTEGER NOT NULL,
    state          TEXT    NOT NULL,
    delete_at      INTEGER,
    public_key     BLOB,
    sealed         BLOB,
    kek_generation INTEGER NOT NULL,
    revision       INTEGER NOT NULL,
    UNIQUE (key, ordinal),
    CHECK (delete_at IS NOT NULL OR state NOT IN ('PENDING_DELETION', 'DELETED')),
    CHECK (sealed IS NULL OR state <> 'DELETED')
) STRICT;
CREATE INDEX versions_live ON versions (key, ordinal) WHERE state <> 'DELETED';
CREATE INDEX versions_due ON versions (delete_at, id) WHERE state = 'PENDING_DELETION';
CREATE INDEX versions_erased ON versions (delete_at) WHERE state = 'DELETED';

CREATE TABLE aliases (
    tenant     BLOB    NOT NULL REFERENCES tenants,
    region     TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    key        BLOB    NOT NULL REFERENCES keys,
    revision   INTEGER NOT NULL,
    PRIMARY KEY (tenant, region, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX aliases_created ON aliases (tenant, region, created_at, name);
CREATE INDEX aliases_key ON aliases (key, created_at, name);

CREATE TABLE grants (
    id         BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    tenant     BLOB    NOT NULL REFERENCES tenants,
    key        BLOB    NOT NULL REFERENCES keys,
    grantee    BLOB    NOT NULL CHECK (length(grantee) = 16),
    created_at INTEGER NOT NULL,
    actions    TEXT    NOT NULL,
    revision   INTEGER NOT NULL
) STRICT;
CREATE INDEX grants_key ON grants (key, created_at, id);
CREATE INDEX grants_tenant ON grants (tenant);

CREATE TABLE keks (
    owner      BLOB    NOT NULL CHECK (length(owner) = 16),
    generation INTEGER NOT NULL CHECK (generation > 0),
    root       TEXT    NOT NULL,
    sealed     BLOB    NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (owner, generation)
) STRICT, WITHOUT ROWID;

CREATE TABLE settings (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE external_ids (
    dialect TEXT NOT NULL,
    type    TEXT NOT NULL,
    tenant  BLOB NOT NULL CHECK (length(tenant) = 16),
    region  TEXT NOT NULL,
    name    TEXT NOT NULL,
    id      BLOB NOT NULL CHECK (length(id) = 16),
    PRIMARY KEY (dialect, type, tenant, region, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX external_ids_id ON external_ids (id);

CREATE TABLE tokens (
    principal   BLOB    NOT NULL CHECK (length(principal) = 16),
    operation   TEXT    NOT NULL,
    token       TEXT    NOT NULL,
    fingerprint BLOB    NOT NULL CHECK (length(fingerprint) = 32),
    type        TEXT    NOT NULL,
    result      BLOB,
    id          BLOB    NOT NULL CHECK (length(id) = 16),
    expires_at  INTEGER NOT NULL,
    PRIMARY KEY (principal, operation, token)
) STRICT, WITHOUT ROWID;
CREATE INDEX tokens_expiry ON tokens (expires_at);

CREATE TABLE nonces (
    hash       BLOB    NOT NULL PRIMARY KEY CHECK (length(hash) = 16),
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX nonces_expiry ON nonces (expires_at);
