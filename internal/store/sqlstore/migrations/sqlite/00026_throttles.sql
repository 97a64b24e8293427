-- The buckets of throttling, which nodes of one PostgreSQL database take tokens from.
CREATE TABLE throttles (
    tenant  BLOB    NOT NULL CHECK (length(tenant) = 16),
    class   TEXT    NOT NULL,
    tokens  REAL    NOT NULL,
    granted REAL    NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (tenant, class)
) STRICT;
