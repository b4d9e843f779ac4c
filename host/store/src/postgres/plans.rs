//! No statement on the call path or of a list has to read a whole table, however much there is in it.
#![allow(clippy::unwrap_used)]

use super::PostgresStore;
use super::transitions::statements::of_runs;
use fusebox_test_postgres::{Database, Durability, Server};
use serde_json::Value;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Executor, Row};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Runs of the history that the plans are made for, where `FUSEBOX_PLAN_ROWS` does not say.
const RUNS: u64 = 200_000;
/// Pages of 8 KiB that a statement reads or finds in memory, at most: ten for each partition that there is.
const PAGES: u64 = 350;
/// The same for each row of its answer.
const PAGES_A_ROW: u64 = 12;
/// The same for what hosts take: that looks for each tool with runs that wait, and into every partition for each.
const PAGES_TO_TAKE: u64 = 10 * PAGES;
/// Rows that are read and not wanted, at most.
const IN_VAIN: u64 = 5_000;
/// Rows of a partition that are as well read from end to end as found.
const FEW: u64 = 1_000;

/// The highest number of a parameter.
fn parameters(statement: &str) -> usize {
    let numbers = statement.split('$').skip(1);
    let numbers = numbers.filter_map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok());
    numbers.max().unwrap_or(0)
}

#[tokio::test]
async fn every_statement_can_find_its_rows_by_an_index() {
    let database = Database::empty(Arc::new(Server::shared())).await;
    PostgresStore::open(&database.url()).await.unwrap();
    let options: PgConnectOptions = database.url().parse().unwrap();
    let mut connection = options.connect().await.unwrap();
    // Where there is an index, it is used, though the tables are empty; and the plan is that of every value.
    for setting in ["SET enable_seqscan = off", "SET plan_cache_mode = force_generic_plan"] {
        sqlx::query(setting).execute(&mut connection).await.unwrap();
    }
    for (n, statement) in super::transitions::statements::all().iter().enumerate() {
        let prepare = format!("PREPARE p{n} AS {statement}");
        let prepared = sqlx::raw_sql(&prepare).execute(&mut connection).await;
        prepared.unwrap_or_else(|error| panic!("{statement}\n{error}"));
        let values = vec!["NULL"; parameters(statement)].join(", ");
        let values = Some(values).filter(|values| !values.is_empty());
        let explain = format!(
            "EXPLAIN EXECUTE p{n}{}",
            values.map_or_else(String::new, |values| format!("({values})"))
        );
        let plan = sqlx::raw_sql(&explain).fetch_all(&mut connection).await.unwrap();
        let steps: Vec<String> = plan.iter().map(|row| row.get(0)).collect();
        assert!(
            !steps.iter().any(|step| step.contains("Seq Scan")),
            "{statement}\n{}",
            steps.join("\n")
        );
    }
}

/// What a statement cost.
#[derive(Default)]
struct Cost {
    rows: u64,
    pages: u64,
    in_vain: u64,
    planned_ms: f64,
    ms: f64,
    /// Tables that were read from end to end, with rows in them.
    whole: BTreeSet<String>,
    /// Scans, one for each partition that was looked into.
    scans: u64,
    by: BTreeSet<String>,
}

impl Cost {
    fn of(explained: &Value) -> Self {
        let plan = &explained["Plan"];
        let count = |name: &str| plan[name].as_u64().unwrap_or(0);
        let mut cost = Self {
            rows: count("Actual Rows"),
            pages: count("Shared Hit Blocks") + count("Shared Read Blocks"),
            planned_ms: explained["Planning Time"].as_f64().unwrap(),
            ms: explained["Execution Time"].as_f64().unwrap(),
            ..Self::default()
        };
        cost.add(plan);
        cost
    }

    fn add(&mut self, node: &Value) {
        let times = node["Actual Loops"].as_u64().unwrap_or(0);
        let removed = |name: &str| node[name].as_u64().unwrap_or(0) * times;
        let removed = removed("Rows Removed by Filter") + removed("Rows Removed by Index Recheck");
        self.in_vain += removed;
        let read = node["Actual Rows"].as_u64().unwrap_or(0) * times + removed;
        if let Some(table) = node["Relation Name"].as_str().filter(|_| times > 0) {
            self.scans += 1;
            if node["Node Type"] == "Seq Scan" && read > FEW {
                self.whole.insert(table.to_owned());
            }
        }
        if let Some(index) = node["Index Name"].as_str() {
            self.by.insert(
                index
                    .replace(|c: char| c.is_ascii_digit(), "")
                    .replace("_day", "")
                    .replace("_default", ""),
            );
        }
        for below in node["Plans"].as_array().into_iter().flatten() {
            self.add(below);
        }
    }

    fn is_small(&self, pages: u64) -> bool {
        let pages = pages + self.rows * PAGES_A_ROW;
        self.whole.is_empty() && self.pages <= pages && self.in_vain <= IN_VAIN
    }
}

async fn one(connection: &mut PgConnection, column: &str, rest: &str) -> String {
    let query = format!("SELECT {column} FROM {rest} LIMIT 1");
    let found = sqlx::query_scalar(&query).persistent(false).fetch_one(connection).await;
    found.unwrap_or_else(|error| panic!("{query}: {error}"))
}

async fn explained(connection: &mut PgConnection, sql: &str, values: &str, mode: &str) -> Cost {
    let prepare = format!("SET plan_cache_mode = force_{mode}_plan; PREPARE p AS {sql}; BEGIN");
    connection
        .execute(sqlx::raw_sql(&prepare))
        .await
        .unwrap_or_else(|error| panic!("{sql}\n{error}"));
    let values = if values.is_empty() {
        String::new()
    } else {
        format!("({values})")
    };
    let explain = format!("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE p{values}");
    // The first one warms what a connection remembers of tables.
    let mut plan = String::new();
    for _ in 0..2 {
        let row = connection.fetch_one(sqlx::raw_sql(&explain)).await;
        plan = row
            .unwrap_or_else(|error| panic!("{explain}\n{sql}\n{error}"))
            .try_get_unchecked(0)
            .unwrap();
        connection.execute("ROLLBACK; BEGIN").await.unwrap();
    }
    connection.execute("ROLLBACK; DEALLOCATE p").await.unwrap();
    let plan: Value = serde_json::from_str(&plan).unwrap();
    Cost::of(&plan[0])
}

#[expect(clippy::disallowed_methods, reason = "how much a test does is set by who runs it")]
fn wanted() -> Option<u64> {
    std::env::var("FUSEBOX_PLAN_ROWS")
        .ok()
        .map(|rows| rows.parse().unwrap())
}

#[tokio::test]
#[expect(clippy::print_stderr, reason = "the figures of docs/scaling.md")]
async fn every_statement_reads_little_of_a_long_history() {
    let wanted = wanted();
    let server = wanted.map_or_else(Server::shared, |_| Server::own(Durability::Processes));
    let database = Database::empty(Arc::new(server)).await;
    PostgresStore::open(&database.url()).await.unwrap();
    let options: PgConnectOptions = database.url().parse().unwrap();
    let mut connection = options.connect().await.unwrap();
    let rows = wanted.unwrap_or(RUNS).to_string();
    let history = include_str!("plans/history.sql").replace(":rows", &rows);
    connection.execute(sqlx::raw_sql(&history)).await.unwrap();
    for step in [
        "SET maintenance_work_mem = '256MB'",
        "SET jit = off",
        "CALL fill()",
        "ANALYZE letters",
        "ANALYZE keys",
    ] {
        connection.execute(step).await.unwrap();
    }
    let ids = [
        (
            "RUN",
            one(
                &mut connection,
                "id",
                "runs WHERE tenant = 't1' AND state = 'succeeded' AND root IS NULL ORDER BY created DESC",
            )
            .await,
        ),
        (
            "LIVE",
            one(
                &mut connection,
                "id",
                "runs WHERE tenant = 't1' AND state = 'running' ORDER BY created DESC",
            )
            .await,
        ),
        (
            "ROOT",
            one(
                &mut connection,
                "root",
                "runs WHERE tenant = 't1' AND root IS NOT NULL ORDER BY created DESC",
            )
            .await,
        ),
        (
            "BELOW",
            one(
                &mut connection,
                "id",
                "runs WHERE tenant = 't1' AND root IS NOT NULL ORDER BY created DESC",
            )
            .await,
        ),
        (
            "DEAD",
            one(
                &mut connection,
                "run",
                "letters WHERE tenant = 't1' AND state = 'open' ORDER BY first_failed DESC",
            )
            .await,
        ),
        (
            "LETTER",
            one(
                &mut connection,
                "id",
                "letters WHERE tenant = 't1' AND state = 'open' ORDER BY first_failed DESC",
            )
            .await,
        ),
        (
            "KEPT",
            one(
                &mut connection,
                "id",
                "runs WHERE tenant = 't1' AND journal_until IS NOT NULL ORDER BY created DESC",
            )
            .await,
        ),
    ];
    let live = format!(
        "UPDATE runs SET lease_until = lease_until + 9000000000 WHERE tenant = 't1' AND id = '{}'",
        ids[1].1
    );
    connection.execute(live.as_str()).await.unwrap();
    let mut large = Vec::new();
    for (name, sql, values) in of_runs() {
        let names_its_run = values.contains("LIVE");
        let values = ids
            .iter()
            .fold(values, |values, (place, id)| values.replace(place, &format!("'{id}'")));
        for mode in ["custom", "generic"] {
            let cost = explained(&mut connection, &sql, &values, mode).await;
            let by: Vec<_> = cost.by.iter().map(String::as_str).collect();
            let line = format!(
                "| {name} | {mode} | {} | {} | {} | {} | {:.2} | {:.2} | {} {} |",
                cost.rows,
                cost.scans,
                cost.pages,
                cost.in_vain,
                cost.planned_ms,
                cost.ms,
                by.join(", "),
                cost.whole
                    .iter()
                    .map(|table| format!("ALL OF {table}"))
                    .collect::<String>()
            );
            if wanted.is_some() {
                eprintln!("{line}");
            }
            // By tool and by state at once, the runs of one of the two are looked through.
            let both = name.contains("tool-7") && name.contains("failed");
            let takes = ["is any due", "what is taken"].contains(&&*name);
            let pages = if takes { PAGES_TO_TAKE } else { PAGES };
            // The index of what is at work, or of what is oldest, is walked through for it.
            let astray = names_its_run && cost.by.contains("runs_tenant_created_id_idx");
            if astray || !both && !cost.is_small(pages) {
                large.push(line);
            }
        }
    }
    assert!(large.is_empty(), "{}", large.join("\n"));
}
