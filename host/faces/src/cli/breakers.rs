//! `fusebox breakers`: the state of each, and an operator's word over it.

use super::Context;
use super::failed::Failed;
use super::moments::{moment, relative};
use clap::Subcommand;
use fusebox_engine::records::BreakerRecord;
use fusebox_engine::requests::BreakerOrder;

/// What is asked of breakers.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List every breaker that has a history
    List,
    /// Refuse everything until `reset`
    #[command(after_help = "Example:\n  fusebox breakers open search/search")]
    Open {
        /// Key, as `fusebox breakers list` prints it
        key: String,
    },
    /// Let everything through and count nothing until `reset`
    Disable {
        /// Key, as `fusebox breakers list` prints it
        key: String,
    },
    /// Closed, with all counts at zero
    #[command(visible_alias = "close")]
    Reset {
        /// Key, as `fusebox breakers list` prints it
        key: String,
    },
}

/// Runs the command.
///
/// # Errors
/// What the host refused.
pub(super) async fn run(command: Command, cx: &mut Context<'_>) -> Result<(), Failed> {
    let host = cx.wiring.host().await?;
    let found = match command {
        Command::List => host.breakers(&cx.caller).await?,
        Command::Open { key } => vec![host.order_breaker(&cx.caller, &key, BreakerOrder::ForceOpen).await?],
        Command::Disable { key } => vec![host.order_breaker(&cx.caller, &key, BreakerOrder::Disable).await?],
        Command::Reset { key } => vec![host.order_breaker(&cx.caller, &key, BreakerOrder::Close).await?],
    };
    let now = cx.now();
    cx.out.rows(
        &["breaker", "state", "failures", "re-openings", "until", "changed"],
        &found,
        |breaker| row(breaker, now),
    )?;
    if found.is_empty() && !cx.out.json() {
        cx.note("no breakers: each begins closed with its service's first request");
    }
    Ok(())
}

fn row(breaker: &BreakerRecord, now: fusebox_core::time::Wall) -> Vec<String> {
    vec![
        breaker.key.clone(),
        breaker.state.clone(),
        breaker.failures.to_string(),
        breaker.reopenings.to_string(),
        breaker
            .until
            .map_or_else(String::new, |at| format!("{} ({})", moment(at), relative(at, now))),
        moment(breaker.changed),
    ]
}
