//! No statement on the call path or of a list reads a whole table.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::SqliteStore;
use sqlx::Row;

#[tokio::test]
async fn every_statement_finds_its_rows_by_an_index() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("fusebox.db")).await.unwrap();
    for statement in super::transitions::statements::all() {
        let explain = format!("EXPLAIN QUERY PLAN {statement}");
        let plan = sqlx::query(&explain).persistent(false).fetch_all(&store.readers).await;
        let plan = plan.expect(&statement);
        let steps: Vec<String> = plan.iter().map(|row| row.get("detail")).collect();
        let scans = steps.iter().any(|step| {
            // Rows that the statement makes itself are no table.
            let made = ["SCAN CONSTANT ROW", "SCAN o"].contains(&step.as_str())
                || step.starts_with("SCAN of_")
                || step.starts_with("SCAN (");
            step.starts_with("SCAN") && !step.contains("json_each") && !made
        });
        // What tools and tenants are due is put in order by turns: a few of each.
        let turns = statement.starts_with("WITH RECURSIVE");
        let sorts = !turns && steps.iter().any(|step| step.contains("TEMP B-TREE FOR ORDER BY"));
        assert!(!scans && !sorts, "{statement}\n{}", steps.join("\n"));
    }
}
