-- Who carries out a bulk replay, and till when nobody else does.
ALTER TABLE redrives ADD COLUMN holder TEXT;
ALTER TABLE redrives ADD COLUMN held_until INTEGER;
CREATE INDEX redrives_running ON redrives (ended, started, id) WHERE ended IS NULL;
