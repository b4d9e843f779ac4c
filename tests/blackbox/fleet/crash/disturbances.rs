//! What happens to hosts, database and network.

use super::super::clients::Clients;
use super::takeovers::Takeovers;
use super::{Host, refused};
use crate::harness::Dice;
use crate::site::Site;
use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::Duration;

/// Longer than any lease of the fleet, those that are as long as an exchange too.
const BEYOND_THE_LEASE: Duration = Duration::from_millis(4500);

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Disturbance {
    /// A host is killed, and started again.
    Kill,
    /// A host is stopped for longer than its lease, and goes on where it was.
    Pause,
    /// A host is cut off from the database for longer than its lease; what it sent meanwhile arrives afterwards.
    Silence,
    /// A host is cut off from the database for longer than its lease, and no connection of before ever says anything again.
    Forget,
    /// A host is far away from the database for a while.
    Slow,
    /// All connections of a host to the database are closed.
    Cut,
    /// The database ends all its connections.
    Terminate,
    /// The database crashes, and is started again.
    Crash,
    /// The database is stopped, and is started again.
    Stop,
}

const ALL: [Disturbance; 9] = [
    Disturbance::Kill,
    Disturbance::Pause,
    Disturbance::Silence,
    Disturbance::Crash,
    Disturbance::Forget,
    Disturbance::Cut,
    Disturbance::Terminate,
    Disturbance::Stop,
    Disturbance::Slow,
];

impl Disturbance {
    /// What happens as the `event`th: everything once, then anything, half of it kills.
    pub(super) fn pick(event: u64, dice: &mut Dice) -> Self {
        let all = ALL.len() as u64;
        let at = if event < all { event } else { dice.below(2 * all) };
        ALL.get(usize::try_from(at).unwrap()).copied().unwrap_or(Self::Kill)
    }

    /// Happens; how many writes were refused to a host that it ended.
    pub(super) fn happen(
        self,
        site: &Site,
        hosts: &mut [Host],
        clients: &Clients,
        takeovers: &Takeovers,
        dice: &mut Dice,
    ) -> usize {
        let victim = usize::try_from(dice.below(hosts.len() as u64)).unwrap();
        let mut while_it_lasts = || sleep(BEYOND_THE_LEASE + Duration::from_millis(dice.below(1500)));
        let server = site.database().server();
        let host = &mut hosts[victim];
        match self {
            Self::Kill => {
                let (name, ended) = (host.name(), host.kill());
                takeovers.killed(name);
                sleep(Duration::from_millis(dice.below(4000)));
                host.start(site);
                clients.listen(hosts);
                return refused(&ended.stderr);
            }
            Self::Pause => {
                let running = &host.process.as_ref().unwrap().running;
                running.pause();
                while_it_lasts();
                running.go_on();
            }
            Self::Silence => {
                host.network.silence();
                while_it_lasts();
                host.network.resume();
            }
            Self::Forget => {
                host.network.silence();
                while_it_lasts();
                host.network.forget();
            }
            Self::Slow => {
                host.network.delay(Duration::from_millis(20 + dice.below(60)));
                sleep(Duration::from_secs(3));
                host.network.resume();
            }
            Self::Cut => host.network.cut(),
            Self::Terminate => {
                site.sql("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name LIKE 'host-%'");
            }
            Self::Crash | Self::Stop => {
                if self == Self::Crash {
                    server.crash();
                } else {
                    server.stop();
                }
                sleep(Duration::from_millis(dice.below(3000)));
                server.start_again();
            }
        }
        0
    }

    /// How often each happened, for whoever reads the figures.
    pub(super) fn told(counts: &BTreeMap<Self, u32>) -> String {
        let told: Vec<_> = counts.iter().map(|(what, count)| format!("{count} {what:?}")).collect();
        told.join(", ").to_lowercase()
    }
}
