//! One operation on a store, chosen at random from few names, so that they meet.

mod going_on;

use fusebox_core::ids::{LetterId, RunId};
use fusebox_engine::ports::store::{
    Claim, ErrorFilter, Fence, Finish, LetterChange, LetterFilter, Likeness, NewRun, RunFilter, Store, ToolChange,
};
use fusebox_engine::records::{ErrorRecord, LetterRecord, RunRecord};
use fusebox_engine::requests::digest_of;
use fusebox_engine::testing::store_contract::Subject;
use fusebox_engine::testing::store_contract::samples as sample;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use std::fmt::Debug;
use std::time::Duration;

use going_on::{GoesOn, goes_on};

const TENANTS: [&str; 2] = ["default", "other"];
const HOUR: Duration = Duration::from_secs(3600);

#[derive(Clone, Debug)]
pub(crate) enum Operation {
    Claim {
        run: u64,
        key: Option<u8>,
        payload: u8,
        tenant: bool,
    },
    Renew {
        run: u64,
        fence: usize,
    },
    Attempt {
        run: u64,
        fence: usize,
        number: u32,
    },
    Finish {
        run: u64,
        fence: usize,
        keep: bool,
        letter: Letter,
    },
    Record {
        run: u64,
        letter: Letter,
    },
    LoseCaller {
        run: u64,
        lost: bool,
    },
    Lease {
        letter: u64,
        owner: u64,
    },
    Release {
        letter: u64,
        run: u64,
        fence: usize,
    },
    Purge {
        letters: Vec<u64>,
    },
    Retain {
        hours: u32,
    },
    RetainAll {
        hours: u32,
    },
    Pass {
        hours: u32,
    },
    PutPages {
        pages: Vec<u8>,
    },
    Deploy {
        tool: u8,
        manifest: u8,
        component: u8,
        tenant: bool,
    },
    Change {
        tool: u8,
        change: ToolChange,
    },
    Swap {
        breaker: u8,
        expected: i64,
    },
    Errors {
        tools: Vec<u8>,
    },
    GoesOn(GoesOn),
}

#[derive(Clone, Debug)]
pub(crate) enum Letter {
    None,
    Close,
    Enqueue {
        id: u64,
        kind: u8,
        expires: Option<bool>,
        pages: Vec<u8>,
    },
}

fn letter() -> impl Strategy<Value = Letter> {
    let pages = proptest::collection::vec(0..6_u8, 0..4);
    let enqueue = (0..8_u64, 0..4_u8, proptest::option::of(any::<bool>()), pages);
    let enqueue = enqueue.prop_map(|(id, kind, expires, pages)| Letter::Enqueue {
        id,
        kind,
        expires,
        pages,
    });
    prop_oneof![1 => Just(Letter::None), 1 => Just(Letter::Close), 3 => enqueue]
}

pub(crate) fn operation() -> impl Strategy<Value = Operation> {
    let (run, fence) = (0..10_u64, 0..12_usize);
    let change = prop_oneof![
        Just(ToolChange::Enable),
        Just(ToolChange::Disable),
        Just(ToolChange::Remove)
    ];
    prop_oneof![
        30 => goes_on().prop_map(Operation::GoesOn),
        6 => (run.clone(), proptest::option::of(0..3_u8), 0..2_u8, any::<bool>())
            .prop_map(|(run, key, payload, tenant)| Operation::Claim { run, key, payload, tenant }),
        2 => (run.clone(), fence.clone()).prop_map(|(run, fence)| Operation::Renew { run, fence }),
        2 => (run.clone(), fence.clone(), 1..5_u32)
            .prop_map(|(run, fence, number)| Operation::Attempt { run, fence, number }),
        6 => (run.clone(), fence.clone(), any::<bool>(), letter())
            .prop_map(|(run, fence, keep, letter)| Operation::Finish { run, fence, keep, letter }),
        2 => (run.clone(), letter()).prop_map(|(run, letter)| Operation::Record { run, letter }),
        2 => (run.clone(), any::<bool>()).prop_map(|(run, lost)| Operation::LoseCaller { run, lost }),
        4 => (0..8_u64, 0..3_u64).prop_map(|(letter, owner)| Operation::Lease { letter, owner }),
        2 => (0..8_u64, 0..10_u64, fence).prop_map(|(letter, run, fence)| Operation::Release { letter, run, fence }),
        1 => proptest::collection::vec(0..8_u64, 0..4).prop_map(|letters| Operation::Purge { letters }),
        1 => (0..40_u32).prop_map(|hours| Operation::Retain { hours }),
        2 => (0..40_u32).prop_map(|hours| Operation::RetainAll { hours }),
        3 => (1..30_u32).prop_map(|hours| Operation::Pass { hours }),
        1 => proptest::collection::vec(0..6_u8, 0..5).prop_map(|pages| Operation::PutPages { pages }),
        2 => (0..2_u8, 0..2_u8, 0..2_u8, any::<bool>())
            .prop_map(|(tool, manifest, component, tenant)| Operation::Deploy { tool, manifest, component, tenant }),
        1 => (0..2_u8, change).prop_map(|(tool, change)| Operation::Change { tool, change }),
        1 => (0..2_u8, 0..3_i64).prop_map(|(breaker, expected)| Operation::Swap { breaker, expected }),
        1 => proptest::collection::vec(0..2_u8, 0..3).prop_map(|tools| Operation::Errors { tools }),
    ]
}

/// Times in records are those of hosts, and the same for both stores: long over or far away, whatever time passes.
const START: i64 = 1_767_225_600_000;
const FAR: i64 = 4_102_444_800_000;

fn when(far: bool) -> i64 {
    if far { FAR } else { START }
}

fn tenant(other: bool) -> &'static str {
    TENANTS[usize::from(other)]
}

/// A run whose times are the same for both stores.
fn record(run: u64) -> RunRecord {
    RunRecord {
        created: START + i64::try_from(run).unwrap(),
        clock: START,
        ..sample::run(run)
    }
}

fn finish(run: u64, keep_key: bool, letter: &Letter) -> Finish {
    let record = record(run);
    let mut ended = sample::failed(&record, "failed");
    ended.finished = Some(when(run.is_multiple_of(4)));
    let letter = match letter {
        Letter::None => LetterChange::None,
        Letter::Close => LetterChange::Close,
        Letter::Enqueue {
            id,
            kind,
            expires,
            pages,
        } => {
            ended.state = ["dead-lettered", "in-doubt"][usize::from(*kind == 2)].to_owned();
            ended.in_doubt = if *kind == 2 { vec![1, 2] } else { Vec::new() };
            ended.finished = ended.finished.filter(|_| run.is_multiple_of(2));
            LetterChange::Enqueue(Box::new(LetterRecord {
                auto_replay: *kind == 3,
                kind: ["retryable", "known-bad", "in-doubt", "retryable"][usize::from(*kind)].to_owned(),
                first_failed: START + i64::try_from(*id).unwrap(),
                last_failed: START,
                expires: expires.map(when),
                snapshot: Some(sample::snapshot(
                    &pages.iter().map(|n| sample::page(*n)).collect::<Vec<_>>(),
                )),
                ..sample::letter(*id, &ended)
            }))
        }
    };
    Finish {
        run: ended,
        keep_key,
        letter,
        journal: (5..7).map(|n| sample::settled(n, n)).filter(|_| keep_key).collect(),
    }
}

/// The answer, without what only the present explains: times that are neither of the two above.
fn told(answer: &impl Debug) -> String {
    let text = format!("{answer:?}");
    let mut out = String::with_capacity(text.len());
    for word in text.split_inclusive(|c: char| !c.is_ascii_digit()) {
        let digits = word.trim_end_matches(|c: char| !c.is_ascii_digit());
        let stands = |n: i64| n == FAR || (START..START + 10_000).contains(&n);
        let present = digits.len() == 13 && !digits.parse().is_ok_and(stands);
        let time = present || out.ends_with("until: Some(");
        out.push_str(if time { "TIME" } else { digits });
        out.push_str(&word[digits.len()..]);
    }
    out
}

/// Mostly the newest fence of the run, sometimes one that was lost or is another run's.
fn fence(won: &[(RunId, Fence)], run: u64, n: usize) -> Fence {
    let newest = won.iter().rev().find(|(id, _)| *id == sample::run_id(run));
    let any = won.get(n % (won.len() + 1));
    let stranger = Fence {
        owner: sample::owner(99),
        epoch: 1,
    };
    let chosen = if n.is_multiple_of(4) { any } else { newest };
    chosen.map_or(stranger, |(_, fence)| fence.clone())
}

impl Operation {
    /// Performs it and tells the answer; a fence that was won joins `fences`.
    pub(crate) async fn perform(
        &self,
        subject: &dyn Subject,
        store: &dyn Store,
        fences: &mut Vec<(RunId, Fence)>,
    ) -> String {
        let won = &*fences;
        let fence = |run: u64, n: &usize| fence(won, run, *n);
        let home = TENANTS[0];
        match self {
            Self::Claim {
                run,
                key,
                payload,
                tenant: other,
            } => {
                let mut new = NewRun {
                    lease: HOUR,
                    ..sample::new_run(*run, key.map(|key| ["a", "b", "c"][usize::from(key)]))
                };
                tenant(*other).clone_into(&mut new.run.tenant);
                new.run.fingerprint = digest_of(&[*payload]);
                new.run.created = START + i64::try_from(*run).unwrap();
                new.run.clock = START;
                let claim = store.claim(new).await;
                if let Ok(Claim::Fresh(fence)) = &claim {
                    fences.push((sample::run_id(*run), fence.clone()));
                }
                told(&claim)
            }
            Self::Renew { run, fence: n } => {
                told(&store.renew(home, &sample::run_id(*run), &fence(*run, n), HOUR).await)
            }
            Self::LoseCaller { run, lost } => told(&store.lose_caller(home, &sample::run_id(*run), *lost).await),
            Self::Attempt { run, fence: n, number } => {
                let attempt = sample::attempt(*number);
                told(
                    &store
                        .record_attempt(home, &sample::run_id(*run), &fence(*run, n), &attempt)
                        .await,
                )
            }
            Self::Finish {
                run,
                fence: n,
                keep,
                letter,
            } => told(&store.finish(&fence(*run, n), finish(*run, *keep, letter)).await),
            Self::Record { run, letter } => told(&store.record_finished(vec![finish(*run, false, letter)]).await),
            Self::Lease { letter, owner } => {
                let leased = store
                    .lease_letter(home, &sample::letter_id(*letter), &sample::owner(*owner), HOUR)
                    .await;
                if let Ok((letter, fence)) = &leased {
                    fences.push((letter.run.id.clone(), fence.clone()));
                }
                told(&leased)
            }
            Self::Release { letter, run, fence: n } => told(
                &store
                    .release_letter(home, &sample::letter_id(*letter), &fence(*run, n))
                    .await,
            ),
            Self::Purge { letters } => {
                let ids: Vec<LetterId> = letters.iter().map(|n| sample::letter_id(*n)).collect();
                told(&store.purge(home, &ids).await)
            }
            Self::Retain { hours } => told(&store.retain(home, HOUR * *hours).await),
            Self::RetainAll { hours } => {
                subject.keep_days().await;
                told(&store.retain_all(HOUR * *hours).await)
            }
            Self::Pass { hours } => {
                // Half an hour more, so that no age falls on the edge of a limit while the test runs.
                subject.pass(HOUR * *hours + HOUR / 2).await;
                String::new()
            }
            Self::PutPages { pages } => {
                let pages: Vec<_> = pages.iter().map(|n| sample::page(*n)).collect();
                told(&store.put_pages(home, &pages).await)
            }
            Self::Deploy {
                tool,
                manifest,
                component,
                tenant: other,
            } => {
                let (mut record, bytes) = sample::tool(
                    &format!("tool-{tool}"),
                    &format!("m{manifest}"),
                    &format!("c{component}"),
                );
                record.deployed = START;
                tenant(*other).clone_into(&mut record.tenant);
                told(&store.deploy(record, bytes).await)
            }
            Self::Change { tool, change } => told(&store.change_tool(home, &format!("tool-{tool}"), *change).await),
            Self::Swap { breaker, expected } => {
                let breaker = sample::breaker(&format!("service-{breaker}"), expected + 1);
                told(&store.swap_breaker(home, *expected, &breaker).await)
            }
            Self::Errors { tools } => {
                let errors = tools.iter().map(|tool| ErrorRecord {
                    at: when(*tool == 0),
                    ..sample::error(home, &format!("tool-{tool}"))
                });
                told(&store.append_errors(errors.collect()).await)
            }
            Self::GoesOn(operation) => operation.perform(store, fences).await,
        }
    }
}

/// Everything that can be read, of both tenants.
pub(crate) async fn everything(store: &dyn Store) -> String {
    let mut all = Vec::new();
    for tenant in TENANTS {
        all.push(told(&store.tools(tenant).await));
        for state in [None, Some("running"), Some("failed"), Some("dead-lettered")] {
            let filter = RunFilter {
                state: state.map(str::to_owned),
                ..RunFilter::default()
            };
            all.push(told(&store.runs(tenant, &filter).await));
        }
        for payload in 0..2_u8 {
            let likeness = Likeness {
                principal: "local",
                tool: "search",
                function: "query",
                fingerprint: digest_of(&[payload]),
            };
            all.push(told(&store.alike(tenant, &likeness, 0).await));
        }
        for closed in [false, true] {
            let filter = LetterFilter {
                closed,
                ..LetterFilter::default()
            };
            all.push(told(&store.letters(tenant, &filter).await));
        }
        all.extend(going_on::everything(store, tenant).await);
        for n in 0..10 {
            all.push(told(&store.letter_of(tenant, &sample::run_id(n)).await));
        }
        for n in 0..6 {
            all.push(told(
                &store
                    .page(tenant, sample::page(n).digest)
                    .await
                    .map(|page| page.is_some()),
            ));
        }
        for component in ["c0", "c1"] {
            all.push(told(&store.component(tenant, digest_of(component.as_bytes())).await));
        }
        all.push(told(&store.breakers(tenant).await));
        all.push(told(&store.errors(tenant, &ErrorFilter::default()).await));
    }
    all.push(told(&store.waiting(0).await));
    let sorted = |mut tenants: Vec<String>| {
        tenants.sort();
        tenants
    };
    all.push(told(&store.tenants().await.map(sorted)));
    all.join("\n")
}
