//! No statement on the call path or of a list has to read a whole table.
#![allow(clippy::unwrap_used)]

use super::PostgresStore;
use fusebox_test_postgres::{Database, Server};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Row};
use std::sync::Arc;

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
