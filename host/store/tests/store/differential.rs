//! Random histories of operations give the same answers on memory, on SQLite and on PostgreSQL. A failure names the seed that repeats it.

use crate::operations::{self, Operation, operation};
use crate::subjects;
use fusebox_engine::ports::entropy::{Entropy, OsEntropy};
use fusebox_engine::testing::store_contract::Subject;
use proptest::collection::vec;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use std::cell::Cell;

/// To repeat a failure, put its seed here.
const REPEAT: Option<[u8; 32]> = None;

/// How many histories are played, where the variable `FUSEBOX_HISTORIES` does not say.
const HISTORIES: u32 = 40;

/// Answers of a store to each operation, and to questions about everything afterwards.
async fn answers(subject: &dyn Subject, operations: &[Operation]) -> Vec<String> {
    let store = subject.store();
    let mut fences = Vec::new();
    let mut answers = Vec::with_capacity(operations.len() + 1);
    for operation in operations {
        answers.push(operation.perform(subject, &*store, &mut fences).await);
    }
    answers.push(operations::everything(&*store).await);
    answers
}

/// Where the answers are not those of memory.
fn compare(operations: &[Operation], expected: &[String], name: &str, found: &[String]) -> Result<(), TestCaseError> {
    for (n, (expected, found)) in expected.iter().zip(found).enumerate() {
        if expected != found {
            let message = format!("operation {n} of {operations:#?}\nmemory: {expected}\n{name}: {found}");
            return Err(TestCaseError::fail(message));
        }
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "how long a test runs is set by who runs it")]
fn histories() -> u32 {
    let wanted = std::env::var("FUSEBOX_HISTORIES");
    wanted.map_or(HISTORIES, |wanted| wanted.parse().unwrap())
}

#[test]
#[expect(clippy::print_stderr, reason = "a failure is of use only with its seed")]
fn every_store_gives_the_same_answers() {
    let seed = REPEAT.unwrap_or_else(|| {
        let mut seed = [0; 32];
        OsEntropy.fill(&mut seed);
        seed
    });
    eprintln!("seed: {seed:?}");
    let config = Config {
        cases: histories(),
        failure_persistence: None,
        max_shrink_iters: 400,
        ..Config::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (sqlite, postgres) = runtime.block_on(async { (subjects::sqlite().await, subjects::postgres().await) });
    let (played, performed) = (Cell::new(0_u32), Cell::new(0_usize));
    let result = runner.run(&vec(operation(), 1..60), |operations| {
        runtime.block_on(async {
            let memory = subjects::memory().await;
            sqlite.clear().await;
            postgres.clear().await;
            let expected = answers(&memory, &operations).await;
            compare(&operations, &expected, "sqlite", &answers(&sqlite, &operations).await)?;
            compare(
                &operations,
                &expected,
                "postgres",
                &answers(&postgres, &operations).await,
            )?;
            played.set(played.get() + 1);
            performed.set(performed.get() + operations.len());
            Ok(())
        })
    });
    if let Err(error) = result {
        eprintln!("seed: {seed:?}");
        std::panic::panic_any(error.to_string());
    }
    let (played, performed) = (played.get(), performed.get());
    eprintln!("{played} histories of {performed} operations alike on memory, SQLite and PostgreSQL");
}
