-- Keys of the API. Of the secret part only its SHA-256 is kept. Ids are unique over all tenants: a token tells its tenant by its key alone.
CREATE TABLE api_keys (
    id      TEXT NOT NULL PRIMARY KEY,
    tenant  TEXT NOT NULL,
    created INTEGER NOT NULL,
    revoked INTEGER,
    secret  BLOB NOT NULL,
    body    TEXT NOT NULL
) STRICT;
CREATE INDEX api_keys_by_age ON api_keys (tenant, created, id);

-- The audit trail of each tenant: every entry holds the hash of the one before. It is only ever added to, at its end.
CREATE TABLE audit (
    tenant    TEXT NOT NULL,
    number    INTEGER NOT NULL,
    at        INTEGER NOT NULL,
    principal TEXT NOT NULL,
    action    TEXT NOT NULL,
    subject   TEXT NOT NULL,
    detail    TEXT NOT NULL,
    outcome   TEXT NOT NULL,
    previous  BLOB NOT NULL,
    hash      BLOB NOT NULL,
    PRIMARY KEY (tenant, number)
) STRICT, WITHOUT ROWID;

-- The end of each trail, apart from its entries: what is cut off there is missed.
CREATE TABLE audit_heads (
    tenant TEXT NOT NULL PRIMARY KEY,
    number INTEGER NOT NULL,
    hash   BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit BEGIN
    SELECT RAISE(ABORT, 'the audit trail is only added to');
END;
CREATE TRIGGER audit_is_not_removed BEFORE DELETE ON audit BEGIN
    SELECT RAISE(ABORT, 'the audit trail is only added to');
END;
CREATE TRIGGER audit_is_added_to_at_its_end BEFORE INSERT ON audit
WHEN NOT EXISTS (
    SELECT 1 FROM audit_heads h WHERE h.tenant = NEW.tenant AND h.number + 1 = NEW.number AND h.hash = NEW.previous
) BEGIN
    SELECT RAISE(ABORT, 'the audit trail is added to at its end');
END;
CREATE TRIGGER audit_moves_its_end AFTER INSERT ON audit BEGIN
    UPDATE audit_heads SET number = NEW.number, hash = NEW.hash WHERE tenant = NEW.tenant;
END;
CREATE TRIGGER audit_heads_go_on BEFORE UPDATE ON audit_heads
WHEN NEW.tenant <> OLD.tenant OR NOT EXISTS (
    SELECT 1 FROM audit a WHERE a.tenant = NEW.tenant AND a.number = NEW.number AND a.hash = NEW.hash AND a.previous = OLD.hash
) BEGIN
    SELECT RAISE(ABORT, 'the end of the audit trail goes on with it');
END;
CREATE TRIGGER audit_heads_stay BEFORE DELETE ON audit_heads BEGIN
    SELECT RAISE(ABORT, 'the end of the audit trail goes on with it');
END;

-- What unkeyed calls have in common that are alike: a digest of principal, tool, function and input. Null for keyed and nested runs, and for
-- those that were accepted before.
ALTER TABLE runs ADD COLUMN likeness BLOB;
-- When nobody waited for it any more, though it was not over.
ALTER TABLE runs ADD COLUMN caller_lost INTEGER;
-- What a like call may join.
ALTER TABLE runs ADD COLUMN joinable BLOB GENERATED ALWAYS AS (
    CASE
        WHEN caller_lost IS NOT NULL OR state IN ('sleeping', 'suspended', 'dead-lettered', 'in-doubt') THEN likeness
    END
) VIRTUAL;
CREATE INDEX runs_alike ON runs (tenant, joinable, created, id) WHERE joinable IS NOT NULL;

-- Whether an effect does no harm when nobody knows its end: no request, or one that may be repeated. Null for records of before, which are
-- taken for the opposite.
ALTER TABLE journal ADD COLUMN harmless INTEGER;
