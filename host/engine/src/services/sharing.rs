//! Hosts of one process that share the limits of a service, under a clock that jumps.
#![allow(clippy::unwrap_used)]

use super::places::{Places, Sharing};
use super::turns::Turns;
use crate::ports::clock::Clock;
use crate::ports::fleet::{Ask, Limits, SHARE_LEASE, Shared, Turns as Promised};
use crate::ports::store::StoreError;
use crate::testing::fake_clock::FakeClock;
use async_trait::async_trait;
use fusebox_core::ids::OwnerId;
use fusebox_core::policy::RateLimit;
use fusebox_core::share::{Claim, Share, share};
use fusebox_core::time::{Tick, Wall};
use fusebox_core::window::Window;
use futures::future::join_all;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// What the database would hold.
struct Together {
    clock: Arc<FakeClock>,
    places: Mutex<BTreeMap<OwnerId, (Claim, Wall)>>,
    window: Mutex<Window>,
    away: AtomicBool,
    asked: AtomicU32,
}

impl Together {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            clock: Arc::new(FakeClock::new()),
            places: Mutex::default(),
            window: Mutex::default(),
            away: AtomicBool::new(false),
            asked: AtomicU32::new(0),
        })
    }

    fn host(self: &Arc<Self>, number: u128) -> Sharing {
        Sharing {
            limits: Arc::clone(self) as _,
            clock: Arc::clone(&self.clock) as _,
            owner: OwnerId::new(Wall(0), number),
        }
    }

    /// An answer takes a moment, or never comes.
    async fn answer(&self) -> Result<(), StoreError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.clock.sleep(Duration::from_millis(2)).await;
        if self.away.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        Ok(())
    }
}

#[async_trait]
impl Limits for Together {
    async fn promise(
        &self,
        _: &Shared,
        limit: RateLimit,
        count: u32,
        within: Duration,
    ) -> Result<Promised, StoreError> {
        self.answer().await?;
        let now = self.clock.wall();
        let promised = self.window.lock().unwrap().reserve(limit, count, now, now + within);
        let after = promised.at.into_iter();
        Ok(Promised {
            after: after.map(|(at, count)| (at.since(now), count)).collect(),
            beyond: promised.beyond.map(|(_, at)| at.since(now)),
        })
    }

    async fn share(&self, _: &Shared, ask: &Ask) -> Result<Share, StoreError> {
        self.answer().await?;
        let now = self.clock.wall();
        let mut places = self.places.lock().unwrap();
        places.retain(|owner, (_, until)| *owner == ask.owner || *until > now);
        let unknown = Claim {
            held: 0,
            wanted: 0,
            since: now,
        };
        let before = places.get(&ask.owner).map_or(unknown, |(claim, _)| *claim);
        let asked = before.renewed(ask.held, ask.wanted, now);
        places.insert(ask.owner.clone(), (asked, now + SHARE_LEASE));
        let own = places.keys().position(|owner| *owner == ask.owner).unwrap();
        let claims: Vec<_> = places.values().map(|(claim, _)| *claim).collect();
        let share = share(ask.limit, own, &claims);
        if share.held == 0 && ask.wanted == 0 {
            places.remove(&ask.owner);
        } else {
            let claim = asked.renewed(share.held, ask.wanted, now);
            places.insert(ask.owner.clone(), (claim, now + SHARE_LEASE));
        }
        Ok(share)
    }
}

fn search() -> Shared {
    Shared {
        tenant: Arc::from("t"),
        service: Arc::from("search"),
    }
}

/// Requests that are in flight, and the most that were at once.
#[derive(Default)]
struct Flying(AtomicU32, AtomicU32);

/// Sends one request after the other until then; says how many.
async fn send(places: Arc<Places>, clock: Arc<FakeClock>, flying: Arc<Flying>, until: Tick) -> u32 {
    let mut sent = 0;
    while clock.tick() < until {
        let _place = places.acquire().await.unwrap();
        let now = flying.0.fetch_add(1, Ordering::SeqCst) + 1;
        flying.1.fetch_max(now, Ordering::SeqCst);
        clock.sleep(Duration::from_millis(50)).await;
        flying.0.fetch_sub(1, Ordering::SeqCst);
        sent += 1;
    }
    sent
}

/// What each host has sent in 60 s with so many callers, and the most that were in flight at once.
async fn contest(limit: u32, callers: &[usize]) -> (Vec<u32>, u32) {
    let together = Together::new();
    let flying = Arc::new(Flying::default());
    let until = together.clock.tick() + SECOND * 60;
    let hosts = callers.iter().enumerate().map(|(number, callers)| {
        let places = Places::shared(limit, search(), &together.host(number as u128));
        let sends = (0..*callers).map(|_| {
            let (clock, flying) = (Arc::clone(&together.clock), Arc::clone(&flying));
            tokio::spawn(send(Arc::clone(&places), clock, flying, until))
        });
        join_all(sends.collect::<Vec<_>>())
    });
    let hosts = join_all(hosts.collect::<Vec<_>>()).await;
    let sent = hosts.into_iter().map(|sent| sent.into_iter().map(Result::unwrap).sum());
    (sent.collect(), flying.1.load(Ordering::SeqCst))
}

#[tokio::test(start_paused = true)]
async fn hosts_together_have_no_more_in_flight_than_the_service_bears() {
    let (sent, most) = contest(10, &[20, 20, 20]).await;
    assert_eq!(most, 10);
    // 10 at once, 20 a second each: 12,000 in a minute.
    assert!(sent.iter().sum::<u32>() > 11_500, "{sent:?}");
    assert!(sent.iter().all(|sent| *sent > 3_000), "{sent:?}");
}

#[tokio::test(start_paused = true)]
async fn one_place_goes_round() {
    let (sent, most) = contest(1, &[2, 2, 2]).await;
    assert_eq!(most, 1);
    assert!(sent.iter().all(|sent| *sent > 150), "{sent:?}");
}

#[tokio::test(start_paused = true)]
async fn who_wants_less_than_a_fair_part_waits_for_nobody() {
    let (sent, most) = contest(10, &[1, 40]).await;
    // What it wants ahead is not used.
    assert_eq!(most, 9);
    assert!(sent[0] > 1_100, "{sent:?}");
    assert!(sent.iter().sum::<u32>() > 10_000, "{sent:?}");
}

#[tokio::test(start_paused = true)]
async fn a_host_that_uses_a_service_no_more_gives_its_places_back() {
    let together = Together::new();
    let places = Places::shared(10, search(), &together.host(1));
    drop(places.acquire().await.unwrap());
    assert_eq!(together.places.lock().unwrap().len(), 1);
    together.clock.sleep(SECOND * 30).await;
    assert_eq!(together.places.lock().unwrap().len(), 0);
    let asked = together.asked.load(Ordering::SeqCst);
    together.clock.sleep(SECOND * 60).await;
    assert_eq!(
        together.asked.load(Ordering::SeqCst),
        asked,
        "what is not used is not asked for"
    );
    drop(places.acquire().await.unwrap());
    drop(places);
    together.clock.sleep(SECOND).await;
    assert_eq!(together.places.lock().unwrap().len(), 0, "the tool is gone");
}

#[tokio::test(start_paused = true)]
async fn more_or_fewer_places_count_those_that_are_taken() {
    let together = Together::new();
    for shared in [false, true] {
        let places = if shared {
            Places::shared(4, search(), &together.host(1))
        } else {
            Places::own(4)
        };
        let flying = Arc::new(Flying::default());
        let clock = &together.clock;
        let until = clock.tick() + SECOND * 40;
        let sends =
            (0..20).map(|_| tokio::spawn(send(Arc::clone(&places), Arc::clone(clock), Arc::clone(&flying), until)));
        let sends: Vec<_> = sends.collect();
        for limit in [4, 2, 3, 1, 6] {
            places.resize(limit);
            // What is changed back at once leaves nothing behind.
            places.resize(9);
            places.resize(limit);
            clock.sleep(SECOND * 4).await;
            flying.1.store(0, Ordering::SeqCst);
            clock.sleep(SECOND * 4).await;
            assert_eq!(flying.1.load(Ordering::SeqCst), limit, "shared: {shared}");
            let claims: Vec<_> = together
                .places
                .lock()
                .unwrap()
                .values()
                .map(|(claim, _)| claim.held)
                .collect();
            assert!(
                claims.iter().sum::<u32>() <= limit && claims.is_empty() != shared,
                "{claims:?}"
            );
        }
        for sent in join_all(sends).await {
            sent.unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_cannot_ask_goes_on_and_falls_into_line_afterwards() {
    let together = Together::new();
    together.away.store(true, Ordering::SeqCst);
    let places = [1, 2].map(|host| Places::shared(4, search(), &together.host(host)));
    let mut held = Vec::new();
    for places in &places {
        for _ in 0..4 {
            held.push(places.acquire().await.unwrap());
        }
    }
    together.away.store(false, Ordering::SeqCst);
    together.clock.sleep(SECOND * 10).await;
    drop(held);
    together.clock.sleep(SECOND * 10).await;
    let flying = Arc::new(Flying::default());
    let until = together.clock.tick() + SECOND * 10;
    let sends = places.iter().flat_map(|places| {
        let (places, clock, flying) = (places, &together.clock, &flying);
        (0..8).map(move |_| send(Arc::clone(places), Arc::clone(clock), Arc::clone(flying), until))
    });
    join_all(sends.collect::<Vec<_>>()).await;
    assert_eq!(flying.1.load(Ordering::SeqCst), 4);
}

fn five_a_second() -> RateLimit {
    RateLimit {
        requests: 5,
        per: SECOND,
    }
}

fn turns(together: &Arc<Together>, host: u128) -> Arc<Turns> {
    Turns::new(five_a_second(), Some(&(&together.host(host), search())))
}

#[tokio::test(start_paused = true)]
async fn hosts_together_start_no_more_than_the_limit_and_ask_for_many_at_once() {
    let together = Together::new();
    let hosts = [1, 2].map(|host| turns(&together, host));
    let latest = together.clock.tick() + SECOND * 100;
    let asks = (0..40).map(|number| {
        let (turns, clock) = (Arc::clone(&hosts[number % 2]), Arc::clone(&together.clock));
        async move { turns.reserve(clock.as_ref(), latest).await.unwrap() }
    });
    let mut starts = join_all(asks.collect::<Vec<_>>()).await;
    for host in 0..2 {
        let own: Vec<_> = starts.iter().skip(host).step_by(2).collect();
        assert!(own.is_sorted(), "first come, first served: {own:?}");
    }
    starts.sort();
    for window in starts.windows(6) {
        assert!(
            window[5].since(window[0]) >= SECOND - Duration::from_millis(3),
            "{window:?}"
        );
    }
    assert!(together.asked.load(Ordering::SeqCst) <= 4);
    assert!(starts[39].since(starts[0]) < SECOND * 8, "{starts:?}");
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_comes_too_late_is_refused_and_one_that_is_given_back_is_used() {
    let together = Together::new();
    let turns = turns(&together, 1);
    let clock = together.clock.as_ref();
    let far = clock.tick() + SECOND * 100;
    for _ in 0..5 {
        turns.reserve(clock, far).await.unwrap();
    }
    let next = turns.reserve(clock, far).await.unwrap();
    let early = turns.reserve(clock, clock.tick() + SECOND / 2).await;
    assert!(
        early.is_err_and(|wait| wait > SECOND / 2 && wait < SECOND * 2),
        "{early:?}"
    );
    turns.give_back(next);
    let asked = together.asked.load(Ordering::SeqCst);
    assert_eq!(turns.reserve(clock, far).await, Ok(next));
    assert_eq!(together.asked.load(Ordering::SeqCst), asked);
    turns.reserve(clock, far).await.unwrap();
    assert_eq!(together.asked.load(Ordering::SeqCst), asked + 1, "it was given once");
}

#[tokio::test(start_paused = true)]
async fn a_host_that_cannot_ask_keeps_the_limit_by_itself() {
    let together = Together::new();
    together.away.store(true, Ordering::SeqCst);
    let turns = turns(&together, 1);
    let clock = together.clock.as_ref();
    let far = clock.tick() + SECOND * 100;
    let mut starts = Vec::new();
    for _ in 0..12 {
        starts.push(turns.reserve(clock, far).await.unwrap());
    }
    for window in starts.windows(6) {
        assert!(window[5].since(window[0]) >= SECOND, "{window:?}");
    }
}
