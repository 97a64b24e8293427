-- How often all sessions of a principal were ended, and who may act as it (JSON array of ids).
-- Adding the columns leaves older releases working.
ALTER TABLE principals ADD COLUMN session_epoch BIGINT NOT NULL DEFAULT 0;
ALTER TABLE principals ADD COLUMN assumable_by TEXT NOT NULL DEFAULT '[]';
