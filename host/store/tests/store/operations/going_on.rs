//! Operations on runs that go on: journals, children, rest and takeover, questions, doubt.

use super::{HOUR, START, fence, record, told, when};
use bytes::Bytes;
use fusebox_core::ids::RunId;
use fusebox_engine::ports::store::{
    Append, ApprovalFilter, Cut, Fence, Finish, Lane, LetterChange, NewRun, Resolution, Space, StateWrite, Store,
    Verdict,
};
use fusebox_engine::records::{ApprovalRecord, RedriveRecord, RunRecord};
use fusebox_engine::testing::store_contract::samples as sample;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Strategy, any, prop_oneof};

/// Children are called 20 and up; each has one root, whichever it is called by.
const CHILDREN: std::ops::Range<u64> = 20..26;

fn root_of(child: u64) -> u64 {
    child % 4
}

#[derive(Clone, Debug)]
pub(crate) enum GoesOn {
    Accept {
        run: u64,
        key: u8,
    },
    Append {
        run: u64,
        fence: usize,
        child: Option<u64>,
        effects: Vec<(u32, bool)>,
        rewound: Option<u32>,
        state: Vec<(bool, u8, bool)>,
        uses: Option<u64>,
    },
    GoOn {
        run: u64,
        fence: usize,
        child: Option<u64>,
        attempt: Option<u32>,
        drop: Vec<u32>,
        reopen: Vec<u32>,
    },
    Call {
        child: u64,
        key: u64,
        payload: u8,
        fence: usize,
    },
    Return {
        child: u64,
        fence: usize,
        state: u8,
        keep: bool,
    },
    Sleep {
        run: u64,
        fence: usize,
        far: Option<bool>,
    },
    Suspend {
        run: u64,
        fence: usize,
        approval: u64,
        far: bool,
    },
    Take {
        owner: u64,
        /// Whether its tool is busy.
        busy: bool,
    },
    TakeRun {
        run: u64,
        owner: u64,
    },
    Cancel {
        run: u64,
    },
    Decide {
        approval: u64,
        approved: bool,
    },
    Resolve {
        letter: u64,
        run: u64,
        seq: u32,
        how: u8,
    },
    Pin {
        letter: u64,
        pinned: bool,
    },
    Redrive {
        n: u64,
        ended: bool,
    },
}

pub(super) fn goes_on() -> impl Strategy<Value = GoesOn> {
    let (run, n) = (0..8_u64, 0..12_usize);
    let append = (
        run.clone(),
        n.clone(),
        option::of(CHILDREN),
        vec((1..6_u32, any::<bool>()), 0..4),
        option::of(1..6_u32),
        vec((any::<bool>(), 0..3_u8, any::<bool>()), 0..2),
        option::weighted(0.2, 0..4_u64),
    );
    let append = append.prop_map(|(run, fence, child, effects, rewound, state, uses)| GoesOn::Append {
        run,
        fence,
        child,
        effects,
        rewound,
        state,
        uses,
    });
    let numbers = || vec(1..6_u32, 0..3);
    let go_on = (
        run.clone(),
        n.clone(),
        option::of(CHILDREN),
        option::of(1..5_u32),
        numbers(),
        numbers(),
    );
    let go_on = go_on.prop_map(|(run, fence, child, attempt, drop, reopen)| GoesOn::GoOn {
        run,
        fence,
        child,
        attempt,
        drop,
        reopen,
    });
    prop_oneof![
        2 => (run.clone(), 0..3_u8).prop_map(|(run, key)| GoesOn::Accept { run, key }),
        6 => append,
        2 => go_on,
        4 => (CHILDREN, CHILDREN, 0..2_u8, n.clone())
            .prop_map(|(child, key, payload, fence)| GoesOn::Call { child, key, payload, fence }),
        4 => (CHILDREN, n.clone(), 0..4_u8, any::<bool>())
            .prop_map(|(child, fence, state, keep)| GoesOn::Return { child, fence, state, keep }),
        3 => (run.clone(), n.clone(), option::of(any::<bool>())).prop_map(|(run, fence, far)| GoesOn::Sleep { run, fence, far }),
        3 => (run.clone(), n, 0..4_u64, any::<bool>())
            .prop_map(|(run, fence, approval, far)| GoesOn::Suspend { run, fence, approval, far }),
        3 => (0..3_u64, proptest::bool::weighted(0.2)).prop_map(|(owner, busy)| GoesOn::Take { owner, busy }),
        4 => (0..26_u64, 0..3_u64).prop_map(|(run, owner)| GoesOn::TakeRun { run, owner }),
        2 => (0..26_u64).prop_map(|run| GoesOn::Cancel { run }),
        3 => (0..4_u64, any::<bool>()).prop_map(|(approval, approved)| GoesOn::Decide { approval, approved }),
        4 => (0..8_u64, 0..26_u64, 1..6_u32, 0..5_u8)
            .prop_map(|(letter, run, seq, how)| GoesOn::Resolve { letter, run, seq, how }),
        1 => (0..8_u64, any::<bool>()).prop_map(|(letter, pinned)| GoesOn::Pin { letter, pinned }),
        1 => (0..3_u64, any::<bool>()).prop_map(|(n, ended)| GoesOn::Redrive { n, ended }),
    ]
}

fn resting(run: u64, until: Option<i64>) -> RunRecord {
    RunRecord {
        until,
        attempts: vec![sample::attempt(1)],
        ..record(run)
    }
}

fn child(n: u64, key: u64, payload: u8) -> NewRun {
    let mut new = sample::nested(n, root_of(n), u32::try_from(key).unwrap());
    new.run.created = START;
    new.run.clock = START;
    new.run.fingerprint = fusebox_engine::requests::digest_of(&[payload]);
    new
}

fn returned(n: u64, state: u8, keep_key: bool) -> Finish {
    let run = child(n, n, 0).run;
    let mut run = match state {
        0 => sample::succeeded(&run),
        1 => sample::failed(&run, "failed"),
        2 => sample::failed(&run, "dead-lettered"),
        _ => sample::failed(&run, "in-doubt"),
    };
    run.finished = Some(START).filter(|_| state < 2);
    run.in_doubt = if state == 3 { vec![1] } else { Vec::new() };
    Finish {
        run,
        keep_key,
        letter: LetterChange::None,
        journal: vec![sample::intent(1)],
    }
}

fn effects(effects: &[(u32, bool)]) -> Vec<fusebox_engine::records::JournalRecord> {
    let record = |(seq, over): &(u32, bool)| {
        if *over {
            sample::settled(*seq, *seq)
        } else {
            sample::intent(*seq)
        }
    };
    effects.iter().map(record).collect()
}

fn write(run: u64, (own, key, put): (bool, u8, bool)) -> StateWrite {
    let space = if own {
        Space::Run(sample::run_id(run))
    } else {
        Space::Tool("tool-0".to_owned())
    };
    StateWrite {
        space,
        key: ["a", "ab", "b"][usize::from(key)].to_owned(),
        value: put.then(|| Bytes::from(vec![key; 3])),
    }
}

impl GoesOn {
    pub(super) async fn perform(&self, store: &dyn Store, fences: &mut Vec<(RunId, Fence)>) -> String {
        let home = "default";
        let won = fences.clone();
        let fence = |run: u64, n: usize| fence(&won, run, n);
        match self {
            Self::Accept { run, key } => {
                let mut new = sample::detached(*run, Some(["a", "b", "c"][usize::from(*key)]));
                new.run = RunRecord {
                    state: new.run.state,
                    detached: true,
                    key: new.run.key,
                    ..record(*run)
                };
                told(&store.claim(new).await)
            }
            Self::Append {
                run,
                fence: n,
                child,
                effects: list,
                rewound,
                state,
                uses,
            } => {
                let append = Append {
                    run: child.map(sample::run_id),
                    records: effects(list),
                    rewound: rewound.map(|seq| (seq, START)),
                    state: state.iter().map(|state| write(*run, *state)).collect(),
                    uses: uses.map(sample::approval_id),
                };
                told(
                    &store
                        .append(home, &sample::run_id(*run), &fence(*run, *n), append)
                        .await,
                )
            }
            Self::GoOn {
                run,
                fence: n,
                child,
                attempt,
                drop,
                reopen,
            } => {
                let (id, root) = (sample::run_id(child.unwrap_or(*run)), sample::run_id(*run));
                let attempt = attempt.map(sample::attempt);
                let cut = Cut {
                    drop: drop.clone(),
                    reopen: reopen.clone(),
                };
                let fence = fence(*run, *n);
                let went = store.go_on(home, &id, &root, &fence, attempt.as_ref(), &cut);
                told(&went.await)
            }
            Self::Call {
                child: n,
                key,
                payload,
                fence: f,
            } => {
                let new = child(*n, *key, *payload);
                told(&store.claim_nested(new, &fence(root_of(*n), *f)).await)
            }
            Self::Return {
                child: n,
                fence: f,
                state,
                keep,
            } => {
                let finish = returned(*n, *state, *keep);
                told(&store.finish_nested(&fence(root_of(*n), *f), finish).await)
            }
            Self::Sleep { run, fence: n, far } => {
                let until = far.map(when);
                let fence = fence(*run, *n);
                let slept = store.sleep(&fence, resting(*run, until), effects(&[(3, false)]));
                told(&slept.await)
            }
            Self::Suspend {
                run,
                fence: n,
                approval,
                far,
            } => {
                let run_record = resting(*run, None);
                let approval = ApprovalRecord {
                    expires: when(*far),
                    ..sample::approval(*approval, &run_record)
                };
                told(
                    &store
                        .suspend(&fence(*run, *n), run_record, approval, effects(&[(4, true)]))
                        .await,
                )
            }
            Self::Take { owner, busy } => {
                let busy = busy.then(|| Lane {
                    tenant: home.to_owned(),
                    tool: "search".to_owned(),
                });
                let busy = busy.as_slice();
                let mut taken = store.take(&sample::owner(*owner), HOUR, 100, busy).await;
                if let Ok(taken) = &mut taken {
                    // In which order they came is told by times, which are not the same for both.
                    taken.sort_by(|a, b| (&a.run.id, &a.run.tenant).cmp(&(&b.run.id, &b.run.tenant)));
                    fences.extend(taken.iter().map(|taken| (taken.run.id.clone(), taken.fence.clone())));
                }
                told(&taken)
            }
            Self::TakeRun { run, owner } => {
                let taken = store
                    .take_run(home, &sample::run_id(*run), &sample::owner(*owner), HOUR)
                    .await;
                if let Ok(taken) = &taken {
                    fences.push((taken.run.id.clone(), taken.fence.clone()));
                }
                told(&taken)
            }
            Self::Cancel { run } => {
                let cancelled = store.cancel(home, &sample::run_id(*run)).await;
                let wished = store.is_cancelled(home, &sample::run_id(*run)).await;
                told(&(cancelled, wished))
            }
            Self::Decide { approval, approved } => {
                let verdict = Verdict {
                    approved: *approved,
                    by: "ann".to_owned(),
                    reason: None,
                };
                told(&store.decide(home, &sample::approval_id(*approval), &verdict).await)
            }
            Self::Resolve { letter, run, seq, how } => {
                let id = sample::run_id(*run);
                let drop = vec![*seq + 1];
                let resolution = match how {
                    0 | 1 => Resolution::Happened {
                        run: id,
                        record: Box::new(sample::settled(*seq, 9)),
                        drop,
                    },
                    2 | 3 => Resolution::NotHappened {
                        run: id,
                        seq: *seq,
                        drop,
                    },
                    _ => Resolution::Close {
                        run: Box::new(RunRecord {
                            finished: Some(START),
                            ..sample::succeeded(&record(*run))
                        }),
                    },
                };
                told(&store.resolve(home, &sample::letter_id(*letter), resolution).await)
            }
            Self::Pin { letter, pinned } => told(&store.pin(home, &sample::letter_id(*letter), *pinned).await),
            Self::Redrive { n, ended } => {
                let redrive = RedriveRecord {
                    ended: ended.then_some(START),
                    ..sample::redrive(*n)
                };
                told(&store.put_redrive(&redrive).await)
            }
        }
    }
}

/// Everything of one tenant that these operations touch.
pub(super) async fn everything(store: &dyn Store, tenant: &str) -> Vec<String> {
    let mut all = Vec::new();
    for n in (0..10).chain(CHILDREN) {
        let id = sample::run_id(n);
        all.push(told(&store.journal(tenant, &id).await));
        all.push(told(&store.tree(tenant, &id).await));
        all.push(told(
            &store
                .run(tenant, &id)
                .await
                .map(|run| run.map(|run| run.seed == sample::run(0).seed)),
        ));
        all.push(told(&store.state_keys(tenant, &Space::Run(id), "a").await));
    }
    let tool = Space::Tool("tool-0".to_owned());
    all.push(told(&store.state_keys(tenant, &tool, "").await));
    all.push(told(&store.state(tenant, &tool, "a").await));
    for every in [false, true] {
        let filter = ApprovalFilter {
            all: every,
            ..ApprovalFilter::default()
        };
        all.push(told(&store.approvals(tenant, &filter).await));
    }
    all.push(told(&store.expired(tenant).await));
    all.push(told(&store.redrives(tenant).await));
    all
}
