//! Random sequences of operations give the same answers on memory and on SQLite. A failure names the seed that repeats it.

use crate::operations::{self, Operation, operation};
use crate::subjects;
use fusebox_engine::ports::entropy::{Entropy, OsEntropy};
use fusebox_engine::testing::store_contract::Subject;
use proptest::collection::vec;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

/// To repeat a failure, put its seed here.
const REPEAT: Option<[u8; 32]> = None;

/// Answers of both stores to each operation, and to questions about everything afterwards.
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

#[test]
#[expect(clippy::print_stderr, reason = "a failure is of use only with its seed")]
fn memory_and_sqlite_give_the_same_answers() {
    let seed = REPEAT.unwrap_or_else(|| {
        let mut seed = [0; 32];
        OsEntropy.fill(&mut seed);
        seed
    });
    eprintln!("seed: {seed:?}");
    let config = Config {
        cases: 60,
        failure_persistence: None,
        max_shrink_iters: 400,
        ..Config::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let result = runner.run(&vec(operation(), 1..60), |operations| {
        runtime.block_on(async {
            let (memory, sqlite) = (subjects::memory().await, subjects::sqlite().await);
            let expected = answers(&memory, &operations).await;
            let found = answers(&sqlite, &operations).await;
            for (n, (expected, found)) in expected.iter().zip(&found).enumerate() {
                if expected != found {
                    let message = format!("operation {n} of {operations:#?}\nmemory: {expected}\nsqlite: {found}");
                    return Err(TestCaseError::fail(message));
                }
            }
            Ok(())
        })
    });
    if let Err(error) = result {
        eprintln!("seed: {seed:?}");
        std::panic::panic_any(error.to_string());
    }
}
