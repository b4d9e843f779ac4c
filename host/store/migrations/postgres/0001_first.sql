-- Every row carries its tenant, and ids are unique within a tenant only: no conflict tells one tenant of another's rows.
-- Bodies are the JSON of the records; what is filtered, fenced or changed by itself stands beside them. Times are milliseconds since 1970.
-- Texts are compared byte by byte, so that an order is the same on every server.
-- Runs, attempts and journals are partitioned by the run's id, which begins with the time at which it was made: days that are over are dropped,
-- not deleted (host/store/src/postgres/days.rs). What has to outlive its day, and what belongs to no day, is in the default partition. Nothing
-- refers to runs by a foreign key, which each drop would have to check: what deletes runs deletes what hangs on them.

CREATE TABLE components (
    tenant TEXT COLLATE "C" NOT NULL,
    digest BYTEA NOT NULL,
    wasm   BYTEA NOT NULL,
    -- Where it is set, the object of that name has the component, and this row has nothing of it.
    object TEXT COLLATE "C" CHECK (object IS NULL OR wasm = ''),
    PRIMARY KEY (tenant, digest)
);
-- Components and pages are compressed already, or compressed where they are cached.
ALTER TABLE components ALTER COLUMN wasm SET STORAGE EXTERNAL;

CREATE TABLE tools (
    tenant  TEXT COLLATE "C" NOT NULL,
    name    TEXT COLLATE "C" NOT NULL,
    enabled BOOLEAN NOT NULL,
    PRIMARY KEY (tenant, name)
);

CREATE TABLE tool_versions (
    tenant    TEXT COLLATE "C" NOT NULL,
    name      TEXT COLLATE "C" NOT NULL,
    number    BIGINT NOT NULL,
    component BYTEA NOT NULL,
    body      TEXT NOT NULL,
    PRIMARY KEY (tenant, name, number),
    FOREIGN KEY (tenant, name) REFERENCES tools ON DELETE CASCADE,
    FOREIGN KEY (tenant, component) REFERENCES components
);
CREATE INDEX tool_versions_by_component ON tool_versions (tenant, component);

-- The highest number that a version of a name has had. It outlives the versions, so that no number is given twice.
CREATE TABLE tool_numbers (
    tenant  TEXT COLLATE "C" NOT NULL,
    name    TEXT COLLATE "C" NOT NULL,
    highest BIGINT NOT NULL,
    PRIMARY KEY (tenant, name)
);

-- A run with an owner whose lease has not ended is running, whatever its state says: the state is that of before a replay.
-- A run that sleeps or waits for a person belongs to nobody. Nested runs have no lease: every write to them is fenced by their root.
CREATE TABLE runs (
    tenant        TEXT COLLATE "C" NOT NULL,
    id            TEXT COLLATE "C" NOT NULL,
    tool          TEXT COLLATE "C" NOT NULL,
    state         TEXT COLLATE "C" NOT NULL,
    created       BIGINT NOT NULL,
    finished      BIGINT,
    call_key      BYTEA,
    key_lifetime  BIGINT NOT NULL,
    owner         TEXT COLLATE "C",
    epoch         BIGINT NOT NULL,
    lease_until   BIGINT NOT NULL,
    root          TEXT COLLATE "C",
    parent        TEXT COLLATE "C",
    seq           BIGINT,
    seed          BYTEA,
    recoveries    BIGINT NOT NULL DEFAULT 0,
    -- Where the guest's clock starts, where that was set anew since the body was written.
    clock         BIGINT,
    -- Accepted: since when. Sleeping: till when. Suspended: when the answer comes too late, or when it came.
    until         BIGINT,
    approval      TEXT COLLATE "C",
    cancel        BOOLEAN NOT NULL DEFAULT FALSE,
    -- While a run that failed may be resumed: till when its journal is kept.
    journal_until BIGINT,
    -- What unkeyed calls have in common that are alike: a digest of principal, tool, function and input. Null for keyed and nested runs.
    likeness      BYTEA,
    -- When nobody waited for it any more, though it was not over.
    caller_lost   BIGINT,
    body          TEXT NOT NULL,
    -- From when on a host may take the root; null when only a person or a replay goes on with it, or nobody.
    wake          BIGINT GENERATED ALWAYS AS (
        CASE
            WHEN root IS NOT NULL OR seed IS NULL THEN NULL
            WHEN state IN ('accepted', 'sleeping', 'suspended') THEN until
            WHEN state = 'running' THEN lease_until
        END
    ) STORED,
    -- What a like call may join.
    joinable      BYTEA GENERATED ALWAYS AS (
        CASE
            WHEN caller_lost IS NOT NULL OR state IN ('sleeping', 'suspended', 'dead-lettered', 'in-doubt') THEN likeness
        END
    ) STORED,
    PRIMARY KEY (tenant, id)
) PARTITION BY RANGE (id);
CREATE TABLE runs_default PARTITION OF runs DEFAULT;
CREATE INDEX runs_by_age ON runs (tenant, created, id);
CREATE INDEX runs_by_tool ON runs (tenant, tool, created, id);
CREATE INDEX runs_by_state ON runs (tenant, state, created, id);
CREATE INDEX runs_by_end ON runs (tenant, finished) WHERE finished IS NOT NULL;
CREATE INDEX runs_to_take ON runs (tenant, tool, wake, id) WHERE wake IS NOT NULL;
CREATE INDEX runs_at_work ON runs (tenant, created, id) WHERE owner IS NOT NULL OR state = 'running';
CREATE INDEX runs_by_root ON runs (tenant, root, created, id) WHERE root IS NOT NULL;
CREATE INDEX runs_by_journal ON runs (tenant, journal_until) WHERE journal_until IS NOT NULL;
CREATE INDEX runs_alike ON runs (tenant, joinable, created, id) WHERE joinable IS NOT NULL;

CREATE TABLE attempts (
    tenant TEXT COLLATE "C" NOT NULL,
    run    TEXT COLLATE "C" NOT NULL,
    number BIGINT NOT NULL,
    body   TEXT NOT NULL,
    PRIMARY KEY (tenant, run, number)
) PARTITION BY RANGE (run);
CREATE TABLE attempts_default PARTITION OF attempts DEFAULT;

-- `free_at` is null while the run is not over; an open letter of the run keeps the key beyond it.
CREATE TABLE keys (
    tenant      TEXT COLLATE "C" NOT NULL,
    call_key    BYTEA NOT NULL,
    run         TEXT COLLATE "C" NOT NULL,
    fingerprint BYTEA NOT NULL,
    free_at     BIGINT,
    PRIMARY KEY (tenant, call_key)
);
CREATE INDEX keys_by_run ON keys (tenant, run);
CREATE INDEX keys_by_end ON keys (tenant, free_at) WHERE free_at IS NOT NULL;

-- `settled` is the place in the order of settling, null for an intent; `wall` is where the guest's clock stands once it is let in.
-- `harmless`: whether an effect does no harm when nobody knows its end: no request, or one that may be repeated.
CREATE TABLE journal (
    tenant   TEXT COLLATE "C" NOT NULL,
    run      TEXT COLLATE "C" NOT NULL,
    seq      BIGINT NOT NULL,
    settled  BIGINT,
    wall     BIGINT,
    harmless BOOLEAN,
    body     TEXT NOT NULL,
    payload  BYTEA NOT NULL,
    PRIMARY KEY (tenant, run, seq)
) PARTITION BY RANGE (run);
CREATE TABLE journal_default PARTITION OF journal DEFAULT;

-- States: open, replayed, resolved, purged. An open letter whose run somebody owns is being replayed.
CREATE TABLE letters (
    tenant       TEXT COLLATE "C" NOT NULL,
    id           TEXT COLLATE "C" NOT NULL,
    run          TEXT COLLATE "C" NOT NULL,
    tool         TEXT COLLATE "C" NOT NULL,
    state        TEXT COLLATE "C" NOT NULL,
    kind         TEXT COLLATE "C" NOT NULL,
    class        TEXT COLLATE "C" NOT NULL,
    service      TEXT COLLATE "C",
    first_failed BIGINT NOT NULL,
    last_failed  BIGINT NOT NULL,
    expires      BIGINT,
    replays      BIGINT NOT NULL,
    pinned       BOOLEAN NOT NULL DEFAULT FALSE,
    auto_replay  BOOLEAN NOT NULL DEFAULT FALSE,
    not_before   BIGINT,
    body         TEXT NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX letters_open_one_per_run ON letters (tenant, run) WHERE state = 'open';
CREATE INDEX letters_by_run ON letters (tenant, run, first_failed, id);
CREATE INDEX letters_by_age ON letters (tenant, first_failed, id);
CREATE INDEX letters_open_by_age ON letters (tenant, first_failed, id) WHERE state = 'open';
CREATE INDEX letters_by_service ON letters (tenant, service, first_failed, id);
CREATE INDEX letters_by_tool ON letters (tenant, tool, first_failed, id);
CREATE INDEX letters_by_expiry ON letters (tenant, expires) WHERE state = 'open' AND expires IS NOT NULL;
CREATE INDEX letters_waiting ON letters (replays, first_failed, tenant, id)
    WHERE state = 'open' AND auto_replay AND kind = 'retryable';

CREATE TABLE snapshots (
    tenant TEXT COLLATE "C" NOT NULL,
    letter TEXT COLLATE "C" NOT NULL,
    body   TEXT NOT NULL,
    PRIMARY KEY (tenant, letter),
    FOREIGN KEY (tenant, letter) REFERENCES letters ON DELETE CASCADE
);

-- Pages that a snapshot needs. No foreign key to the page: a letter with a page missing is worth more than no letter.
CREATE TABLE snapshot_pages (
    tenant TEXT COLLATE "C" NOT NULL,
    letter TEXT COLLATE "C" NOT NULL,
    digest BYTEA NOT NULL,
    PRIMARY KEY (tenant, letter, digest),
    FOREIGN KEY (tenant, letter) REFERENCES snapshots ON DELETE CASCADE
);
CREATE INDEX snapshot_pages_by_digest ON snapshot_pages (tenant, digest);

-- `put_at` is when the page was put last, be it stored then or found.
CREATE TABLE pages (
    tenant TEXT COLLATE "C" NOT NULL,
    digest BYTEA NOT NULL,
    put_at BIGINT NOT NULL,
    zstd   BYTEA NOT NULL,
    object TEXT COLLATE "C" CHECK (object IS NULL OR zstd = ''),
    PRIMARY KEY (tenant, digest)
);
ALTER TABLE pages ALTER COLUMN zstd SET STORAGE EXTERNAL;
CREATE INDEX pages_by_age ON pages (tenant, put_at);

-- The folder of this database's objects: databases may share a place for them.
CREATE TABLE objects (
    one    BIGINT PRIMARY KEY CHECK (one = 1),
    folder TEXT NOT NULL
);
INSERT INTO objects (one, folder) VALUES (1, replace(CAST(gen_random_uuid() AS TEXT), '-', ''));

CREATE TABLE approvals (
    tenant  TEXT COLLATE "C" NOT NULL,
    id      TEXT COLLATE "C" NOT NULL,
    root    TEXT COLLATE "C" NOT NULL,
    state   TEXT COLLATE "C" NOT NULL,
    asked   BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    body    TEXT NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX approvals_by_age ON approvals (tenant, asked, id);
CREATE INDEX approvals_pending ON approvals (tenant, asked, id) WHERE state = 'pending';
CREATE INDEX approvals_by_root ON approvals (tenant, root, asked, id);

-- Keys of tools and runs: `space` is `tool:` and a name, or `run:` and an id.
CREATE TABLE state (
    tenant TEXT COLLATE "C" NOT NULL,
    space  TEXT COLLATE "C" NOT NULL,
    key    TEXT COLLATE "C" NOT NULL,
    value  BYTEA NOT NULL,
    PRIMARY KEY (tenant, space, key)
);

-- `holder` carries out a bulk replay, and till `held_until` nobody else does.
CREATE TABLE redrives (
    tenant     TEXT COLLATE "C" NOT NULL,
    id         TEXT COLLATE "C" NOT NULL,
    started    BIGINT NOT NULL,
    ended      BIGINT,
    holder     TEXT COLLATE "C",
    held_until BIGINT,
    body       TEXT NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX redrives_by_age ON redrives (tenant, started, id);
CREATE INDEX redrives_by_end ON redrives (tenant, ended) WHERE ended IS NOT NULL;
CREATE INDEX redrives_running ON redrives (started, id) WHERE ended IS NULL;

CREATE TABLE breakers (
    tenant TEXT COLLATE "C" NOT NULL,
    key    TEXT COLLATE "C" NOT NULL,
    epoch  BIGINT NOT NULL,
    body   TEXT NOT NULL,
    PRIMARY KEY (tenant, key)
);

-- What hosts keep together for some seconds. A crash of the server empties these tables, which costs less than writing a log of them.
-- `promised`: in which parts of the period how many requests may start, as JSON.
CREATE UNLOGGED TABLE service_turns (
    tenant   TEXT COLLATE "C" NOT NULL,
    service  TEXT COLLATE "C" NOT NULL,
    promised TEXT NOT NULL,
    PRIMARY KEY (tenant, service)
);

-- The places of a service that a host may use; `since` is when it got the first of those, or gave back the last.
CREATE UNLOGGED TABLE service_places (
    tenant  TEXT COLLATE "C" NOT NULL,
    service TEXT COLLATE "C" NOT NULL,
    owner   TEXT COLLATE "C" NOT NULL,
    held    BIGINT NOT NULL,
    wanted  BIGINT NOT NULL,
    since   BIGINT NOT NULL,
    until   BIGINT NOT NULL,
    PRIMARY KEY (tenant, service, owner)
);

CREATE TABLE errors (
    id     BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant TEXT COLLATE "C" NOT NULL,
    tool   TEXT COLLATE "C" NOT NULL,
    at     BIGINT NOT NULL,
    body   TEXT NOT NULL
);
CREATE INDEX errors_by_tenant ON errors (tenant, id);
CREATE INDEX errors_by_tool ON errors (tenant, tool, id);
CREATE INDEX errors_by_age ON errors (tenant, at);

-- One row in a database whose contents are encrypted: a known text, sealed, that tells whether a key is the right one.
CREATE TABLE sealing (
    one   BIGINT PRIMARY KEY CHECK (one = 1),
    proof BYTEA NOT NULL
);

-- Keys of the API. Of the secret part only its SHA-256 is kept. Ids are unique over all tenants: a token tells its tenant by its key alone.
CREATE TABLE api_keys (
    id      TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    tenant  TEXT COLLATE "C" NOT NULL,
    created BIGINT NOT NULL,
    revoked BIGINT,
    secret  BYTEA NOT NULL,
    body    TEXT NOT NULL
);
CREATE INDEX api_keys_by_age ON api_keys (tenant, created, id);

-- The audit trail of each tenant: every entry holds the hash of the one before. It is only ever added to, at its end.
CREATE TABLE audit (
    tenant    TEXT COLLATE "C" NOT NULL,
    number    BIGINT NOT NULL,
    at        BIGINT NOT NULL,
    principal TEXT COLLATE "C" NOT NULL,
    action    TEXT COLLATE "C" NOT NULL,
    subject   TEXT COLLATE "C" NOT NULL,
    detail    TEXT COLLATE "C" NOT NULL,
    outcome   TEXT COLLATE "C" NOT NULL,
    previous  BYTEA NOT NULL,
    hash      BYTEA NOT NULL,
    PRIMARY KEY (tenant, number)
);

-- The end of each trail, apart from its entries: what is cut off there is missed.
CREATE TABLE audit_heads (
    tenant TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    number BIGINT NOT NULL,
    hash   BYTEA NOT NULL
);

CREATE FUNCTION audit_is_only_added_to() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit trail is only added to';
END $$;
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION audit_is_only_added_to();
CREATE TRIGGER audit_is_not_emptied BEFORE TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION audit_is_only_added_to();
CREATE TRIGGER audit_heads_stay BEFORE DELETE ON audit_heads FOR EACH ROW EXECUTE FUNCTION audit_is_only_added_to();
CREATE TRIGGER audit_heads_are_not_emptied BEFORE TRUNCATE ON audit_heads FOR EACH STATEMENT EXECUTE FUNCTION audit_is_only_added_to();

CREATE FUNCTION audit_is_added_to_at_its_end() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT 1 FROM audit_heads h WHERE h.tenant = NEW.tenant AND h.number + 1 = NEW.number AND h.hash = NEW.previous
    ) THEN
        RAISE EXCEPTION 'the audit trail is added to at its end';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER audit_is_added_to_at_its_end BEFORE INSERT ON audit FOR EACH ROW EXECUTE FUNCTION audit_is_added_to_at_its_end();

CREATE FUNCTION audit_moves_its_end() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE audit_heads SET number = NEW.number, hash = NEW.hash WHERE tenant = NEW.tenant;
    RETURN NULL;
END $$;
CREATE TRIGGER audit_moves_its_end AFTER INSERT ON audit FOR EACH ROW EXECUTE FUNCTION audit_moves_its_end();

CREATE FUNCTION audit_heads_go_on() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.tenant <> OLD.tenant OR NOT EXISTS (
        SELECT 1 FROM audit a WHERE a.tenant = NEW.tenant AND a.number = NEW.number AND a.hash = NEW.hash AND a.previous = OLD.hash
    ) THEN
        RAISE EXCEPTION 'the end of the audit trail goes on with it';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER audit_heads_go_on BEFORE UPDATE ON audit_heads FOR EACH ROW EXECUTE FUNCTION audit_heads_go_on();
