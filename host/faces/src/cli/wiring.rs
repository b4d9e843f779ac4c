//! What commands need of the process around them; implemented by the binary, which alone names the adapters.

use super::failed::Failed;
use crate::api::Api;
use crate::deploying::Rules;
use crate::http::RenderMetrics;
use async_trait::async_trait;
use fusebox_engine::host::Host;
use fusebox_manifest::{HostFile, Presets};
use serde::Serialize;
use std::sync::Arc;

/// The process around the commands.
#[async_trait]
pub trait Wiring: Send + Sync {
    /// The host that commands mean: this process's own, or the one that `--host` names.
    async fn host(&self) -> Result<Arc<dyn Api>, Failed>;
    /// This process's host on the configured database, opened when it is first asked for; refused under `--host`, where `what` is only done
    /// on the host's own machine.
    async fn local(&self, what: &str) -> Result<Arc<Host>, Failed>;
    /// The address of the host that `--host` or its variable names.
    fn remote(&self) -> Option<&str>;
    /// The API key that was given, in a file or a variable.
    fn key(&self) -> Result<Option<String>, Failed>;
    /// A host whose store is this process's memory, for what needs no database.
    async fn scratch(&self) -> Result<Arc<Host>, Failed>;
    /// What this process counts and measures, as Prometheus reads it. Counting begins with the first call, so it comes before the host is opened;
    /// the gauges are those of [`Host::show_gauges`].
    fn metrics(&self) -> Result<RenderMetrics, Failed>;
    /// By what this process admits manifests.
    fn rules(&self) -> Result<Arc<Rules>, Failed>;
    /// The operator's file with variables and flags over it, and the hosts that secrets were set for.
    fn settings(&self) -> Result<&HostFile, Failed>;
    /// The presets: those built in, and the operator's.
    fn presets(&self) -> Result<&Presets, Failed>;
    /// Settings whose default is a place of this machine: key and path in force.
    fn places(&self) -> Result<Vec<(&'static str, String)>, Failed>;
    /// How many files and sockets this process may have open, once it has asked for as many as it may; `None` for any number.
    fn open_files(&self) -> Option<u64>;
    /// Copies the configured database into the empty one that is named.
    async fn migrate(&self, to: &str) -> Result<Moved, Failed>;
    /// Environment variables of this process that hold secrets and keys: no program that it starts is given them.
    fn private_variables(&self) -> Result<Vec<String>, Failed>;
    /// Where secrets are kept.
    fn secrets(&self) -> Result<Arc<dyn SecretKeeper>, Failed>;
    /// Looks at everything that Fusebox needs.
    async fn checkup(&self) -> Vec<Checkup>;
}

/// A database that was copied.
#[derive(Clone, Debug)]
pub struct Moved {
    /// The one that was read, without its password.
    pub from: String,
    /// The one that was written, without its password.
    pub to: String,
    /// Rows of all tables.
    pub rows: u64,
    /// Components and pages that are kept outside of the database.
    pub objects: u64,
    /// Of every row, the same for both.
    pub digest: String,
}

/// Whether something is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It is.
    Well,
    /// It works, and could be better.
    Note,
    /// Something will fail because of it.
    Unwell,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Checkup {
    /// What.
    pub what: String,
    /// How it is.
    pub state: State,
    /// What was found.
    pub found: String,
    /// What to do, unless it is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

/// A secret without its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SecretEntry {
    /// Its name.
    pub name: String,
    /// Hosts that it may be sent to.
    pub hosts: Vec<String>,
    /// `file`, `environment`, `command`.
    pub source: String,
}

/// Keeps secrets.
pub trait SecretKeeper: Send + Sync {
    /// Every known secret, by name.
    ///
    /// # Errors
    /// A file that cannot be read.
    fn list(&self) -> Result<Vec<SecretEntry>, Failed>;
    /// Keeps the value of a secret for these hosts, and for those named before unless `only` these are meant. Returns all of them.
    ///
    /// # Errors
    /// A name or host that is none, or a file that cannot be written.
    fn set(&self, name: &str, hosts: &[String], only: bool, value: &str) -> Result<Vec<String>, Failed>;
    /// Forgets a secret; `false` when there is none.
    ///
    /// # Errors
    /// A file that cannot be written.
    fn remove(&self, name: &str) -> Result<bool, Failed>;
}
