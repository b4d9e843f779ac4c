//! A guest's state follows from what it asked and what it got: a run that is served from its journal reaches the same state.

use crate::effects::{answer, weaving};
use crate::play::{Journal, Play, Reply};
use crate::support::{Trial, ok, snapshot_of};
use fusebox_engine::ports::sandbox::{Ask, AttemptEnd, AttemptReport, EffectError, Got};
use fusebox_engine::records::InstanceState;
use std::sync::Arc;
use std::time::Duration;

const VERSIONS: [&str; 4] = ["0.2.0", "0.2.6", "0.2.9", "0.2.12"];

const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// Answers each step with its own status, 200 and its number, after so many milliseconds for the first, second and third; timers run.
fn steps(delays: [u64; 3]) -> Play {
    Play::new(move |ask| match ask {
        Ask::Http(request) => {
            let step: u16 = request.path.trim_start_matches("/step/").parse().unwrap();
            let delay = delays.get(usize::from(step)).copied().unwrap_or_default();
            Reply::Give(
                ms(delay),
                Got::Http(answer(200 + step, &"x".repeat(usize::from(step) * 10))),
            )
        }
        Ask::Timer { after } => Reply::Give(*after, Got::Timer),
        _ => Reply::Hang,
    })
}

async fn run(version: &str, function: &str, json: &str, play: &Arc<Play>) -> AttemptReport {
    let mut trial = Trial::of(&weaving(version).await, function);
    trial.json = json.to_owned();
    trial.effects = Arc::<Play>::clone(play);
    trial.run().await
}

/// Runs a function to its trap, live, and then twice from the journal: the state is the same each time, and nothing is performed again.
async fn same_state_when_served(version: &str, function: &str, json: &str, live: Play) -> Journal {
    let live = Arc::new(live);
    let first = trapped(run(version, function, json, &live).await).await;
    let journal = live.journal();
    for _ in 0..2 {
        let served = Arc::new(steps([0; 3]).serving(journal.clone()));
        assert_eq!(
            trapped(run(version, function, json, &served).await).await,
            first,
            "{version} {function}"
        );
        // What the guest let go of may never have ended.
        let (live, abandoned) = (served.live(), served.abandoned());
        assert!(
            live.iter().all(|seq| abandoned.contains(seq)),
            "{version} {function}: {live:?}"
        );
        assert!(served.diverged().is_empty(), "{version} {function}");
    }
    journal
}

async fn trapped(report: AttemptReport) -> Vec<InstanceState> {
    assert!(
        matches!(&report.end, AttemptEnd::Trap { trap } if trap == "unreachable"),
        "{:?}",
        report.end
    );
    snapshot_of(report).await.instances
}

fn order(journal: &Journal) -> Vec<u32> {
    journal.let_in.iter().map(|delivery| delivery.seq).collect()
}

#[tokio::test]
async fn answers_in_either_order_are_served_in_theirs() {
    for version in VERSIONS {
        for (delays, expected) in [([0, 40, 0], [1, 2]), ([40, 0, 0], [2, 1])] {
            let journal = same_state_when_served(version, "two", r#"{"trap":1}"#, steps(delays)).await;
            assert_eq!(order(&journal), expected, "{version}");
        }
    }
}

#[tokio::test]
async fn answers_that_are_both_there_are_let_in_one_at_a_time() {
    let play = Arc::new(steps([0; 3]));
    let report = run("0.2.12", "two", r#"{"trap":0}"#, &play).await;
    let first = order(&play.journal())[0] - 1;
    assert_eq!(
        report.end,
        ok(&first.to_string()),
        "the guest sees the one that came first, alone"
    );
}

#[tokio::test]
async fn a_timer_and_an_answer_race_once_and_not_again() {
    for version in VERSIONS {
        // The timer of 30 ms first, or the answer.
        for (delay, expected) in [(60, vec![2, 1, 3]), (0, vec![1, 3])] {
            let json = r#"{"pause":30000000,"trap":1}"#;
            let journal = same_state_when_served(version, "timed", json, steps([delay, 0, 90])).await;
            assert_eq!(order(&journal), expected, "{version}");
        }
    }
}

#[tokio::test]
async fn what_a_guest_lets_go_of_is_told_once() {
    for (delay, abandoned) in [(60, vec![1]), (0, vec![2])] {
        let play = Arc::new(steps([delay, 0, 90]));
        run("0.2.6", "timed", r#"{"pause":30000000,"trap":0}"#, &play).await;
        assert_eq!(play.abandoned(), abandoned);
    }
}

#[tokio::test]
async fn the_thousandth_answer_that_says_no_waits_for_the_next_effect() {
    for version in VERSIONS {
        for how in 0..3 {
            let play = Arc::new(steps([20, 0, 0]));
            let json = format!(r#"{{"how":{how},"tries":10000,"trap":0}}"#);
            assert_eq!(
                run(version, "impatient", &json, &play).await.end,
                ok("999"),
                "{version} {how}"
            );
            let json = format!(r#"{{"how":{how},"tries":10000,"trap":1}}"#);
            same_state_when_served(version, "impatient", &json, steps([20, 0, 0])).await;
        }
    }
}

#[tokio::test]
async fn a_guest_that_asks_less_often_gets_no_answer_however_long_it_is_there() {
    let play = Arc::new(steps([0; 3]));
    let report = run("0.2.9", "impatient", r#"{"how":0,"tries":999,"trap":0}"#, &play).await;
    assert_eq!(report.end, ok("999"));
    assert!(order(&play.journal()).is_empty());
}

#[tokio::test]
async fn a_request_begins_when_its_body_is_whole() {
    for version in VERSIONS {
        let size = 200_000;
        let json = format!(r#"{{"size":{size},"trap":1}}"#);
        let journal = same_state_when_served(version, "interleaved", &json, steps([0; 3])).await;
        let bodies = journal.asked.iter().map(|ask| match ask {
            Ask::Http(request) => (request.path.clone(), request.body.clone()),
            other => panic!("{other:?}"),
        });
        let body = |first: char, second: char| [first, second].map(|letter| letter.to_string().repeat(size)).concat();
        let expected = [
            ("/step/1".to_owned(), body('b', 'B').into()),
            ("/step/0".to_owned(), body('a', 'A').into()),
        ];
        assert!(bodies.eq(expected), "{version}");
    }
}

#[tokio::test]
async fn a_body_that_is_never_finished_begins_nothing() {
    for version in VERSIONS {
        // A protocol error where the body is let go of, and a closed stream where its request is.
        for (how, expected) in [(1, "1035"), (2, "11")] {
            let play = Arc::new(steps([0; 3]));
            let report = run(version, "unfinished", &format!(r#"{{"how":{how}}}"#), &play).await;
            assert_eq!(report.end, ok(expected), "{version}");
            assert_eq!(play.requests(), []);
        }
    }
}

#[tokio::test]
async fn a_guest_that_waits_for_what_cannot_come_is_stopped_at_once() {
    let report = run("0.2.0", "unfinished", r#"{"how":0}"#, &Arc::new(steps([0; 3]))).await;
    assert!(
        matches!(&report.end, AttemptEnd::Trap { trap } if trap == "deadlock"),
        "{:?}",
        report.end
    );
    assert!(!report.backtrace.is_empty());
}

#[tokio::test]
async fn a_replay_cut_anywhere_asks_exactly_for_what_comes_next() {
    let json = r#"{"count":8,"trap":1}"#;
    let journal = same_state_when_served("0.2.12", "many", json, steps([1, 2, 3])).await;
    assert_eq!(journal.asked.len(), 12, "eight requests and four timers");
    for cut in 0..journal.asked.len() {
        let next = u32::try_from(cut).unwrap() + 1;
        let play = Arc::new(steps([0; 3]).serving(journal.up_to(cut)).stopping_at(next));
        let report = run("0.2.12", "many", json, &play).await;
        assert_eq!(report.end, AttemptEnd::Stopped, "{cut}");
        assert_eq!(play.journal().asked, journal.asked[..=cut], "{cut}");
        assert!(play.live().is_empty(), "{cut}");
        // And goes on live from there.
        let play = Arc::new(steps([0; 3]).serving(journal.up_to(cut)));
        trapped(run("0.2.12", "many", json, &play).await).await;
        assert_eq!(play.journal().asked, journal.asked, "{cut}");
        assert_eq!(play.live().len(), journal.asked.len() - cut, "{cut}");
    }
}

#[tokio::test]
async fn an_attempt_that_is_stopped_leaves_its_state() {
    let play = Arc::new(steps([0; 3]).stopping_at(3));
    let report = run("0.2.0", "many", r#"{"count":8,"trap":0}"#, &play).await;
    assert_eq!(report.end, AttemptEnd::Stopped);
    assert!(
        !report.backtrace.is_empty(),
        "the guest is stopped inside of its host call"
    );
    let snapshot = snapshot_of(report).await;
    assert!(!snapshot.frames.is_empty());
    assert_eq!(crate::support::byte(&snapshot, 4096), 200);
}

#[tokio::test]
async fn an_attempt_that_is_stopped_while_its_guest_waits_leaves_its_state() {
    for version in VERSIONS {
        let play = Arc::new(Play::hanging().draining());
        let report = run(version, "two", r#"{"trap":0}"#, &play).await;
        assert_eq!(report.end, AttemptEnd::Stopped, "{version}");
        let snapshot = snapshot_of(report).await;
        assert!(!snapshot.frames.is_empty(), "{version}");
        assert_eq!(
            snapshot.resources,
            ["future-incoming-response ×2", "pollable ×2"],
            "{version}"
        );
    }
}

#[tokio::test]
async fn a_journal_of_another_course_ends_the_attempt_at_the_first_difference() {
    let live = Arc::new(steps([0; 3]));
    run("0.2.0", "many", r#"{"count":4,"trap":0}"#, &live).await;
    let mut journal = live.journal();
    journal.asked[2] = Ask::Context;
    let play = Arc::new(steps([0; 3]).serving(journal));
    assert_eq!(
        run("0.2.0", "many", r#"{"count":4,"trap":0}"#, &play).await.end,
        AttemptEnd::Stopped
    );
    assert_eq!(play.diverged(), [3]);
}

#[tokio::test]
async fn an_answer_of_another_kind_is_the_fault_of_the_host() {
    let play = Arc::new(Play::new(|_| Reply::Give(Duration::ZERO, Got::Timer)));
    let end = run("0.2.0", "many", r#"{"count":1,"trap":0}"#, &play).await.end;
    assert!(matches!(end, AttemptEnd::Host { .. }), "{end:?}");
    let play = Arc::new(Play::new(|_| {
        Reply::Give(Duration::ZERO, Got::Http(Err(EffectError::Denied)))
    }));
    assert!(matches!(
        run("0.2.0", "many", r#"{"count":1,"trap":0}"#, &play).await.end,
        AttemptEnd::Ok { .. }
    ));
}
