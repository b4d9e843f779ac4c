//! A process that is killed in the middle of its transactions leaves each of them whole or not there, and none that was answered is lost.

use fusebox_core::ids::{LetterId, RunId};
use fusebox_core::time::Wall;
use fusebox_engine::ports::entropy::{Entropy, OsEntropy};
use fusebox_engine::ports::store::{Append, Claim, LetterChange, NewRun, RunFilter, Space, StateWrite, Store};
use fusebox_engine::records::{JournalRecord, RunRecord};
use fusebox_engine::requests::digest_of;
use fusebox_engine::testing::store_contract::samples::{
    TENANT, attempt, dead, fresh, intent, new_run, page, settled, snapshot, success,
};
use fusebox_store::SqliteStore;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// Tells the child which database to write to.
const DATABASE: &str = "FUSEBOX_CRASH_TEST_DATABASE";
/// Calls that the child has under way at once, so that transactions carry several.
const WORKERS: u64 = 8;

/// Effects of each of its runs.
const EFFECTS: u32 = 3;

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}

/// Not a test: what the killed process does. It says what it was answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by the test below, as a process of its own"]
#[expect(clippy::disallowed_methods, reason = "the way from the test to its child")]
async fn child() {
    let path = std::env::var(DATABASE).unwrap();
    let store = Arc::new(SqliteStore::open(Path::new(&path)).await.unwrap());
    let workers = (0..WORKERS).map(|_| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            loop {
                one_run(&store).await;
            }
        })
    });
    futures::future::join_all(workers).await;
}

async fn one_run(store: &SqliteStore) {
    let (id, dies) = (OsEntropy.id(), OsEntropy.fraction() < 0.5);
    let key = format!("{id:x}");
    let mut new: NewRun = new_run(1, Some(&key));
    new.run.id = RunId::new(Wall(1), id);
    let fence = fresh(store, new.clone()).await;
    say(&format!("claimed {} {key}", new.run.id));
    store
        .record_attempt(TENANT, &new.run.id, &fence, &attempt(1))
        .await
        .unwrap();
    say(&format!("attempted {} {key}", new.run.id));
    for n in 1..=EFFECTS {
        for record in [intent(n), settled(n, n)] {
            let append = Append {
                state: vec![write(&new.run.id, &record)],
                records: vec![record],
                ..Append::default()
            };
            store.append(TENANT, &new.run.id, &fence, append).await.unwrap();
        }
    }
    say(&format!("journaled {} {key}", new.run.id));
    let finish = if dies {
        store.put_pages(TENANT, &[page(1), page(2)]).await.unwrap();
        let mut finish = dead(&new.run, 1);
        if let LetterChange::Enqueue(letter) = &mut finish.letter {
            letter.id = LetterId::new(Wall(1), id);
            letter.snapshot = Some(snapshot(&[page(1), page(2)]));
        }
        finish
    } else {
        success(&new.run)
    };
    store.finish(&fence, finish).await.unwrap();
    say(&format!("finished {} {key}", new.run.id));
}

/// What goes into the keyed store together with a record.
fn write(run: &RunId, record: &JournalRecord) -> StateWrite {
    let settled = record.settled.is_some();
    StateWrite {
        space: Space::Run(run.clone()),
        key: record.seq.to_string(),
        value: Some([u8::from(settled)].to_vec().into()),
    }
}

/// Runs the child for a while, kills it, and returns what it said.
fn run_and_kill(database: &Path, after: Duration) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "crash::child",
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(DATABASE, database)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut said = Vec::new();
    // The clock starts with the first answer, not with the process.
    while !said.last().is_some_and(|line: &String| line.starts_with("claimed")) {
        said.push(lines.next().unwrap().unwrap());
    }
    let reader = std::thread::spawn(move || lines.map_while(Result::ok).collect::<Vec<_>>());
    std::thread::sleep(after);
    child.kill().unwrap(); // SIGKILL
    child.wait().unwrap();
    said.extend(reader.join().unwrap());
    said
}

/// The journal is a beginning of what was to be written, and the keyed store says the same: each append was whole.
async fn assert_whole_journal(store: &SqliteStore, run: &RunRecord) -> usize {
    let journal = store.journal(TENANT, &run.id).await.unwrap();
    for (record, n) in journal.iter().zip(1..) {
        let last = n as usize == journal.len();
        assert!(*record == settled(n, n) || last && *record == intent(n), "{record:?}");
    }
    let space = Space::Run(run.id.clone());
    let keys = store.state_keys(TENANT, &space, "").await.unwrap();
    if run.state == "succeeded" {
        assert!(journal.is_empty() && keys.len() == EFFECTS as usize);
        return keys.len();
    }
    assert_eq!(
        keys,
        journal.iter().map(|record| record.seq.to_string()).collect::<Vec<_>>()
    );
    for record in &journal {
        let expected = write(&run.id, record);
        let value = store.state(TENANT, &space, &expected.key).await.unwrap();
        assert_eq!(value, expected.value);
    }
    journal.len()
}

/// Every run is in one of the states between its transactions, with exactly what belongs to it.
async fn assert_whole(store: &SqliteStore, run: &RunRecord) {
    let letter = store.letter_of(TENANT, &run.id).await.unwrap();
    let effects = assert_whole_journal(store, run).await;
    assert!(run.state == "running" || effects == EFFECTS as usize, "{run:?}");
    match run.state.as_str() {
        "running" => {
            assert!(
                run.finished.is_none() && run.attempts.len() <= 1 && letter.is_none(),
                "{run:?}"
            );
        }
        "succeeded" => {
            assert!(
                run.output.is_some() && run.attempts.len() == 1 && letter.is_none(),
                "{run:?}"
            );
        }
        "dead-lettered" => {
            let letter = letter.unwrap();
            assert_eq!((Some(&letter.id), run.attempts.len()), (run.letter.as_ref(), 2));
            assert!(letter.snapshot.is_some());
        }
        other => panic!("state {other}"),
    }
    let key = run.key.as_deref().unwrap();
    let again = NewRun {
        run: RunRecord {
            id: RunId::new(Wall(2), OsEntropy.id()),
            ..run.clone()
        },
        call_key: Some(digest_of(key.as_bytes())),
        ..new_run(2, Some(key))
    };
    match store.claim(again).await.unwrap() {
        Claim::Stored(holder) => assert_eq!((&holder.id, run.state.as_str()), (&run.id, "succeeded")),
        Claim::Joined { run: holder, .. } => assert_eq!(holder.id, run.id),
        other => panic!("the key of {} is lost: {other:?}", run.id),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_34_a_killed_process_leaves_every_transition_whole_or_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("fusebox.db");
    let mut finished = 0;
    for round in 0..6_u64 {
        let jitter = Duration::from_secs_f64(OsEntropy.fraction() * 0.05);
        let said = run_and_kill(&database, Duration::from_millis(20 + 40 * round) + jitter);
        let store = SqliteStore::open(&database).await.unwrap();
        for line in said.iter().filter(|line| line.contains(" run_")) {
            let mut words = line.rsplit(' ').skip(1);
            let id: RunId = words.next().unwrap().parse().unwrap();
            let run = store.run(TENANT, &id).await.unwrap().expect(line);
            match line
                .split(' ')
                .find(|word| ["claimed", "attempted", "journaled", "finished"].contains(word))
            {
                Some("finished") => {
                    assert_ne!(run.state, "running", "{line}");
                    finished += 1;
                }
                Some("attempted") => assert!(!run.attempts.is_empty(), "{line}"),
                Some("journaled") => assert_eq!(assert_whole_journal(&store, &run).await, EFFECTS as usize, "{line}"),
                _ => {}
            }
        }
        let everything = RunFilter {
            limit: u32::MAX,
            ..RunFilter::default()
        };
        let runs = store.runs(TENANT, &everything).await.unwrap();
        assert!(!runs.is_empty());
        for run in &runs {
            assert_whole(&store, run).await;
        }
    }
    assert!(finished > 0, "the child was killed before it finished anything");
}
