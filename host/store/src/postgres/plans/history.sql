-- Thirty days of three tenants with two hundred tools, `:rows` runs in all, the last one a moment ago. Of a thousand runs one has an open letter,
-- twenty have failed, five are nested, and a few sleep, wait or were left by their host. Tables are filled and then attached, which sorts their
-- indexes and is several times as fast.

CREATE FUNCTION run_made(at BIGINT, n BIGINT) RETURNS TEXT LANGUAGE SQL IMMUTABLE AS $$
    SELECT 'run_'
        || substr('0123456789abcdefghjkmnpqrstvwxyz', 1 + CAST((at >> 45) & 31 AS INT), 1)
        || substr('0123456789abcdefghjkmnpqrstvwxyz', 1 + CAST((at >> 40) & 31 AS INT), 1)
        || substr('0123456789abcdefghjkmnpqrstvwxyz', 1 + CAST((at >> 35) & 31 AS INT), 1)
        || substr('0123456789abcdefghjkmnpqrstvwxyz', 1 + CAST((at >> 30) & 31 AS INT), 1)
        || substr('0123456789abcdefghjkmnpqrstvwxyz', 1 + CAST((at >> 25) & 31 AS INT), 1)
        || substr('0123456789abcdefghjkmnpqrstvwxyz', 1 + CAST((at >> 20) & 31 AS INT), 1)
        || substr('0123456789abcdefghjkmnpqrstvwxyz', 1 + CAST((at >> 15) & 31 AS INT), 1)
        || substr('0123456789abcdefghjkmnpqrstvwxyz', 1 + CAST((at >> 10) & 31 AS INT), 1)
        || substr('0123456789abcdefghjkmnpqrstvwxyz', 1 + CAST((at >> 5) & 31 AS INT), 1)
        || substr('0123456789abcdefghjkmnpqrstvwxyz', 1 + CAST((at >> 0) & 31 AS INT), 1) || lpad(CAST(n AS TEXT), 16, '0')
$$;

CREATE TABLE facts AS SELECT CAST(FLOOR(EXTRACT(EPOCH FROM statement_timestamp()) * 1000) AS BIGINT) AS now, CAST(:rows / 30 AS BIGINT) AS a_day;

CREATE PROCEDURE fill() LANGUAGE plpgsql AS $$
DECLARE
    f facts;
    first BIGINT;
    begins BIGINT;
    name TEXT;
    part TEXT;
BEGIN
    SELECT * INTO f FROM facts;
    FOR day IN 0..29 LOOP
        -- The last one ends in a minute.
        first := f.now + 60000 - 30 * 86400000::BIGINT + day * 86400000::BIGINT;
        name := '_day' || lpad(day::TEXT, 2, '0');
        FOREACH part IN ARRAY ARRAY['runs', 'attempts', 'journal'] LOOP
            EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING GENERATED INCLUDING STORAGE)', part || name, part);
        END LOOP;
        begins := day * f.a_day;
        EXECUTE format($fill$
            INSERT INTO runs%4$s (tenant, id, tool, state, created, finished, key_lifetime, owner, epoch, lease_until, root, parent, seq, seed, until,
                journal_until, likeness, body)
            SELECT 't' || (n %% 3), run_made(at, n), 'tool-' || (n / 7 %% 200), state, at, CASE WHEN state IN ('succeeded', 'failed') THEN at + 500 END,
                0, CASE WHEN state = 'running' THEN 'own_gone' END, 1, at + 60000,
                CASE WHEN nested THEN run_made(at_of_root, n - 3) END, CASE WHEN nested THEN run_made(at_of_root, n - 3) END, CASE WHEN nested THEN 1 END,
                decode(md5(n::TEXT) || md5('s' || n), 'hex'), CASE WHEN state = 'sleeping' THEN at + 90 * 86400000::BIGINT END,
                CASE WHEN state = 'failed' AND NOT nested AND at + 7 * 86400000::BIGINT > %5$s THEN at + 7 * 86400000::BIGINT END,
                CASE WHEN n %% 2 = 0 AND NOT nested AND state <> 'succeeded' THEN decode(md5(n::TEXT) || md5('l' || n), 'hex') END, repeat('x', 300)
            FROM (SELECT n, %1$s + (n - %2$s) * 86400000::BIGINT / %3$s AS at, %1$s + (n - 3 - %2$s) * 86400000::BIGINT / %3$s AS at_of_root, n %% 200 = 50 AS nested, CASE
                    WHEN n %% 1000 = 1 THEN 'dead-lettered' WHEN n %% 50 = 2 THEN 'failed' WHEN n %% 20000 = 3 THEN 'sleeping'
                    WHEN n %% 100000 = 4 THEN 'running' ELSE 'succeeded' END AS state
                FROM generate_series(%2$s, %2$s + %3$s - 1) AS n) AS made
        $fill$, first, begins, f.a_day, name, f.now);
        EXECUTE format('INSERT INTO attempts%s SELECT tenant, id, 1, repeat(''a'', 120) FROM runs%s WHERE created %% 4 = 0', name, name);
        EXECUTE format('INSERT INTO journal%s SELECT tenant, id, place, place, created, TRUE, repeat(''j'', 200), ''\x00'' FROM runs%s, generate_series(1, 3) AS place
            WHERE state IN (''dead-lettered'', ''sleeping'', ''running'') OR journal_until IS NOT NULL', name, name);
        EXECUTE format('INSERT INTO letters (tenant, id, run, tool, state, kind, class, service, first_failed, last_failed, expires, replays, auto_replay, body)
            SELECT tenant, ''ltr'' || substr(id, 4), id, tool, CASE WHEN state = ''failed'' THEN ''purged'' ELSE ''open'' END, ''retryable'', ''transient'',
                ''service-'' || (created %% 50), created, created, created + 30 * 86400000::BIGINT, 0, created %% 2 = 0, repeat(''l'', 300)
            FROM runs%s WHERE state = ''dead-lettered'' OR (state = ''failed'' AND created %% 10 = 0)', name);
        EXECUTE format('INSERT INTO keys SELECT tenant, sha256(id::BYTEA), id, sha256(id::BYTEA), CASE WHEN finished IS NOT NULL THEN finished + 86400000 END
            FROM runs%s WHERE created %% 20 = 0 AND created > %s - 86400000', name, f.now);
        FOREACH part IN ARRAY ARRAY['runs', 'attempts', 'journal'] LOOP
            EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', part, part || name,
                CASE WHEN day = 0 THEN 'run_0' ELSE run_made(first, 0) END, run_made(first + 86400000, 0));
            EXECUTE format('ANALYZE %I', part || name);
        END LOOP;
    END LOOP;
END $$;
