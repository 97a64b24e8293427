-- How many live keys and versions a vault has, hidden ones aside.
CREATE TABLE vault_counters (
    vault      BLOB    NOT NULL CHECK (length(vault) = 16),
    type       TEXT    NOT NULL,
    protection TEXT    NOT NULL,
    spec       TEXT    NOT NULL,
    n          INTEGER NOT NULL CHECK (n >= 0),
    PRIMARY KEY (vault, type, protection, spec)
) STRICT, WITHOUT ROWID;
INSERT INTO vault_counters (vault, type, protection, spec, n)
    SELECT vault, 'key', protection, spec, COUNT(*) FROM keys
    WHERE state <> 'DELETED' AND hidden = 0 GROUP BY vault, protection, spec;
INSERT INTO vault_counters (vault, type, protection, spec, n)
    SELECT k.vault, 'keyversion', k.protection, k.spec, COUNT(*) FROM versions v JOIN keys k ON k.id = v.key
    WHERE v.state <> 'DELETED' AND k.hidden = 0 GROUP BY k.vault, k.protection, k.spec;

-- The fleet of clients that a vault is registered for, which reach it by mutual TLS; empty for none.
ALTER TABLE vaults ADD COLUMN fleet TEXT NOT NULL DEFAULT '';

-- A release that does not know the totals of vaults would not keep them.
UPDATE schema_floor SET version = 11;
