//! Admission under threads, permits that are lost, and the bound on keys.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::memory_store::MemoryStore;
use crate::ports::fleet::Alone;
use crate::testing::fixed_ports::SeededEntropy;
use async_trait::async_trait;
use fusebox_core::policy::ServiceKind;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// A clock that a test turns by hand, from any thread.
#[derive(Default)]
struct Turned(AtomicU64);

impl Turned {
    fn pass(&self, time: Duration) {
        self.0
            .fetch_add(u64::try_from(time.as_nanos()).unwrap(), Ordering::SeqCst);
    }
}

#[async_trait]
impl Clock for Turned {
    fn tick(&self) -> Tick {
        Tick(self.0.load(Ordering::SeqCst))
    }

    fn wall(&self) -> Wall {
        Wall(i64::try_from(self.0.load(Ordering::SeqCst) / 1_000_000).unwrap())
    }

    /// Background tasks of these tests never wake.
    async fn sleep(&self, _duration: Duration) {
        std::future::pending().await
    }
}

const COOLDOWN: Duration = Duration::from_secs(100);

/// Trips at the first failure, and lets `probes` through when its cooldown is over.
fn policy(probes: u32) -> BreakerPolicy {
    BreakerPolicy {
        failure_threshold: Some(1),
        cooldown: COOLDOWN,
        half_open_probes: probes,
        ..BreakerPolicy::of_kind(ServiceKind::Http)
    }
}

fn cell(clock: &Arc<Turned>, probes: u32) -> Arc<Cell> {
    let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(1));
    Cell::alone(&(Arc::clone(clock) as Arc<dyn Clock>), &entropy, "a", &policy(probes))
}

fn trip(cell: &Arc<Cell>, clock: &Turned) {
    cell.admit(clock.tick())
        .unwrap_or_else(|_| unreachable!())
        .settle(Verdict::Failure, Duration::ZERO, clock.tick());
    assert!(cell.peek(clock.tick()).is_err());
}

fn state(cell: &Cell) -> String {
    cell.record().state
}

#[test]
fn case_08_a_thousand_racers_at_expiry_admit_exactly_as_many_as_the_policy_says() {
    for probes in [1, 3] {
        let clock = Arc::new(Turned::default());
        let cell = cell(&clock, probes);
        trip(&cell, &clock);
        clock.pass(COOLDOWN);
        let (admitted, start) = (AtomicUsize::new(0), Barrier::new(1000));
        let held = Mutex::new(Vec::new());
        std::thread::scope(|threads| {
            for _ in 0..1000 {
                threads.spawn(|| {
                    start.wait();
                    if let Ok(permit) = cell.admit(clock.tick()) {
                        admitted.fetch_add(1, Ordering::SeqCst);
                        held.lock().unwrap().push(permit);
                    }
                });
            }
        });
        assert_eq!(admitted.load(Ordering::SeqCst), probes as usize);
        assert_eq!(
            held.lock().unwrap().iter().filter(|held| held.began_probing()).count(),
            1
        );
    }
}

/// Racers are admitted, then drop their permits or settle them, in the orders that shuttle tries.
#[test]
fn case_08_no_interleaving_admits_more_than_the_policy_says() {
    const PROBES: usize = 2;
    lock::explore(500, || {
        let clock = Arc::new(Turned::default());
        let cell = cell(&clock, 2);
        trip(&cell, &clock);
        clock.pass(COOLDOWN);
        let (out, began) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let racers = (0..5).map(|racer| {
            let (cell, clock) = (Arc::clone(&cell), Arc::clone(&clock));
            let (out, began) = (Arc::clone(&out), Arc::clone(&began));
            shuttle::thread::spawn(move || {
                let Ok(held) = cell.admit(clock.tick()) else { return };
                assert!(
                    out.fetch_add(1, Ordering::SeqCst) < PROBES,
                    "more probes are out than the policy says"
                );
                began.fetch_add(usize::from(held.began_probing()), Ordering::SeqCst);
                shuttle::thread::yield_now();
                out.fetch_sub(1, Ordering::SeqCst);
                if racer % 2 == 0 {
                    held.settle(Verdict::Ignored, Duration::ZERO, clock.tick());
                }
            })
        });
        for racer in racers.collect::<Vec<_>>() {
            racer.join().unwrap();
        }
        assert_eq!(
            began.load(Ordering::SeqCst),
            1,
            "whoever caused the half-open state probes first"
        );
        assert_eq!(state(&cell), "half-open");
    });
}

#[test]
fn case_01_a_permit_that_is_dropped_gives_its_slot_back_and_counts_as_nothing() {
    let clock = Arc::new(Turned::default());
    let cell = cell(&clock, 1);
    trip(&cell, &clock);
    clock.pass(COOLDOWN);
    let probe = cell.admit(clock.tick());
    assert!(probe.is_ok() && cell.admit(clock.tick()).is_err());
    drop(probe);
    assert_eq!(state(&cell), "half-open");
    assert!(cell.admit(clock.tick()).is_ok());
}

#[test]
fn case_16_a_panic_releases_the_permit() {
    let clock = Arc::new(Turned::default());
    let cell = cell(&clock, 1);
    trip(&cell, &clock);
    clock.pass(COOLDOWN);
    let panicked = std::thread::scope(|threads| {
        let panicking = threads.spawn(|| {
            let _probe = cell.admit(clock.tick());
            std::panic::resume_unwind(Box::new("a defect"));
        });
        panicking.join()
    });
    assert!(panicked.is_err());
    let probe = cell.admit(clock.tick()).unwrap_or_else(|_| unreachable!());
    probe.settle(Verdict::Success, Duration::ZERO, clock.tick());
    assert_eq!(state(&cell), "closed");
}

fn registry(clock: &Arc<Turned>) -> Arc<Breakers> {
    let entropy = Arc::new(SeededEntropy::new(1));
    Breakers::start(
        Arc::new(MemoryStore::new()),
        Arc::new(Alone::default()),
        Arc::clone(clock) as _,
        entropy,
    )
}

#[tokio::test]
async fn case_17_ten_thousand_keys_are_bounded_and_an_open_one_is_never_forgotten() {
    let clock = Arc::new(Turned::default());
    let (breakers, tenant) = (registry(&clock), Arc::from("t"));
    let make = |key: &str| breakers.configured(&tenant, key, &policy(1), &[]);
    let used = make("used");
    trip(&make("open"), &clock);
    // The writer lets go of it, so that nothing but its state keeps it.
    while Arc::strong_count(&make("open")) > 2 {
        tokio::task::yield_now().await;
    }
    for number in 0..3 * KEPT {
        make(&number.to_string());
    }
    let kept = breakers.of_tenant("t");
    assert!(kept.len() <= KEPT + 1, "{}", kept.len());
    assert_eq!(state(&make("open")), "open");
    assert!(
        Arc::ptr_eq(&used, &make("used")),
        "a breaker in use stays the same for all"
    );
}

#[tokio::test]
async fn a_host_whose_transition_comes_second_takes_the_first_one_over() {
    let clock = Arc::new(Turned::default());
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let start = |seed| {
        Breakers::start(
            Arc::clone(&store),
            Arc::new(Alone::default()),
            Arc::clone(&clock) as _,
            Arc::new(SeededEntropy::new(seed)),
        )
    };
    let (one, two, tenant) = (start(1), start(2), Arc::from("t"));
    let cells = [&one, &two].map(|host| host.configured(&tenant, "a", &policy(1), &[]));
    trip(&cells[0], &clock);
    assert_eq!(one.publish(&cells[0]).await, Published::Ours);
    clock.pass(Duration::from_secs(10));
    trip(&cells[1], &clock);
    assert_eq!(two.publish(&cells[1]).await, Published::Theirs);
    assert_eq!(cells[1].record().until, cells[0].record().until);
    clock.pass(COOLDOWN - Duration::from_secs(10));
    // Both cooldowns are over: the one who writes first probes, the other waits for what becomes of it.
    let probes = [0, 1].map(|host: usize| cells[host].admit(clock.tick()).unwrap_or_else(|_| unreachable!()));
    assert!(probes.iter().all(Held::began_probing));
    assert_eq!(two.publish(&cells[1]).await, Published::Ours);
    assert_eq!(one.publish(&cells[0]).await, Published::Theirs);
    assert!(cells[0].admit(clock.tick()).is_err());
}

/// A clock whose wall time is off by some milliseconds, and whose ticks count from elsewhere.
struct Wrong(Arc<Turned>, i64);

#[async_trait]
impl Clock for Wrong {
    fn tick(&self) -> Tick {
        self.0.tick() + Duration::from_secs(self.1.unsigned_abs())
    }

    fn wall(&self) -> Wall {
        Wall(self.0.wall().0 + self.1)
    }

    async fn sleep(&self, duration: Duration) {
        self.0.sleep(duration).await;
    }
}

#[tokio::test]
async fn a_cooldown_ends_for_all_hosts_at_once_though_their_clocks_are_wrong() {
    const HOUR: i64 = 3_600_000;
    let (clock, tenant) = (Arc::new(Turned::default()), Arc::from("t"));
    let store: Arc<dyn Store> = Arc::new(MemoryStore::with_clock(Arc::clone(&clock) as _));
    let start = |off: i64| {
        let clock = Arc::new(Wrong(Arc::clone(&clock), off));
        let host = Breakers::start(
            Arc::clone(&store),
            Arc::new(Alone::default()),
            Arc::clone(&clock) as _,
            Arc::new(SeededEntropy::new(1)),
        );
        (host, clock)
    };
    let ((late, by_late), (early, by_early)) = (start(-HOUR), start(HOUR));
    assert_eq!(late.stored("t").await, []);
    let tripped = late.configured(&tenant, "a", &policy(1), &[]);
    tripped.admit(by_late.tick()).unwrap_or_else(|_| unreachable!()).settle(
        Verdict::Failure,
        Duration::ZERO,
        by_late.tick(),
    );
    assert_eq!(late.publish(&tripped).await, Published::Ours);
    let restored = early.configured(&tenant, "a", &policy(1), &early.stored("t").await);
    let until = tripped.record().until.unwrap();
    assert_eq!(until, restored.record().until.unwrap());
    clock.pass(Duration::from_millis(u64::try_from(until).unwrap() - 1));
    assert!(tripped.peek(by_late.tick()).is_err() && restored.peek(by_early.tick()).is_err());
    clock.pass(Duration::from_millis(1));
    assert!(tripped.peek(by_late.tick()).is_ok() && restored.peek(by_early.tick()).is_ok());
}

#[tokio::test]
async fn case_19_a_changed_policy_bumps_the_epoch_and_an_equal_one_does_not() {
    let clock = Arc::new(Turned::default());
    let (breakers, tenant) = (registry(&clock), Arc::from("t"));
    let make = |probes| breakers.configured(&tenant, "a", &policy(probes), &[]).record().epoch;
    assert_eq!([make(1), make(1), make(2)], [0, 0, 1]);
}
