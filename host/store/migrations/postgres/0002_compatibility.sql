-- From which schema on a host may work with this database, and the version that has it. A migration that only adds leaves the row as it is, so
-- that hosts of the version before go on. One that takes something away raises both.
CREATE TABLE schema_compatibility (
    one     BIGINT PRIMARY KEY CHECK (one = 1),
    oldest  BIGINT NOT NULL,
    version TEXT NOT NULL
);
INSERT INTO schema_compatibility (one, oldest, version) VALUES (1, 2, '0.1.0');
