-- The processes that serve from one database, as they show themselves to each other. No change
-- feed tells of them.
CREATE TABLE nodes (
    id         BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    name       TEXT    NOT NULL,
    started_at INTEGER NOT NULL,
    renewed_at INTEGER NOT NULL,
    renewals   INTEGER NOT NULL,
    watermark  INTEGER NOT NULL,
    lease      INTEGER NOT NULL
) STRICT;
