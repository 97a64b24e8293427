-- Up to which revision a node has read others' changes. One of the release before does not say.
ALTER TABLE nodes ADD COLUMN heard BIGINT NOT NULL DEFAULT 0;
