-- Every row carries its tenant, and ids are unique within a tenant only: no conflict tells one tenant of another's rows.
-- Bodies are the JSON of the records; what is filtered, fenced or changed by itself stands beside them. Times are milliseconds since 1970.

CREATE TABLE components (
    tenant TEXT NOT NULL,
    digest BLOB NOT NULL,
    wasm   BLOB NOT NULL,
    PRIMARY KEY (tenant, digest)
) STRICT;

CREATE TABLE tools (
    tenant  TEXT NOT NULL,
    name    TEXT NOT NULL,
    enabled INTEGER NOT NULL,
    PRIMARY KEY (tenant, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE tool_versions (
    tenant    TEXT NOT NULL,
    name      TEXT NOT NULL,
    number    INTEGER NOT NULL,
    component BLOB NOT NULL,
    body      TEXT NOT NULL,
    PRIMARY KEY (tenant, name, number),
    FOREIGN KEY (tenant, name) REFERENCES tools ON DELETE CASCADE,
    FOREIGN KEY (tenant, component) REFERENCES components
) STRICT;
CREATE INDEX tool_versions_by_component ON tool_versions (tenant, component);

-- A run with an owner whose lease has not ended is running, whatever its state says: the state is that of before a replay.
CREATE TABLE runs (
    tenant       TEXT NOT NULL,
    id           TEXT NOT NULL,
    tool         TEXT NOT NULL,
    state        TEXT NOT NULL,
    created      INTEGER NOT NULL,
    finished     INTEGER,
    call_key     BLOB,
    key_lifetime INTEGER NOT NULL,
    owner        TEXT,
    epoch        INTEGER NOT NULL,
    lease_until  INTEGER NOT NULL,
    body         TEXT NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT;
CREATE INDEX runs_by_age ON runs (tenant, created, id);
CREATE INDEX runs_by_tool ON runs (tenant, tool, created, id);
CREATE INDEX runs_by_state ON runs (tenant, state, created, id);
CREATE INDEX runs_by_end ON runs (tenant, finished) WHERE finished IS NOT NULL;

CREATE TABLE attempts (
    tenant TEXT NOT NULL,
    run    TEXT NOT NULL,
    number INTEGER NOT NULL,
    body   TEXT NOT NULL,
    PRIMARY KEY (tenant, run, number),
    FOREIGN KEY (tenant, run) REFERENCES runs ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- `free_at` is null while the run is not over; an open letter of the run keeps the key beyond it.
CREATE TABLE keys (
    tenant      TEXT NOT NULL,
    call_key    BLOB NOT NULL,
    run         TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    free_at     INTEGER,
    PRIMARY KEY (tenant, call_key),
    FOREIGN KEY (tenant, run) REFERENCES runs
) STRICT;
CREATE INDEX keys_by_run ON keys (tenant, run);
CREATE INDEX keys_by_end ON keys (tenant, free_at) WHERE free_at IS NOT NULL;

-- States: open, replayed, resolved, purged. An open letter whose run somebody owns is being replayed.
CREATE TABLE letters (
    tenant       TEXT NOT NULL,
    id           TEXT NOT NULL,
    run          TEXT NOT NULL,
    tool         TEXT NOT NULL,
    state        TEXT NOT NULL,
    kind         TEXT NOT NULL,
    class        TEXT NOT NULL,
    service      TEXT,
    first_failed INTEGER NOT NULL,
    last_failed  INTEGER NOT NULL,
    expires      INTEGER,
    replays      INTEGER NOT NULL,
    body         TEXT NOT NULL,
    PRIMARY KEY (tenant, id),
    FOREIGN KEY (tenant, run) REFERENCES runs ON DELETE CASCADE
) STRICT;
CREATE UNIQUE INDEX letters_open_one_per_run ON letters (tenant, run) WHERE state = 'open';
CREATE INDEX letters_by_run ON letters (tenant, run, first_failed, id);
CREATE INDEX letters_by_age ON letters (tenant, first_failed, id);
CREATE INDEX letters_open_by_age ON letters (tenant, first_failed, id) WHERE state = 'open';
CREATE INDEX letters_by_service ON letters (tenant, service, first_failed, id);
CREATE INDEX letters_by_tool ON letters (tenant, tool, first_failed, id);
CREATE INDEX letters_by_expiry ON letters (tenant, expires) WHERE state = 'open' AND expires IS NOT NULL;

CREATE TABLE snapshots (
    tenant TEXT NOT NULL,
    letter TEXT NOT NULL,
    body   TEXT NOT NULL,
    PRIMARY KEY (tenant, letter),
    FOREIGN KEY (tenant, letter) REFERENCES letters ON DELETE CASCADE
) STRICT;

-- Pages that a snapshot needs. No foreign key to the page: a letter with a page missing is worth more than no letter.
CREATE TABLE snapshot_pages (
    tenant TEXT NOT NULL,
    letter TEXT NOT NULL,
    digest BLOB NOT NULL,
    PRIMARY KEY (tenant, letter, digest),
    FOREIGN KEY (tenant, letter) REFERENCES snapshots ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX snapshot_pages_by_digest ON snapshot_pages (tenant, digest);

-- `put_at` is when the page was put last, be it stored then or found.
CREATE TABLE pages (
    tenant TEXT NOT NULL,
    digest BLOB NOT NULL,
    put_at INTEGER NOT NULL,
    zstd   BLOB NOT NULL,
    PRIMARY KEY (tenant, digest)
) STRICT;
CREATE INDEX pages_by_age ON pages (tenant, put_at);

CREATE TABLE breakers (
    tenant TEXT NOT NULL,
    key    TEXT NOT NULL,
    epoch  INTEGER NOT NULL,
    body   TEXT NOT NULL,
    PRIMARY KEY (tenant, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE errors (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant TEXT NOT NULL,
    tool   TEXT NOT NULL,
    at     INTEGER NOT NULL,
    body   TEXT NOT NULL
) STRICT;
CREATE INDEX errors_by_tenant ON errors (tenant, id);
CREATE INDEX errors_by_tool ON errors (tenant, tool, id);
CREATE INDEX errors_by_age ON errors (tenant, at);
