//! Upstreams as this host uses them: each service's breaker, budget, bulkhead and rate limit, shared by all that reach it.

mod places;
mod rate_limit;
#[cfg(test)]
mod sharing;
mod turns;

use crate::breakers::{Breakers, Cell};
use crate::effects::Masks;
use crate::meters::ServiceMeters;
use crate::ports::clock::Clock;
use crate::ports::fleet::{Fleet, Shared};
use crate::records::BreakerRecord;
use fusebox_core::budget::Budget;
use fusebox_core::ids::OwnerId;
use fusebox_core::policy::ServicePolicy;
use places::{Places, Sharing};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use turns::Turns;

/// One service of one tenant.
pub(crate) struct Service {
    /// `search` when it is shared, `TOOL/search` when it is the tool's own.
    pub(crate) key: Arc<str>,
    pub(crate) name: Arc<str>,
    pub(crate) policy: ServicePolicy,
    pub(crate) breaker: Arc<Cell>,
    pub(crate) budget: Arc<Mutex<Budget>>,
    pub(crate) places: Arc<Places>,
    pub(crate) turns: Option<Arc<Turns>>,
    pub(crate) meters: Arc<ServiceMeters>,
    pub(crate) masks: Masks,
}

impl Service {
    /// A service that has its limits to itself, or shares them so with other hosts.
    pub(crate) fn new(
        key: &str,
        policy: ServicePolicy,
        breaker: Arc<Cell>,
        old: Option<&Self>,
        sharing: Option<(&Sharing, Shared)>,
    ) -> Self {
        let same_limit = old.filter(|old| old.policy.rate_limit == policy.rate_limit);
        let budget = old.map_or_else(
            || Arc::new(Mutex::new(Budget::new(policy.budget))),
            |old| {
                old.budget().reconfigure(policy.budget);
                Arc::clone(&old.budget)
            },
        );
        Self {
            key: Arc::from(key),
            name: Arc::from(policy.name.as_str()),
            budget,
            places: match (old, &sharing) {
                (Some(old), _) => {
                    old.places.resize(policy.concurrency);
                    Arc::clone(&old.places)
                }
                (None, Some((sharing, of))) => Places::shared(policy.concurrency, of.clone(), sharing),
                (None, None) => Places::own(policy.concurrency),
            },
            turns: same_limit.map_or_else(
                || policy.rate_limit.map(|limit| Turns::new(limit, sharing.as_ref())),
                |old| old.turns.clone(),
            ),
            meters: old.map_or_else(|| Arc::new(ServiceMeters::new(key)), |old| Arc::clone(&old.meters)),
            masks: Masks::default(),
            breaker,
            policy,
        }
    }

    /// The bucket that retries of every call of this service spend from.
    pub(crate) fn budget(&self) -> MutexGuard<'_, Budget> {
        self.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The key of a service's breaker, budget and limit.
pub(crate) fn key_of(tool: &str, policy: &ServicePolicy) -> String {
    if policy.shared {
        policy.name.clone()
    } else {
        format!("{tool}/{}", policy.name)
    }
}

/// The services of every loaded tool, by tenant and key. A service that no tool uses any more is forgotten; its breaker is not.
pub(crate) struct Services {
    entries: Mutex<HashMap<Name, Weak<Service>>>,
    /// How limits are shared with other hosts, where there may be any.
    sharing: Option<Sharing>,
}

/// Tenant and key.
type Name = (Arc<str>, String);

/// The service as hosts name it to each other.
fn shared((tenant, key): &Name) -> Shared {
    Shared {
        tenant: Arc::clone(tenant),
        service: Arc::from(key.as_str()),
    }
}

impl Services {
    pub(crate) fn new(fleet: &dyn Fleet, clock: &Arc<dyn Clock>, owner: &OwnerId) -> Self {
        let sharing = fleet.limits().map(|limits| Sharing {
            limits,
            clock: Arc::clone(clock),
            owner: owner.clone(),
        });
        Self {
            entries: Mutex::new(HashMap::new()),
            sharing,
        }
    }

    /// The service of a tool under this policy. A changed policy takes effect at once for all that share it, counts kept where they can be.
    pub(crate) fn current(
        &self,
        breakers: &Breakers,
        stored: &[BreakerRecord],
        tenant: &Arc<str>,
        tool: &str,
        policy: &ServicePolicy,
    ) -> Arc<Service> {
        let name = (Arc::clone(tenant), key_of(tool, policy));
        let mut entries = self.lock();
        let old = entries.get(&name).and_then(Weak::upgrade);
        match old {
            Some(old) if old.policy == *policy => old,
            old => {
                let breaker = breakers.configured(tenant, &name.1, &policy.breaker, stored);
                let sharing = self.sharing.as_ref().map(|sharing| (sharing, shared(&name)));
                let service = Service::new(&name.1, policy.clone(), breaker, old.as_deref(), sharing);
                let service = Arc::new(service);
                entries.retain(|_, service| service.strong_count() > 0);
                entries.insert(name, Arc::downgrade(&service));
                service
            }
        }
    }

    /// The service as an older version of its tool knows it: headers and hosts of that version, everything that counts as it is today.
    pub(crate) fn pinned(
        &self,
        breakers: &Breakers,
        stored: &[BreakerRecord],
        tenant: &Arc<str>,
        tool: &str,
        policy: &ServicePolicy,
    ) -> Arc<Service> {
        let name = (Arc::clone(tenant), key_of(tool, policy));
        let today = self.lock().get(&name).and_then(Weak::upgrade);
        match today {
            None => self.current(breakers, stored, tenant, tool, policy),
            Some(today) => Arc::new(Service {
                key: Arc::clone(&today.key),
                name: Arc::clone(&today.name),
                policy: policy.clone(),
                breaker: Arc::clone(&today.breaker),
                budget: Arc::clone(&today.budget),
                places: Arc::clone(&today.places),
                turns: today.turns.clone(),
                meters: Arc::clone(&today.meters),
                masks: Masks::default(),
            }),
        }
    }

    /// Gives the places of this host back, whose work is over, so that others need not wait until its claim ends.
    pub(crate) async fn leave(&self) {
        let Some(sharing) = &self.sharing else { return };
        let held: Vec<_> = self
            .lock()
            .iter()
            .filter(|(_, service)| service.upgrade().is_some_and(|service| service.places.held() > 0))
            .map(|(name, _)| shared(name))
            .collect();
        for of in held {
            if !sharing.leave(&of).await {
                return;
            }
        }
    }

    /// Every service that a loaded tool uses, of every tenant.
    pub(crate) fn all(&self) -> Vec<Arc<Service>> {
        self.lock().values().filter_map(Weak::upgrade).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Name, Weak<Service>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::clock::{Clock, SystemClock};
    use crate::ports::entropy::{Entropy, OsEntropy};
    use fusebox_core::policy::ServiceKind;

    #[test]
    fn case_22_the_budget_under_concurrency_is_never_negative_or_over_its_capacity() {
        let (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>) = (Arc::new(SystemClock::new()), Arc::new(OsEntropy));
        let policy = ServicePolicy::new("a", ServiceKind::Http, Vec::new());
        let capacity = policy.budget.capacity;
        let breaker = Cell::alone(&clock, &entropy, "a", &policy.breaker);
        let service = Service::new("a", policy, breaker, None, None);
        std::thread::scope(|threads| {
            for thread in 0..8 {
                let service = &service;
                threads.spawn(move || {
                    for turn in 0..1000_u32 {
                        let charge = service.budget().try_retry((turn + thread) % 2 == 0).ok();
                        let pays_back = turn % 3 != 0;
                        if pays_back {
                            service.budget().succeeded(charge);
                        }
                        assert!(service.budget().tokens() <= capacity);
                    }
                });
            }
        });
    }
}
