-- What is known of operations that may go on after their answer. No row refers to what it names:
-- it outlives that.
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
CREATE INDEX work_requests_created ON work_requests (tenant, region, created_at, id);
CREATE INDEX work_requests_unfinished ON work_requests (created_at, id) WHERE finished_at IS NULL;
CREATE INDEX work_requests_finished ON work_requests (finished_at) WHERE finished_at IS NOT NULL;
