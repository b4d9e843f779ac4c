//! The places of a service: how many of its requests are in flight at once, in all hosts of the database together.
//!
//! A host alone has all of them. One of several has a share, which grows and shrinks with what it uses. It asks for its share off the path of
//! calls; a request waits for that only when the share is used up. A host that cannot ask goes on with what it has.

use crate::ports::clock::Clock;
use crate::ports::fleet::{Ask, Limits, SHARE_LEASE, Shared};
use crate::ports::store::StoreError;
use fusebox_core::ids::OwnerId;
use fusebox_core::share::Share;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::{AcquireError, Notify, Semaphore, SemaphorePermit};

/// How long the database is waited for.
const ANSWER: Duration = Duration::from_secs(1);
/// How often a share is renewed: often enough that one renewal may fail.
const RENEW: Duration = Duration::from_secs(SHARE_LEASE.as_secs() / 5);
/// How often it is asked for more, or gives back, while there is not enough for all.
const CONTESTED: Duration = Duration::from_millis(500);

/// Places for requests.
pub(crate) struct Places {
    limit: AtomicU32,
    /// Whether a keeper asks for them; else all that there are, are here.
    shared: bool,
    free: Semaphore,
    /// How many there are here, free or taken.
    held: AtomicU32,
    waiting: AtomicU32,
    /// The most that were taken or waited for since the share was looked at.
    peak: AtomicU32,
    /// Places that were taken are given up once they are free.
    retiring: AtomicBool,
    bell: Arc<Bell>,
}

/// What there is to tell of places.
#[derive(Default)]
struct Bell {
    /// Somebody waits for one.
    short: Notify,
    /// Those that were in use are given up, there are more or fewer than before, or nobody is left who could want one.
    over: Notify,
}

/// How a host asks for its share.
#[derive(Clone)]
pub(crate) struct Sharing {
    pub(crate) limits: Arc<dyn Limits>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) owner: OwnerId,
}

impl Sharing {
    /// What the database answers, unless it takes too long.
    pub(super) async fn in_time<T>(&self, asked: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        tokio::select! {
            answer = asked => answer,
            () = self.clock.sleep(ANSWER) => Err(StoreError::Unavailable {
                reason: format!("no answer within {} s", ANSWER.as_secs()),
            }),
        }
    }
}

impl Sharing {
    /// Gives up what this host has of a service; says whether the database knows.
    pub(super) async fn leave(&self, of: &Shared) -> bool {
        let nothing = Ask {
            owner: self.owner.clone(),
            limit: 1,
            held: 0,
            wanted: 0,
        };
        match self.in_time(self.limits.share(of, &nothing)).await {
            Ok(_) => true,
            Err(error) => {
                tracing::debug!(service = &*of.service, tenant = &*of.tenant, %error, "places cannot be given back; they are free in a while");
                false
            }
        }
    }
}

impl Places {
    /// So many places, all of them here.
    pub(crate) fn own(limit: u32) -> Arc<Self> {
        let places = Arc::new(Self::new(limit, false));
        places.grow(places.limit());
        places
    }

    /// So many places in all hosts together, of which this one asks for as many as it uses.
    pub(crate) fn shared(limit: u32, of: Shared, sharing: &Sharing) -> Arc<Self> {
        let places = Arc::new(Self::new(limit, true));
        let keeper = Keeper {
            of,
            sharing: sharing.clone(),
            limit: places.limit(),
            wanted: 0,
            hosts: 1,
            alone: false,
        };
        tokio::spawn(keeper.keep(Arc::downgrade(&places), Arc::clone(&places.bell)));
        places
    }

    fn new(limit: u32, shared: bool) -> Self {
        Self {
            limit: AtomicU32::new(limit.max(1)),
            shared,
            free: Semaphore::new(0),
            held: AtomicU32::new(0),
            waiting: AtomicU32::new(0),
            peak: AtomicU32::new(0),
            retiring: AtomicBool::new(false),
            bell: Arc::default(),
        }
    }

    /// Waits for a place; first come, first served.
    pub(crate) async fn acquire(&self) -> Result<SemaphorePermit<'_>, AcquireError> {
        if let Ok(place) = self.free.try_acquire() {
            self.peak.fetch_max(self.taken(), Ordering::Relaxed);
            return Ok(place);
        }
        let _waiter = Waiter::of(&self.waiting);
        self.peak.fetch_max(self.in_demand(), Ordering::Relaxed);
        self.bell.short.notify_one();
        self.free.acquire().await
    }

    fn limit(&self) -> u32 {
        self.limit.load(Ordering::Acquire)
    }

    /// There are so many from now on, those counted that are taken.
    pub(crate) fn resize(self: &Arc<Self>, limit: u32) {
        if self.limit.swap(limit.max(1), Ordering::AcqRel) != limit.max(1) {
            self.fit();
        }
    }

    /// Has as many as there are, or has the keeper see to it.
    fn fit(self: &Arc<Self>) {
        if !self.shared {
            self.grow(self.limit());
        }
        self.shrink(self.limit());
        self.bell.over.notify_one();
    }

    /// Places that are here, free or taken.
    pub(crate) fn held(&self) -> u32 {
        self.held.load(Ordering::Acquire)
    }

    fn taken(&self) -> u32 {
        let free = u32::try_from(self.free.available_permits()).unwrap_or(u32::MAX);
        self.held().saturating_sub(free)
    }

    fn in_demand(&self) -> u32 {
        self.taken().saturating_add(self.waiting.load(Ordering::Acquire))
    }

    fn grow(&self, to: u32) {
        let more = to.saturating_sub(self.held());
        self.held.fetch_add(more, Ordering::AcqRel);
        self.free.add_permits(more as usize);
    }

    /// Gives up places until so many are left: those that are free now, those that are taken once they are free.
    fn shrink(self: &Arc<Self>, to: u32) {
        if self.retiring.load(Ordering::Acquire) {
            return;
        }
        let spare = self.held().saturating_sub(to);
        let forgotten = u32::try_from(self.free.forget_permits(spare as usize)).unwrap_or(spare);
        self.held.fetch_sub(forgotten, Ordering::AcqRel);
        let owed = spare - forgotten;
        if owed > 0 {
            self.retiring.store(true, Ordering::Release);
            let places = Arc::clone(self);
            tokio::spawn(async move {
                // In line with the others: who came before is served, who comes later waits.
                if let Ok(retired) = places.free.acquire_many(owed).await {
                    retired.forget();
                    places.held.fetch_sub(owed, Ordering::AcqRel);
                }
                places.retiring.store(false, Ordering::Release);
                // There may be more or fewer by now.
                places.fit();
            });
        }
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        self.bell.over.notify_one();
    }
}

/// One who waits, until it is dropped.
struct Waiter<'a>(&'a AtomicU32);

impl<'a> Waiter<'a> {
    fn of(waiting: &'a AtomicU32) -> Self {
        waiting.fetch_add(1, Ordering::AcqRel);
        Self(waiting)
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Keeps the share of one service in step with what this host uses and what others want.
struct Keeper {
    of: Shared,
    sharing: Sharing,
    limit: u32,
    wanted: u32,
    /// Hosts that the places were divided among when they could be asked last.
    hosts: u32,
    alone: bool,
}

impl Keeper {
    async fn keep(mut self, places: Weak<Places>, bell: Arc<Bell>) {
        let mut until = RENEW;
        loop {
            tokio::select! {
                () = self.sharing.clock.sleep(until) => {}
                // What could not be had a moment ago is not asked for at once again.
                () = bell.short.notified(), if until == RENEW && self.wanted < self.limit => {}
                () = bell.over.notified() => {}
            }
            let Some(places) = places.upgrade() else {
                self.leave().await;
                return;
            };
            until = self.renew(&places).await;
        }
    }

    /// Asks for what is wanted now; says when to ask again.
    async fn renew(&mut self, places: &Arc<Places>) -> Duration {
        let demand = places.in_demand();
        let peak = places.peak.swap(demand, Ordering::Relaxed).max(demand);
        let before = self.wanted;
        self.limit = places.limit();
        self.wanted = wanted(peak, before).min(self.limit);
        places.shrink(self.wanted);
        if self.wanted == 0 && before == 0 && places.held() == 0 {
            return RENEW;
        }
        let share = match self.ask(places.held(), self.wanted).await {
            Some(share) => share,
            None => {
                if places.held() == 0 {
                    places.grow((self.limit / self.hosts).max(1));
                }
                return RENEW;
            }
        };
        places.grow(share.held);
        places.shrink(share.target);
        let enough = share.held >= self.wanted && share.target >= share.held;
        if enough { RENEW } else { CONTESTED }
    }

    async fn ask(&mut self, held: u32, wanted: u32) -> Option<Share> {
        let ask = Ask {
            owner: self.sharing.owner.clone(),
            limit: self.limit,
            held,
            wanted,
        };
        let share = self.sharing.limits.share(&self.of, &ask);
        match self.sharing.in_time(share).await {
            Ok(share) => {
                self.alone = false;
                self.hosts = share.hosts.max(1);
                Some(share)
            }
            Err(error) => {
                if !self.alone {
                    tracing::warn!(service = &*self.of.service, tenant = &*self.of.tenant, %error, "the places of the service cannot be shared; this host goes on with its own");
                }
                self.alone = true;
                None
            }
        }
    }

    /// Gives everything back: no tool uses the service any more, or the host goes.
    async fn leave(&mut self) {
        if self.wanted > 0 {
            self.sharing.leave(&self.of).await;
        }
    }
}

/// Half more than was used at most, so that what comes next need not wait; half as much as before at least, so that it is not given back at
/// once.
fn wanted(peak: u32, before: u32) -> u32 {
    peak.saturating_add(peak.div_ceil(2)).max(before / 2)
}
