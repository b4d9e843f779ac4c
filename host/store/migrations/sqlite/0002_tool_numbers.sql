-- The highest number that a version of a name has had. It outlives the versions, so that no number is given twice.
CREATE TABLE tool_numbers (
    tenant  TEXT NOT NULL,
    name    TEXT NOT NULL,
    highest INTEGER NOT NULL,
    PRIMARY KEY (tenant, name)
) STRICT, WITHOUT ROWID;

INSERT INTO tool_numbers (tenant, name, highest)
SELECT tenant, name, MAX(number) FROM (
    SELECT tenant, name, number FROM tool_versions
    UNION ALL
    SELECT tenant, tool, json_extract(body, '$.version') FROM runs WHERE json_valid(body)
)
WHERE number > 0
GROUP BY tenant, name;

-- Runs whose letters were put away before this version, which ends such runs.
UPDATE runs SET state = 'failed', finished = CAST(unixepoch('subsec') * 1000 AS INTEGER)
WHERE finished IS NULL
    AND EXISTS (SELECT 1 FROM letters l WHERE l.tenant = runs.tenant AND l.run = runs.id AND l.state = 'purged')
    AND NOT EXISTS (SELECT 1 FROM letters l WHERE l.tenant = runs.tenant AND l.run = runs.id AND l.state = 'open');
