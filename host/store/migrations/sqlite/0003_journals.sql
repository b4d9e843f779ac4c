-- A run that sleeps or waits for a person belongs to nobody. Nested runs have no lease: every write to them is fenced by their root.
ALTER TABLE runs ADD COLUMN root TEXT;
ALTER TABLE runs ADD COLUMN parent TEXT;
ALTER TABLE runs ADD COLUMN seq INTEGER;
-- Null for runs that were accepted before there were journals: nobody takes those over.
ALTER TABLE runs ADD COLUMN seed BLOB;
ALTER TABLE runs ADD COLUMN recoveries INTEGER NOT NULL DEFAULT 0;
-- Where the guest's clock starts, where that was set anew since the body was written.
ALTER TABLE runs ADD COLUMN clock INTEGER;
-- Accepted: since when. Sleeping: till when. Suspended: when the answer comes too late, or when it came.
ALTER TABLE runs ADD COLUMN until INTEGER;
ALTER TABLE runs ADD COLUMN approval TEXT;
ALTER TABLE runs ADD COLUMN cancel INTEGER NOT NULL DEFAULT 0;
-- While a run that failed may be resumed: till when its journal is kept.
ALTER TABLE runs ADD COLUMN journal_until INTEGER;
-- From when on a host may take the root; null when only a person or a replay goes on with it, or nobody.
ALTER TABLE runs ADD COLUMN wake INTEGER GENERATED ALWAYS AS (
    CASE
        WHEN root IS NOT NULL OR seed IS NULL THEN NULL
        WHEN state IN ('accepted', 'sleeping', 'suspended') THEN until
        WHEN state = 'running' THEN lease_until
    END
) VIRTUAL;
CREATE INDEX runs_to_take ON runs (wake, tenant, id) WHERE wake IS NOT NULL;
CREATE INDEX runs_by_root ON runs (tenant, root, created, id) WHERE root IS NOT NULL;
CREATE INDEX runs_by_journal ON runs (tenant, journal_until) WHERE journal_until IS NOT NULL;

-- `settled` is the place in the order of settling, null for an intent; `wall` is where the guest's clock stands once it is let in.
CREATE TABLE journal (
    tenant  TEXT NOT NULL,
    run     TEXT NOT NULL,
    seq     INTEGER NOT NULL,
    settled INTEGER,
    wall    INTEGER,
    body    TEXT NOT NULL,
    payload BLOB NOT NULL,
    PRIMARY KEY (tenant, run, seq),
    FOREIGN KEY (tenant, run) REFERENCES runs ON DELETE CASCADE
) STRICT;

CREATE TABLE approvals (
    tenant  TEXT NOT NULL,
    id      TEXT NOT NULL,
    root    TEXT NOT NULL,
    state   TEXT NOT NULL,
    asked   INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    body    TEXT NOT NULL,
    PRIMARY KEY (tenant, id),
    FOREIGN KEY (tenant, root) REFERENCES runs ON DELETE CASCADE
) STRICT;
CREATE INDEX approvals_by_age ON approvals (tenant, asked, id);
CREATE INDEX approvals_pending ON approvals (tenant, asked, id) WHERE state = 'pending';
CREATE INDEX approvals_by_root ON approvals (tenant, root, asked, id);

-- Keys of tools and runs: `space` is `tool:` and a name, or `run:` and an id.
CREATE TABLE state (
    tenant TEXT NOT NULL,
    space  TEXT NOT NULL,
    key    TEXT NOT NULL,
    value  BLOB NOT NULL,
    PRIMARY KEY (tenant, space, key)
) STRICT;

ALTER TABLE letters ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0;
ALTER TABLE letters ADD COLUMN auto_replay INTEGER NOT NULL DEFAULT 0;
ALTER TABLE letters ADD COLUMN not_before INTEGER;
CREATE INDEX letters_waiting ON letters (replays, first_failed, tenant, id)
    WHERE state = 'open' AND auto_replay = 1 AND kind = 'retryable';

CREATE TABLE redrives (
    tenant  TEXT NOT NULL,
    id      TEXT NOT NULL,
    started INTEGER NOT NULL,
    ended   INTEGER,
    body    TEXT NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT;
CREATE INDEX redrives_by_age ON redrives (tenant, started, id);
CREATE INDEX redrives_by_end ON redrives (tenant, ended) WHERE ended IS NOT NULL;

-- One row in a database whose contents are encrypted: a known text, sealed, that tells whether a key is the right one.
CREATE TABLE sealing (
    one   INTEGER PRIMARY KEY CHECK (one = 1),
    proof BLOB NOT NULL
) STRICT;
