-- The buckets of throttling, which all nodes take tokens from. They are full again after a crash,
-- as those of one process are after its start.
CREATE UNLOGGED TABLE throttles (
    tenant  BYTEA            NOT NULL CHECK (length(tenant) = 16),
    class   TEXT COLLATE "C" NOT NULL,
    tokens  DOUBLE PRECISION NOT NULL,
    granted DOUBLE PRECISION NOT NULL, -- by the last statement
    at      BIGINT           NOT NULL, -- by the database's clock
    PRIMARY KEY (tenant, class)
);
