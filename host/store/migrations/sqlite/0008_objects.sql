-- Where a row names an object, the object has what is kept, and the row has nothing of it. It is named below the folder of this database, the
-- tenant, the kind and the digest.
ALTER TABLE components ADD COLUMN object TEXT CHECK (object IS NULL OR length(wasm) = 0);
ALTER TABLE pages ADD COLUMN object TEXT CHECK (object IS NULL OR length(zstd) = 0);

-- The folder of this database's objects: databases may share a place for them.
CREATE TABLE objects (
    one    INTEGER PRIMARY KEY CHECK (one = 1),
    folder TEXT NOT NULL
) STRICT;
INSERT INTO objects (one, folder) VALUES (1, lower(hex(randomblob(16))));
