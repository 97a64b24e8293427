-- Under which generation of its KEK things of a vault or tenant are sealed from now on.
ALTER TABLE vaults ADD COLUMN kek_generation INTEGER NOT NULL DEFAULT 1;
ALTER TABLE tenants ADD COLUMN kek_generation INTEGER NOT NULL DEFAULT 1;
