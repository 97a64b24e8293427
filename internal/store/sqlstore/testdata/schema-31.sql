CREATE TABLE aliases (
    tenant     BLOB    NOT NULL REFERENCES tenants,
    region     TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    key        BLOB    NOT NULL REFERENCES keys,
    revision   INTEGER NOT NULL,
    PRIMARY KEY (tenant, region, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE bindings (
    id         BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    tenant     BLOB    NOT NULL REFERENCES tenants,
    principal  BLOB    NOT NULL REFERENCES principals,
    created_at INTEGER NOT NULL,
    role       TEXT    NOT NULL,
    vault      BLOB    NOT NULL CHECK (length(vault) = 16),
    revision   INTEGER NOT NULL
) STRICT;
CREATE TABLE changes (
    rev  INTEGER NOT NULL,
    seq  INTEGER NOT NULL, -- within the revision, from 1
    type TEXT    NOT NULL,
    id   BLOB    NOT NULL CHECK (length(id) = 16),
    name TEXT    NOT NULL,
    PRIMARY KEY (rev, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE compartments (
    id         BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    tenant     BLOB    NOT NULL REFERENCES tenants,
    created_at INTEGER NOT NULL,
    parent     BLOB    NOT NULL CHECK (length(parent) = 16),
    name       TEXT    NOT NULL,
    names      TEXT    NOT NULL,
    revision   INTEGER NOT NULL
) STRICT;
CREATE TABLE counters (
    type   TEXT    NOT NULL,
    owner  BLOB    NOT NULL CHECK (length(owner) = 16), -- a tenant; for a key's aliases the key
    region TEXT    NOT NULL,
    spec   TEXT    NOT NULL,
    n      INTEGER NOT NULL CHECK (n >= 0),
    PRIMARY KEY (type, owner, region, spec)
) STRICT, WITHOUT ROWID;
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
CREATE TABLE events (
    seq   INTEGER NOT NULL PRIMARY KEY,
    hash  BLOB    NOT NULL CHECK (length(hash) = 32),
    event TEXT    NOT NULL
) STRICT;
CREATE TABLE external_ids (
    dialect TEXT NOT NULL,
    type    TEXT NOT NULL,
    tenant  BLOB NOT NULL CHECK (length(tenant) = 16),
    region  TEXT NOT NULL,
    name    TEXT NOT NULL,
    id      BLOB NOT NULL CHECK (length(id) = 16),
    PRIMARY KEY (dialect, type, tenant, region, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE feed_head (
    one        INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    rev        INTEGER NOT NULL,
    events     INTEGER NOT NULL,
    event_hash BLOB    NOT NULL CHECK (length(event_hash) = 32)
) STRICT;
CREATE TABLE goose_db_version (
		id INTEGER PRIMARY KEY AUTOINCREMENT,
		version_id INTEGER NOT NULL,
		is_applied INTEGER NOT NULL,
		tstamp TIMESTAMP DEFAULT (datetime('now'))
	);
CREATE TABLE grants (
    id         BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    tenant     BLOB    NOT NULL REFERENCES tenants,
    key        BLOB    NOT NULL REFERENCES keys,
    grantee    BLOB    NOT NULL CHECK (length(grantee) = 16),
    created_at INTEGER NOT NULL,
    actions    TEXT    NOT NULL,
    revision   INTEGER NOT NULL
) STRICT;
CREATE TABLE keks (
    owner      BLOB    NOT NULL CHECK (length(owner) = 16),
    generation INTEGER NOT NULL CHECK (generation > 0),
    root       TEXT    NOT NULL,
    sealed     BLOB    NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (owner, generation)
) STRICT, WITHOUT ROWID;
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
    revision            INTEGER NOT NULL, hidden INTEGER NOT NULL DEFAULT 0, material_expires_at INTEGER, restored_from BLOB NOT NULL DEFAULT x'00000000000000000000000000000000'
    CHECK (length(restored_from) = 16), restored_at INTEGER,
    CHECK (delete_at IS NOT NULL OR state NOT IN ('PENDING_DELETION', 'DELETED')),
    CHECK (tags = '{}' OR state <> 'DELETED')
) STRICT;
CREATE TABLE nodes (
    id         BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    name       TEXT    NOT NULL,
    started_at INTEGER NOT NULL,
    renewed_at INTEGER NOT NULL,
    renewals   INTEGER NOT NULL,
    watermark  INTEGER NOT NULL,
    lease      INTEGER NOT NULL
, heard INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE TABLE nonces (
    hash       BLOB    NOT NULL PRIMARY KEY CHECK (length(hash) = 16),
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE principals (
    id         BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    tenant     BLOB    NOT NULL REFERENCES tenants,
    created_at INTEGER NOT NULL,
    name       TEXT    NOT NULL,
    names      TEXT    NOT NULL,
    revision   INTEGER NOT NULL, session_epoch INTEGER NOT NULL DEFAULT 0, assumable_by TEXT NOT NULL DEFAULT '[]',
    UNIQUE (tenant, name)
) STRICT;
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
CREATE TABLE schema_floor (
    one     INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    version INTEGER NOT NULL
) STRICT;
CREATE TABLE settings (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE tenants (
    id         BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    created_at INTEGER NOT NULL,
    name       TEXT    NOT NULL UNIQUE,
    names      TEXT    NOT NULL,
    revision   INTEGER NOT NULL
, kek_generation INTEGER NOT NULL DEFAULT 1) STRICT;
CREATE TABLE throttles (
    tenant  BLOB    NOT NULL CHECK (length(tenant) = 16),
    class   TEXT    NOT NULL,
    tokens  REAL    NOT NULL,
    granted REAL    NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (tenant, class)
) STRICT;
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
CREATE TABLE vault_counters (
    vault      BLOB    NOT NULL CHECK (length(vault) = 16),
    type       TEXT    NOT NULL,
    protection TEXT    NOT NULL,
    spec       TEXT    NOT NULL,
    n          INTEGER NOT NULL CHECK (n >= 0),
    PRIMARY KEY (vault, type, protection, spec)
) STRICT, WITHOUT ROWID;
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
    revision    INTEGER NOT NULL, restored_from BLOB NOT NULL DEFAULT x'00000000000000000000000000000000'
    CHECK (length(restored_from) = 16), restored_at INTEGER, replica BLOB NOT NULL DEFAULT x'00000000000000000000000000000000'
    CHECK (length(replica) = 16), fleet TEXT NOT NULL DEFAULT '', kek_generation INTEGER NOT NULL DEFAULT 1,
    CHECK (delete_at IS NOT NULL OR state NOT IN ('PENDING_DELETION', 'DELETED')),
    CHECK (tags = '{}' OR state <> 'DELETED')
) STRICT;
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
    revision       INTEGER NOT NULL, fingerprint BLOB
    CHECK ((fingerprint IS NULL OR state <> 'DELETED') AND (sealed IS NULL OR state <> 'PENDING_IMPORT')), restored_from BLOB NOT NULL DEFAULT x'00000000000000000000000000000000'
    CHECK (length(restored_from) = 16), restored_at INTEGER,
    UNIQUE (key, ordinal),
    CHECK (delete_at IS NOT NULL OR state NOT IN ('PENDING_DELETION', 'DELETED')),
    CHECK (sealed IS NULL OR state <> 'DELETED')
) STRICT;
CREATE TABLE work_requests (
    id          BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    tenant      BLOB    NOT NULL REFERENCES tenants,
    region      TEXT    NOT NULL,
    compartment BLOB    NOT NULL CHECK (length(compartment) = 16),
    vault       BLOB    NOT NULL CHECK (length(vault) = 16),
    action      TEXT    NOT NULL,
    creator     BLOB    NOT NULL CHECK (length(creator) = 16),
    created_at  INTEGER NOT NULL,
    status      TEXT    NOT NULL,
    percent     INTEGER NOT NULL CHECK (percent BETWEEN 0 AND 100),
    owner       TEXT    NOT NULL, -- the node that does the work
    started_at  INTEGER,
    finished_at INTEGER,
    resources   TEXT    NOT NULL,
    errors      TEXT    NOT NULL,
    logs        TEXT    NOT NULL,
    revision    INTEGER NOT NULL,
    CHECK ((finished_at IS NULL) = (status IN ('ACCEPTED', 'IN_PROGRESS')))
) STRICT;
CREATE INDEX aliases_created ON aliases (tenant, region, created_at, name);
CREATE INDEX aliases_key ON aliases (key, created_at, name);
CREATE INDEX bindings_principal ON bindings (principal, created_at, id);
CREATE INDEX bindings_tenant ON bindings (tenant);
CREATE INDEX compartments_tenant ON compartments (tenant, created_at, id);
CREATE INDEX credentials_principal ON credentials (principal);
CREATE INDEX credentials_tenant ON credentials (tenant, created_at, id);
CREATE INDEX external_ids_id ON external_ids (id);
CREATE INDEX grants_key ON grants (key, created_at, id);
CREATE INDEX grants_tenant ON grants (tenant);
CREATE INDEX keys_created ON keys (tenant, region, created_at, id);
CREATE INDEX keys_due ON keys (delete_at, id) WHERE state = 'PENDING_DELETION';
CREATE INDEX keys_erased ON keys (delete_at) WHERE state = 'DELETED';
CREATE INDEX keys_material ON keys (material_expires_at, id)
    WHERE (state = 'ENABLED' OR state = 'DISABLED' OR state = 'PENDING_DELETION') AND state_before <> 'PENDING_IMPORT'
    AND material_expires_at IS NOT NULL;
CREATE INDEX keys_name ON keys (tenant, region, name, id);
CREATE INDEX keys_restoring ON keys (delete_at, id) WHERE state = 'RESTORING';
CREATE INDEX keys_rotation ON keys (rotation_next, id) WHERE state = 'ENABLED' AND rotation_next IS NOT NULL;
CREATE INDEX keys_vault_created ON keys (vault, created_at, id);
CREATE INDEX keys_vault_name ON keys (vault, name, id);
CREATE INDEX nonces_expiry ON nonces (expires_at);
CREATE INDEX principals_tenant ON principals (tenant, created_at, id);
CREATE UNIQUE INDEX replicas_endpoint ON replicas (endpoint) WHERE endpoint <> '';
CREATE INDEX replicas_erased ON replicas (delete_at) WHERE state = 'DELETED';
CREATE INDEX replicas_region ON replicas (region, tenant);
CREATE INDEX replicas_tenant ON replicas (tenant, created_at, id);
CREATE INDEX replicas_vault ON replicas (vault);
CREATE INDEX tokens_expiry ON tokens (expires_at);
CREATE INDEX vaults_created ON vaults (tenant, region, created_at, id);
CREATE UNIQUE INDEX vaults_default ON vaults (tenant, region) WHERE is_default = 1 AND state <> 'DELETED';
CREATE INDEX vaults_due ON vaults (delete_at, id) WHERE state = 'PENDING_DELETION';
CREATE UNIQUE INDEX vaults_endpoint ON vaults (endpoint) WHERE endpoint <> '';
CREATE INDEX vaults_erased ON vaults (delete_at) WHERE state = 'DELETED';
CREATE INDEX vaults_name ON vaults (tenant, region, name, id);
CREATE INDEX vaults_restoring ON vaults (delete_at, id) WHERE state = 'RESTORING';
CREATE INDEX versions_due ON versions (delete_at, id) WHERE state = 'PENDING_DELETION';
CREATE INDEX versions_erased ON versions (delete_at) WHERE state = 'DELETED';
CREATE INDEX versions_live ON versions (key, ordinal) WHERE state <> 'DELETED';
CREATE INDEX work_requests_created ON work_requests (tenant, region, created_at, id);
CREATE INDEX work_requests_finished ON work_requests (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX work_requests_unfinished ON work_requests (created_at, id) WHERE finished_at IS NULL;
INSERT INTO aliases VALUES (X'9E3779B97F4A7C150000000000000001', 'home', 'alias/a-47', 1770091506837012, X'98C475F0F066A9CE0000000000000016', 1);
INSERT INTO bindings VALUES (X'7C3C1188E50E6B1E0000000000000026', X'9E3779B97F4A7C150000000000000001', X'CC623AF8783354E7000000000000000B', 1770091506828012, 'operator', X'454021DE755D453B000000000000000F', 1);
INSERT INTO changes VALUES (1, 1, 'tenant', X'9E3779B97F4A7C150000000000000001', '');
INSERT INTO changes VALUES (1, 10, 'key', X'11A25CD6ED909A22000000000000001A', '');
INSERT INTO changes VALUES (1, 11, 'keyversion', X'C6EF372FE94F82A00000000000000020', '');
INSERT INTO changes VALUES (1, 12, 'keyversion', X'035E2AA2E7E47ACA0000000000000022', '');
INSERT INTO changes VALUES (1, 13, 'alias', X'00000000000000000000000000000000', '9e3779b9-7f4a-7c15-0000-000000000001 home alias/a-47');
INSERT INTO changes VALUES (1, 14, 'grant', X'489E4C815D41C0050000000000000031', '');
INSERT INTO changes VALUES (1, 2, 'tenant', X'B54CDA58FBBEE87E0000000000000006', '');
INSERT INTO changes VALUES (1, 3, 'compartment', X'B8AB04FBE3A363480000000000000028', '');
INSERT INTO changes VALUES (1, 4, 'principal', X'CC623AF8783354E7000000000000000B', '');
INSERT INTO changes VALUES (1, 5, 'binding', X'7C3C1188E50E6B1E0000000000000026', '');
INSERT INTO changes VALUES (1, 6, 'credential', X'3188EBE1E0CD539C000000000000002C', 'LTAI-45');
INSERT INTO changes VALUES (1, 7, 'vault', X'454021DE755D453B000000000000000F', '');
INSERT INTO changes VALUES (1, 8, 'vault', X'1FE68F0AF33CB97A0000000000000012', '');
INSERT INTO changes VALUES (1, 9, 'key', X'98C475F0F066A9CE0000000000000016', '');
INSERT INTO changes VALUES (2, 1, 'key', X'98C475F0F066A9CE0000000000000016', '');
INSERT INTO changes VALUES (3, 1, 'key', X'98C475F0F066A9CE0000000000000016', '');
INSERT INTO changes VALUES (4, 1, 'key', X'98C475F0F066A9CE0000000000000016', '');
INSERT INTO changes VALUES (5, 1, 'key', X'D8919406D6E01CC2000000000000003A', '');
INSERT INTO changes VALUES (5, 2, 'keyversion', X'516F7AECD40A0D16000000000000003E', '');
INSERT INTO changes VALUES (5, 3, 'key', X'2C15E81951E981550000000000000041', '');
INSERT INTO changes VALUES (5, 4, 'keyversion', X'A4F3CEFF4F1371A90000000000000045', '');
INSERT INTO changes VALUES (5, 5, 'key', X'E162C2724DA869D30000000000000047', '');
INSERT INTO changes VALUES (5, 6, 'keyversion', X'5A40A9584AD25A27000000000000004B', '');
INSERT INTO changes VALUES (6, 1, 'key', X'E162C2724DA869D30000000000000047', '');
INSERT INTO changes VALUES (7, 1, 'workrequest', X'96AF9CCB49675251000000000000004D', '');
INSERT INTO changes VALUES (8, 1, 'replica', X'C4DA5E0A42502B230000000000000057', '');
INSERT INTO compartments VALUES (X'B8AB04FBE3A363480000000000000028', X'9E3779B97F4A7C150000000000000001', 1770091506831012, X'9E3779B97F4A7C150000000000000001', 'compartment-41', '{"oci":"ocid1.compartment-43"}', 1);
INSERT INTO counters VALUES ('alias', X'98C475F0F066A9CE0000000000000016', '', '', 1);
INSERT INTO counters VALUES ('alias', X'9E3779B97F4A7C150000000000000001', 'home', '', 1);
INSERT INTO counters VALUES ('key', X'9E3779B97F4A7C150000000000000001', 'home', 'AES_256', 2);
INSERT INTO counters VALUES ('key', X'9E3779B97F4A7C150000000000000001', 'home', 'RSA_2048', 1);
INSERT INTO counters VALUES ('keyversion', X'9E3779B97F4A7C150000000000000001', 'home', 'AES_256', 2);
INSERT INTO counters VALUES ('keyversion', X'9E3779B97F4A7C150000000000000001', 'home', 'RSA_2048', 1);
INSERT INTO counters VALUES ('vault', X'9E3779B97F4A7C150000000000000001', 'home', '', 2);
INSERT INTO credentials VALUES (X'3188EBE1E0CD539C000000000000002C', X'9E3779B97F4A7C150000000000000001', X'CC623AF8783354E7000000000000000B', 'access-key', 'LTAI-45', 1770091506835012, NULL, X'7365616C656420736563726574', 2, X'6D6163', 0, 1);
INSERT INTO events VALUES (1, X'78F34628D59C647DFFD040CAE3CEFD75659E0502A1D04BF2D5034E4D114C08C5', '{"time":"2026-02-03T04:05:06.843012Z","operation":"Operation0","key":"98c475f0-f066-a9ce-0000-000000000016","outcome":"ok"}');
INSERT INTO events VALUES (2, X'E6509F5727239C72B89DE65EA47FD646EABE339E268E05FFD98D52120D96758B', '{"time":"2026-02-03T04:05:06.844012Z","operation":"Operation1","key":"98c475f0-f066-a9ce-0000-000000000016","outcome":"ok"}');
INSERT INTO events VALUES (3, X'C0B68C966D893C4A2FB30D4296AFD5DEA7BFB93B92679A4C39912A9428CE701D', '{"time":"2026-02-03T04:05:06.845012Z","operation":"Operation2","key":"98c475f0-f066-a9ce-0000-000000000016","outcome":"ok"}');
INSERT INTO external_ids VALUES ('alibaba', 'key', X'9E3779B97F4A7C150000000000000001', 'home', 'key-1', X'98C475F0F066A9CE0000000000000016');
INSERT INTO feed_head VALUES (1, 8, 3, X'C0B68C966D893C4A2FB30D4296AFD5DEA7BFB93B92679A4C39912A9428CE701D');
INSERT INTO goose_db_version VALUES (1, 0, 1, '2026-01-01 00:00:00');
INSERT INTO goose_db_version VALUES (10, 24, 1, '2026-01-01 00:00:00');
INSERT INTO goose_db_version VALUES (11, 26, 1, '2026-01-01 00:00:00');
INSERT INTO goose_db_version VALUES (12, 30, 1, '2026-01-01 00:00:00');
INSERT INTO goose_db_version VALUES (13, 31, 1, '2026-01-01 00:00:00');
INSERT INTO goose_db_version VALUES (2, 1, 1, '2026-01-01 00:00:00');
INSERT INTO goose_db_version VALUES (3, 2, 1, '2026-01-01 00:00:00');
INSERT INTO goose_db_version VALUES (4, 3, 1, '2026-01-01 00:00:00');
INSERT INTO goose_db_version VALUES (5, 4, 1, '2026-01-01 00:00:00');
INSERT INTO goose_db_version VALUES (6, 5, 1, '2026-01-01 00:00:00');
INSERT INTO goose_db_version VALUES (7, 7, 1, '2026-01-01 00:00:00');
INSERT INTO goose_db_version VALUES (8, 10, 1, '2026-01-01 00:00:00');
INSERT INTO goose_db_version VALUES (9, 11, 1, '2026-01-01 00:00:00');
INSERT INTO grants VALUES (X'489E4C815D41C0050000000000000031', X'9E3779B97F4A7C150000000000000001', X'98C475F0F066A9CE0000000000000016', X'B54CDA58FBBEE87E0000000000000006', 1770091506839012, '["Encrypt","Decrypt"]', 1);
INSERT INTO keks VALUES (X'454021DE755D453B000000000000000F', 1, 'root-1', X'7365616C6564206B656B', 1770091506840012);
INSERT INTO keys VALUES (X'11A25CD6ED909A22000000000000001A', X'9E3779B97F4A7C150000000000000001', X'1FE68F0AF33CB97A0000000000000012', 'home', 'RSA_2048', 3, 'GENERATED', 'SOFTWARE', X'4E115049EC25924C000000000000001C', 1770091506818012, X'9E3779B97F4A7C150000000000000001', 'key-27', '', 'DELETED', '', 1770091506826012, X'00000000000000000000000000000000', 0, 0, NULL, 0, NULL, NULL, NULL, '', '', 0, '', '{}', 1, 0, NULL, X'00000000000000000000000000000000', NULL);
INSERT INTO keys VALUES (X'2C15E81951E981550000000000000041', X'9E3779B97F4A7C150000000000000001', X'454021DE755D453B000000000000000F', 'home', 'AES_256', 3, 'IMPORTED', 'SOFTWARE', X'6884DB8C507E797F0000000000000043', 1770091506857012, X'9E3779B97F4A7C150000000000000001', 'key-66', '', 'PENDING_IMPORT', '', NULL, X'A4F3CEFF4F1371A90000000000000045', 1, 0, 1770091506859012, 0, NULL, NULL, NULL, '', '', 0, '', '{}', 5, 0, 1770091506853012, X'00000000000000000000000000000000', NULL);
INSERT INTO keys VALUES (X'98C475F0F066A9CE0000000000000016', X'9E3779B97F4A7C150000000000000001', X'454021DE755D453B000000000000000F', 'home', 'RSA_2048', 3, 'GENERATED', 'SOFTWARE', X'D5336963EEFBA1F80000000000000018', 1770091506814012, X'9E3779B97F4A7C150000000000000001', 'key-23', '', 'ENABLED', '', NULL, X'035E2AA2E7E47ACA0000000000000022', 2, 1, 1770091506824012, 2592000000000, 1770091506819012, 1770091506820012, NULL, 'SUCCESS', '', 0, '', '{}', 4, 0, NULL, X'00000000000000000000000000000000', NULL);
INSERT INTO keys VALUES (X'D8919406D6E01CC2000000000000003A', X'9E3779B97F4A7C150000000000000001', X'454021DE755D453B000000000000000F', 'home', 'AES_256', 3, 'IMPORTED', 'SOFTWARE', X'15008779D57514EC000000000000003C', 1770091506850012, X'9E3779B97F4A7C150000000000000001', 'key-59', '', 'ENABLED', '', NULL, X'516F7AECD40A0D16000000000000003E', 1, 0, 1770091506852012, 0, NULL, NULL, NULL, '', '', 0, '', '{}', 5, 0, 1770091506846012, X'00000000000000000000000000000000', NULL);
INSERT INTO keys VALUES (X'E162C2724DA869D30000000000000047', X'9E3779B97F4A7C150000000000000001', X'454021DE755D453B000000000000000F', 'home', 'RSA_2048', 3, 'GENERATED', 'SOFTWARE', X'1DD1B5E54C3D61FD0000000000000049', 1770091506863012, X'9E3779B97F4A7C150000000000000001', 'key-72', '', 'ENABLED', '', NULL, X'5A40A9584AD25A27000000000000004B', 1, 0, 1770091506865012, 0, NULL, NULL, NULL, '', '', 0, '', '{}', 6, 1, NULL, X'00000000000000000000000000000000', NULL);
INSERT INTO nonces VALUES (X'01000000000000000000000000000000', 1770091506842012);
INSERT INTO principals VALUES (X'CC623AF8783354E7000000000000000B', X'9E3779B97F4A7C150000000000000001', 1770091506802012, 'principal-12', '{"oci":"ocid1.user-14"}', 1, 0, '[]');
INSERT INTO replicas VALUES (X'C4DA5E0A42502B230000000000000057', X'9E3779B97F4A7C150000000000000001', X'454021DE755D453B000000000000000F', 'away', '8445', 1770091506877012, 'DELETED', 1770091506878012, 8);
INSERT INTO schema_floor VALUES (1, 11);
INSERT INTO settings VALUES ('clock', '0');
INSERT INTO tenants VALUES (X'9E3779B97F4A7C150000000000000001', 1770091506792012, 'tenant-2', '{"alibaba":"1234-5","oci":"ocid1.tenancy-4"}', 1, 1);
INSERT INTO tenants VALUES (X'B54CDA58FBBEE87E0000000000000006', 1770091506797012, 'tenant-7', '{"alibaba":"1234-10","oci":"ocid1.tenancy-9"}', 1, 1);
INSERT INTO tokens VALUES (X'CC623AF8783354E7000000000000000B', 'CreateKey', 't', X'0000000000000000000000000000000000000000000000000000000000000000', 'key', X'72', X'98C475F0F066A9CE0000000000000016', 1770091506841012);
INSERT INTO vault_counters VALUES (X'454021DE755D453B000000000000000F', 'key', 'SOFTWARE', 'AES_256', 2);
INSERT INTO vault_counters VALUES (X'454021DE755D453B000000000000000F', 'key', 'SOFTWARE', 'RSA_2048', 1);
INSERT INTO vault_counters VALUES (X'454021DE755D453B000000000000000F', 'keyversion', 'SOFTWARE', 'AES_256', 2);
INSERT INTO vault_counters VALUES (X'454021DE755D453B000000000000000F', 'keyversion', 'SOFTWARE', 'RSA_2048', 1);
INSERT INTO vaults VALUES (X'1FE68F0AF33CB97A0000000000000012', X'9E3779B97F4A7C150000000000000001', 'home', 'SHARED', 1770091506809012, X'9E3779B97F4A7C150000000000000001', 'vault-19', 0, '8444', 'PENDING_DELETION', 1770091506810012, '{"plain":{"a":"b"},"namespaced":{"n":{"c":"d"}}}', 1, X'00000000000000000000000000000000', NULL, X'00000000000000000000000000000000', '', 1);
INSERT INTO vaults VALUES (X'454021DE755D453B000000000000000F', X'9E3779B97F4A7C150000000000000001', 'home', 'SHARED', 1770091506806012, X'9E3779B97F4A7C150000000000000001', 'vault-16', 1, '8443', 'ACTIVE', NULL, '{}', 1, X'00000000000000000000000000000000', NULL, X'00000000000000000000000000000000', '', 1);
INSERT INTO versions VALUES (X'035E2AA2E7E47ACA0000000000000022', X'9E3779B97F4A7C150000000000000001', X'454021DE755D453B000000000000000F', X'98C475F0F066A9CE0000000000000016', 'home', 2, 'GENERATED', 0, 1770091506824012, 'ENABLED', NULL, X'7075626C6963', X'7365616C6564206D6174657269616C', 1, 1, NULL, X'00000000000000000000000000000000', NULL);
INSERT INTO versions VALUES (X'516F7AECD40A0D16000000000000003E', X'9E3779B97F4A7C150000000000000001', X'454021DE755D453B000000000000000F', X'D8919406D6E01CC2000000000000003A', 'home', 1, 'IMPORTED', 0, 1770091506852012, 'ENABLED', NULL, NULL, X'7365616C6564206D6174657269616C', 1, 5, X'7365616C65642066696E6765727072696E74', X'00000000000000000000000000000000', NULL);
INSERT INTO versions VALUES (X'5A40A9584AD25A27000000000000004B', X'9E3779B97F4A7C150000000000000001', X'454021DE755D453B000000000000000F', X'E162C2724DA869D30000000000000047', 'home', 1, 'GENERATED', 0, 1770091506865012, 'ENABLED', NULL, X'7075626C6963', X'7365616C6564206D6174657269616C', 1, 5, NULL, X'00000000000000000000000000000000', NULL);
INSERT INTO versions VALUES (X'A4F3CEFF4F1371A90000000000000045', X'9E3779B97F4A7C150000000000000001', X'454021DE755D453B000000000000000F', X'2C15E81951E981550000000000000041', 'home', 1, 'IMPORTED', 0, 1770091506859012, 'PENDING_IMPORT', NULL, NULL, NULL, 1, 5, X'7365616C65642066696E6765727072696E74', X'00000000000000000000000000000000', NULL);
INSERT INTO versions VALUES (X'C6EF372FE94F82A00000000000000020', X'9E3779B97F4A7C150000000000000001', X'454021DE755D453B000000000000000F', X'98C475F0F066A9CE0000000000000016', 'home', 1, 'GENERATED', 0, 1770091506822012, 'DELETED', 1770091506825012, NULL, NULL, 1, 1, NULL, X'00000000000000000000000000000000', NULL);
INSERT INTO work_requests VALUES (X'96AF9CCB49675251000000000000004D', X'9E3779B97F4A7C150000000000000001', 'home', X'9E3779B97F4A7C150000000000000001', X'34E71684C8B1CE66000000000000004E', 'ReadVault', X'D31E903E47FC4A7B000000000000004F', 1770091506869012, 'FAILED', 0, 'node', 1770091506870012, 1770091506871012, '[{"type":"key","id":"98c475f0-f066-a9ce-0000-000000000016","vault":"454021de-755d-453b-0000-00000000000f","region":"home","effect":"RELATED"}]', '[{"at":"2026-02-03T04:05:06.872012Z","kind":"unavailable","text":"gone"}]', '[]', 7);
