//! `fusebox audit`: who did what to the host, and whether that record is as it was written.

use super::keys::Whose;
use super::moments::{moment, parse_duration};
use super::output::short;
use super::timeline::field;
use super::{Context, Failed};
use crate::outcome::EXIT_INTERNAL;
use clap::{Args, Subcommand};
use fusebox_core::ids::Digest;
use fusebox_engine::ports::store::AuditFilter;
use std::time::Duration;

/// What is asked of the audit trail.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List entries, newest first
    List(List),
    /// Walk along the whole trail, and say where it was changed, if it was
    #[command(after_help = "\
Examples:
  fusebox audit verify
  fusebox audit verify --from-head sha256:…

Note the head down elsewhere from time to time. Whoever can write to the database can write a whole new trail; only a head that was noted \
down tells that it is another one.")]
    Verify(Verify),
}

/// Which entries are listed.
#[derive(Debug, Default, Args)]
#[command(after_help = "\
Examples:
  fusebox audit list --since 1d
  fusebox audit list --action approval.approve --principal key:ann --json")]
pub(super) struct List {
    /// Only of that action, such as tool.deploy
    #[arg(long)]
    action: Option<String>,
    /// Only of that principal, such as key:ci
    #[arg(long)]
    principal: Option<String>,
    /// Only about that: a tool's name, an id
    #[arg(long)]
    subject: Option<String>,
    /// Only of the last so much time, such as 1h
    #[arg(long, value_parser = parse_duration, value_name = "TIME")]
    since: Option<Duration>,
    /// At most so many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    #[command(flatten)]
    whose: Whose,
}

/// A walk along the trail.
#[derive(Debug, Args)]
pub(super) struct Verify {
    /// Hash of an entry, as an earlier `verify` printed it: it must still be there
    #[arg(long, value_name = "HASH")]
    from_head: Option<String>,
    #[command(flatten)]
    whose: Whose,
}

/// Runs the command.
///
/// # Errors
/// What the host refused; that the trail is not as it was written.
pub(super) async fn run(command: Command, cx: &mut Context<'_>) -> Result<(), Failed> {
    match command {
        Command::List(list) => self::list(list, cx).await,
        Command::Verify(verify) => self::verify(verify, cx).await,
    }
}

async fn list(list: List, cx: &mut Context<'_>) -> Result<(), Failed> {
    list.whose.become_theirs(cx)?;
    let filter = AuditFilter {
        action: list.action,
        principal: list.principal,
        subject: list.subject,
        since: list.since.map(|ago| (cx.now() - ago).0),
        after: None,
        limit: list.limit,
    };
    let entries = cx.wiring.host().await?.audit(&cx.caller, &filter).await?;
    cx.out.rows(
        &["entry", "at", "who", "did", "to", "outcome", "detail"],
        &entries,
        |entry| {
            vec![
                entry.number.to_string(),
                moment(entry.at),
                entry.principal.clone(),
                entry.action.clone(),
                entry.subject.clone(),
                entry.outcome.clone(),
                short(&entry.detail, 80),
            ]
        },
    )?;
    if entries.is_empty() && !cx.out.json() {
        cx.note("no entries");
    }
    Ok(())
}

async fn verify(verify: Verify, cx: &mut Context<'_>) -> Result<(), Failed> {
    verify.whose.become_theirs(cx)?;
    let known: Option<Digest> = match verify.from_head.as_deref().map(str::parse) {
        Some(Ok(hash)) => Some(hash),
        Some(Err(error)) => {
            return Err(Failed::usage(
                error.to_string(),
                "copy the head that an earlier `fusebox audit verify` printed",
            ));
        }
        None => None,
    };
    let verdict = cx.wiring.host().await?.verify_audit(&cx.caller, known).await?;
    if cx.out.json() {
        cx.out.value(&verdict)?;
    } else {
        let out = &mut cx.out;
        field(out, "trail", if verdict.whole { "whole" } else { "broken" })?;
        field(out, "entries", verdict.entries.to_string())?;
        field(out, "head", verdict.head.to_string())?;
        for fault in &verdict.faults {
            field(out, "fault", format!("entry {}: {}", fault.number, fault.fault))?;
        }
    }
    if verdict.whole {
        return Ok(());
    }
    cx.note(
        "error: the audit trail is not as it was written; keep the database as it is, and compare it with a backup",
    );
    Err(Failed::Told(EXIT_INTERNAL))
}
