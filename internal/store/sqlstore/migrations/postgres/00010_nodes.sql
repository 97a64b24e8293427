-- The processes that serve from one database, as they show themselves to each other. No change
-- feed tells of them.
CREATE TABLE nodes (
    id         BYTEA            NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    name       TEXT COLLATE "C" NOT NULL,
    started_at BIGINT           NOT NULL,
    renewed_at BIGINT           NOT NULL,
    renewals   BIGINT           NOT NULL,
    watermark  BIGINT           NOT NULL,
    lease      BIGINT           NOT NULL
);
