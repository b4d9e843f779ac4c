//! What the hosts of one database tell each other, and share, beside what the store holds.
//!
//! The store is the truth, and whoever waits for something looks there by itself now and then: what is told here only makes that sooner.

use super::store::StoreError;
use async_trait::async_trait;
use fusebox_core::ids::OwnerId;
use fusebox_core::policy::RateLimit;
use fusebox_core::share::Share;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How long the places of a host are its own without renewal, by the database's clock.
pub const SHARE_LEASE: Duration = Duration::from_secs(10);

/// What there may be news of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// Runs that can be taken.
    Runs,
    /// Bulk replays that nobody carries out yet.
    Redrives,
    /// States of breakers.
    Breakers,
    /// Deployed tools.
    Tools,
}

impl Topic {
    /// Each of them.
    pub const ALL: [Self; 4] = [Self::Runs, Self::Redrives, Self::Breakers, Self::Tools];

    /// Its name among hosts, which those of another version understand too.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Runs => "runs",
            Self::Redrives => "redrives",
            Self::Breakers => "breakers",
            Self::Tools => "tools",
        }
    }

    /// The topic of that name; `None` for one of another version.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|topic| topic.name() == name)
    }
}

/// A service of a tenant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Shared {
    /// The tenant.
    pub tenant: Arc<str>,
    /// `search` when tools share it, `TOOL/search` when it is a tool's own.
    pub service: Arc<str>,
}

/// The instants that were promised to a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turns {
    /// In how long how many requests may start, in the order of time.
    pub after: Vec<(Duration, u32)>,
    /// In how long the next one could start, where not all were promised.
    pub beyond: Option<Duration>,
}

/// What a host has, and wants, of the places of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The host.
    pub owner: OwnerId,
    /// Places of the service in all.
    pub limit: u32,
    /// Places that the host has.
    pub held: u32,
    /// Places that it could use; none when it goes.
    pub wanted: u32,
}

/// Limits of services that hold for all hosts of the database together.
#[async_trait]
pub trait Limits: Send + Sync {
    /// Promises `count` instants at which a request may start, in the order of those who ask; none of them later than `within`.
    /// Crash after: they pass unused.
    async fn promise(&self, of: &Shared, limit: RateLimit, count: u32, within: Duration) -> Result<Turns, StoreError>;
    /// Renews what a host has of the places of a service, and says what it may use now. Crash after: its places are free in [`SHARE_LEASE`].
    async fn share(&self, of: &Shared, ask: &Ask) -> Result<Share, StoreError>;
}

/// The other hosts of the database.
#[async_trait]
pub trait Fleet: Send + Sync {
    /// Limits that are kept together; `None` where there is no other host.
    fn limits(&self) -> Option<Arc<dyn Limits>>;
    /// Says to every host that listens, this one too, that there is something new. May be lost.
    fn tell(&self, topic: Topic);
    /// Changes whenever somebody tells of the topic.
    fn told(&self, topic: Topic) -> watch::Receiver<u64>;
    /// Hears from now on what other hosts tell, until the process ends.
    fn listen(&self);
    /// Returns once what was told has gone out.
    async fn flush(&self);
}

/// What is told within this process; the whole of a host that shares its database with no other.
#[derive(Debug)]
pub struct Alone {
    topics: [watch::Sender<u64>; Topic::ALL.len()],
}

impl Default for Alone {
    fn default() -> Self {
        Self {
            topics: Topic::ALL.map(|_| watch::Sender::new(0)),
        }
    }
}

#[async_trait]
impl Fleet for Alone {
    fn limits(&self) -> Option<Arc<dyn Limits>> {
        None
    }

    fn tell(&self, topic: Topic) {
        self.topics[topic as usize].send_modify(|times| *times += 1);
    }

    fn told(&self, topic: Topic) -> watch::Receiver<u64> {
        self.topics[topic as usize].subscribe()
    }

    fn listen(&self) {}

    async fn flush(&self) {}
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_told_of_one_topic_is_heard_by_who_listens_for_it() {
        let alone = Alone::default();
        for topic in Topic::ALL {
            let heard: Vec<_> = Topic::ALL.into_iter().map(|topic| alone.told(topic)).collect();
            alone.tell(topic);
            for (heard, of) in heard.iter().zip(Topic::ALL) {
                assert_eq!(heard.has_changed().unwrap(), of == topic);
            }
            assert_eq!(Topic::from_name(topic.name()), Some(topic));
        }
        assert_eq!(Topic::from_name("weather"), None);
    }
}
