//! Hosts that share one PostgreSQL, each behind a network of its own that can fail.

mod breakers;
#[cfg(feature = "failpoints")]
mod clients;
#[cfg(feature = "failpoints")]
mod crash;
mod proxy;
mod together;
#[cfg(feature = "failpoints")]
mod upgrade;

use crate::http::client::Served;
use crate::site::{Ran, Site, runtime};
use fusebox_test_postgres::{Database, Server};
use proxy::Proxy;
use std::sync::Arc;

/// A site, and hosts.
pub(crate) struct Fleet {
    pub(crate) site: Site,
    pub(crate) hosts: Vec<Host>,
}

/// One host of the fleet, as long as its machine stands: its processes come and go.
pub(crate) struct Host {
    number: usize,
    /// Its way to the database.
    pub(crate) network: Proxy,
    /// Its process, and how many it had before.
    pub(crate) process: Option<Served>,
    pub(crate) lives: u32,
}

impl Fleet {
    /// So many hosts that are not started yet, on an empty database of that server; the operator's file begins with those lines.
    pub(crate) fn of(count: usize, server: Server, settings: &str) -> Self {
        let server = Arc::new(server);
        let database = Arc::new(runtime().block_on(Database::empty(Arc::clone(&server))));
        let site = Site::on(&database, settings);
        let host = |number| Host {
            number,
            network: Proxy::before(server.port()),
            process: None,
            lives: 0,
        };
        let hosts = (1..=count).map(host).collect();
        Self { site, hosts }
    }

    /// Three hosts that work, with a search tool that tries once; the section of its service goes on so.
    pub(crate) fn searching(settings: &str, service: &str) -> Self {
        let mut fleet = Self::of(3, Server::shared(), settings);
        let service = format!("[services.search]\n{service}\n");
        let no_retry = ("retry = \"idempotent\"", "retry = \"none\"");
        fleet
            .site
            .deploy_with("search", &[("[services.search]\n", &service), no_retry]);
        for host in &mut fleet.hosts {
            host.start(&fleet.site);
        }
        fleet
    }
}

impl Host {
    /// Starts its process, and waits until that listens.
    pub(crate) fn start(&mut self, site: &Site) {
        self.lives += 1;
        let (direct, through) = (site.database().server().port(), self.network.port());
        let url = site
            .database()
            .url()
            .replace(&format!(":{direct}/"), &format!(":{through}/"));
        let url = format!("{url}?application_name={}", self.name());
        self.process = Some(Served::start_with(site, &[("FUSEBOX_DATABASE", &url)]));
    }

    /// What its process is called in the database: none of another life is called so.
    pub(crate) fn name(&self) -> String {
        format!("host-{}-{}", self.number, self.lives)
    }

    /// Ends its process as a crash would.
    pub(crate) fn kill(&mut self) -> Ran {
        self.process.take().unwrap().running.kill()
    }
}
