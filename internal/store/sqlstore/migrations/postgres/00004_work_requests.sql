-- What is known of operations that may go on after their answer. No row refers to what it names:
-- it outlives that.
CREATE TABLE work_requests (
    id          BYTEA            NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    tenant      BYTEA            NOT NULL REFERENCES tenants,
    region      TEXT COLLATE "C" NOT NULL,
    compartment BYTEA            NOT NULL CHECK (length(compartment) = 16),
    vault       BYTEA            NOT NULL CHECK (length(vault) = 16),
    action      TEXT COLLATE "C" NOT NULL,
    creator     BYTEA            NOT NULL CHECK (length(creator) = 16),
    created_at  BIGINT           NOT NULL,
    status      TEXT COLLATE "C" NOT NULL,
    percent     BIGINT           NOT NULL CHECK (percent BETWEEN 0 AND 100),
    owner       TEXT COLLATE "C" NOT NULL, -- the node that does the work
    started_at  BIGINT,
    finished_at BIGINT,
    resources   TEXT COLLATE "C" NOT NULL,
    errors      TEXT COLLATE "C" NOT NULL,
    logs        TEXT COLLATE "C" NOT NULL,
    revision    BIGINT           NOT NULL,
    CHECK ((finished_at IS NULL) = (status IN ('ACCEPTED', 'IN_PROGRESS')))
);
CREATE INDEX work_requests_created ON work_requests (tenant, region, created_at, id);
CREATE INDEX work_requests_unfinished ON work_requests (created_at, id) WHERE finished_at IS NULL;
CREATE INDEX work_requests_finished ON work_requests (finished_at) WHERE finished_at IS NOT NULL;
