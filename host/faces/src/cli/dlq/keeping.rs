//! How long letters are kept: `fusebox dlq purge`, `pin`, `unpin`, `retain`.

use super::list::Filter;
use super::{Context, Failed};
use crate::api::Api;
use crate::cli::output::short;
use crate::cli::progress::Bar;
use clap::Args;
use fusebox_core::dead_letter::{self, Kind, State};
use fusebox_core::failure::Code;
use fusebox_core::ids::LetterId;
use fusebox_engine::records::{JournalRecord, LetterRecord};
use serde_json::json;

/// Letters that are closed in one transaction, so that a large purge stalls nobody.
const AT_ONCE: usize = 100;

/// Which letters are closed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  fusebox dlq purge ltr_01jd4m9q7gk0v3x8w2h5t6y1ze
  fusebox dlq purge --tool search --dry-run
  fusebox dlq purge --tool search --yes")]
pub(in crate::cli) struct Purge {
    /// Ids of letters
    #[arg(value_name = "LETTER", conflicts_with_all = ["service", "tool", "class", "since"])]
    letters: Vec<String>,
    #[command(flatten)]
    filter: Filter,
    /// At most so many, oldest first
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Say which would be closed, and close none
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

/// Letters by their ids.
#[derive(Debug, Args)]
pub(in crate::cli) struct Letters {
    /// Ids of letters
    #[arg(required = true, value_name = "LETTER")]
    letters: Vec<String>,
}

/// Retention.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  fusebox dlq retain --dry-run
  fusebox dlq retain

A serving host does it by itself. How long what is kept: `retention` in the operator's file.")]
pub(in crate::cli) struct Retain {
    /// Say which letters would be closed, and close none
    #[arg(long)]
    dry_run: bool,
}

/// Closes letters.
///
/// # Errors
/// What the host refused.
pub(super) async fn purge(purge: Purge, cx: &mut Context<'_>) -> Result<(), Failed> {
    let host = cx.wiring.host().await?;
    if purge.letters.is_empty() && purge.filter.is_empty() {
        return Err(Failed::usage(
            "no letter is named",
            "name letters, or say which with --service, --tool, --class or --since",
        ));
    }
    if purge.dry_run {
        return would_purge(&purge, host.as_ref(), cx).await;
    }
    let ids = if purge.letters.is_empty() {
        let found = host
            .letters(&cx.caller, &purge.filter.of_store(false, purge.limit, cx))
            .await?;
        found.into_iter().map(|letter| letter.id).collect()
    } else {
        parsed(&purge.letters)?
    };
    if !purge.yes && !cx.confirm(&format!("close {} letter(s) for good?", ids.len()))? {
        return Err(Failed::usage(
            "nothing was closed",
            "add --yes to close letters without being asked",
        ));
    }
    let mut closed = Vec::new();
    let bar = Bar::new(cx.watched && ids.len() > AT_ONCE, ids.len() as u64);
    for (done, some) in (1..).zip(ids.chunks(AT_ONCE)) {
        closed.extend(host.purge(&cx.caller, some).await?);
        bar.at(
            done * AT_ONCE as u64,
            ids.len() as u64,
            &format!("{} closed", closed.len()),
        );
    }
    drop(bar);
    for id in ids.iter().filter(|id| !closed.contains(id)) {
        let why = why_it_stays(id, host.as_ref(), cx).await?;
        cx.note(&format!("{id} stays: {why}"));
    }
    said("closed", closed.len() as u64, "letter(s) closed", cx)
}

/// Why a letter was not closed.
async fn why_it_stays(id: &LetterId, host: &dyn Api, cx: &Context<'_>) -> Result<String, Failed> {
    let letter = match host.letter(&cx.caller, id).await {
        Ok(letter) => letter,
        Err(failure) if failure.code == Code::NotFound => return Ok("there is none".to_owned()),
        Err(failure) => return Err(failure.into()),
    };
    // What stores refuse besides is a request that was left open.
    Ok(what_keeps(&letter).unwrap_or_else(|| cut_off(id)))
}

/// What of a letter itself keeps it from being closed.
fn what_keeps(letter: &LetterRecord) -> Option<String> {
    let (state, kind) = (State::from_name(&letter.state), Kind::from_name(&letter.kind));
    let may = state.zip(kind);
    if may.is_some_and(|(state, kind)| dead_letter::may_purge(state, kind, letter.pinned)) {
        None
    } else if letter.pinned {
        Some("it is pinned".to_owned())
    } else if kind == Some(Kind::InDoubt) && state == Some(State::Open) {
        Some(format!(
            "it is in doubt; `fusebox dlq resolve {}` settles it",
            letter.id
        ))
    } else {
        Some(format!("it is {}", letter.state))
    }
}

/// A replay was cut off, and left a request of which nobody knows the end.
fn cut_off(id: &LetterId) -> String {
    format!(
        "a replay of it was cut off, and left a request that may have happened and may not be repeated; \
         `fusebox dlq replay {id}` repeats nothing of that, and says what is in doubt"
    )
}

/// What would keep a letter from being closed now.
async fn what_would_keep(letter: &LetterRecord, host: &dyn Api, cx: &Context<'_>) -> Result<Option<String>, Failed> {
    if let Some(why) = what_keeps(letter) {
        return Ok(Some(why));
    }
    // What is in the journal of one that nobody replayed had ended when it became a letter, or it would be in doubt.
    if letter.replays > 0 {
        for run in host.tree(&cx.caller, &letter.run.id).await? {
            let journal = host.journal(&cx.caller, &run.id).await?;
            if journal.iter().any(JournalRecord::is_left_open) {
                return Ok(Some(cut_off(&letter.id)));
            }
        }
    }
    Ok(None)
}

async fn would_purge(purge: &Purge, host: &dyn Api, cx: &mut Context<'_>) -> Result<(), Failed> {
    let mut found = Vec::new();
    if purge.letters.is_empty() {
        let filter = purge.filter.of_store(false, purge.limit, cx);
        found = host.letters(&cx.caller, &filter).await?;
    }
    for id in parsed(&purge.letters)? {
        found.push(host.letter(&cx.caller, &id).await?);
    }
    let mut judged = Vec::with_capacity(found.len());
    for letter in found {
        let why = what_would_keep(&letter, host, cx).await?;
        judged.push((letter, why));
    }
    would_close(&judged, cx)
}

/// Says which letters would be closed, and which would stay, and why.
fn would_close(judged: &[(LetterRecord, Option<String>)], cx: &mut Context<'_>) -> Result<(), Failed> {
    let (stay, gone): (Vec<_>, Vec<_>) = judged.iter().partition(|(_, why)| why.is_some());
    if cx.out.json() {
        let ids = |letters: &[&(LetterRecord, _)]| {
            letters
                .iter()
                .map(|(letter, _)| letter.id.to_string())
                .collect::<Vec<_>>()
        };
        return Ok(cx
            .out
            .value(&json!({ "would-close": ids(&gone), "would-stay": ids(&stay) }))?);
    }
    cx.out.table(
        &["letter", "fate", "kind", "state", "function", "why"],
        judged,
        |(letter, why)| {
            let fate = if why.is_none() { "would be closed" } else { "would stay" };
            vec![
                letter.id.to_string(),
                fate.to_owned(),
                letter.kind.clone(),
                letter.state.clone(),
                format!("{}.{}", letter.run.tool, letter.run.function),
                short(&letter.failure.message, 60),
            ]
        },
    )?;
    for (letter, why) in judged {
        if let Some(why) = why {
            cx.note(&format!("{} would stay: {why}", letter.id));
        }
    }
    cx.note(&format!(
        "{} letter(s) would be closed, {} would stay",
        gone.len(),
        stay.len()
    ));
    Ok(())
}

/// Pins letters, or lets them go.
///
/// # Errors
/// What the host refused; letters before that one are pinned.
pub(super) async fn pin(letters: &Letters, pinned: bool, cx: &mut Context<'_>) -> Result<(), Failed> {
    let ids = parsed(&letters.letters)?;
    let host = cx.wiring.host().await?;
    for id in &ids {
        host.pin(&cx.caller, id, pinned).await?;
        if cx.out.json() {
            cx.out.value(&json!({ "letter": id.as_str(), "pinned": pinned }))?;
        } else {
            cx.note(&format!(
                "{id} {}",
                if pinned { "is pinned" } else { "is not pinned any more" }
            ));
        }
    }
    Ok(())
}

/// Closes and forgets what is kept no longer.
///
/// # Errors
/// What the host refused.
pub(super) async fn retain(arguments: &Retain, cx: &mut Context<'_>) -> Result<(), Failed> {
    let host = cx.wiring.host().await?;
    if arguments.dry_run {
        let mut expired = Vec::new();
        for id in host.expired(&cx.caller).await? {
            let letter = host.letter(&cx.caller, &id).await?;
            // One that somebody has pinned or replays since stays.
            let why = what_keeps(&letter);
            expired.push((letter, why));
        }
        return would_close(&expired, cx);
    }
    let gone = host.retain(&cx.caller).await?;
    said("gone", gone, "row(s) whose time is over are gone", cx)
}

fn parsed(ids: &[String]) -> Result<Vec<LetterId>, Failed> {
    Ok(ids.iter().map(|id| id.parse()).collect::<Result<_, _>>()?)
}

fn said(name: &str, count: u64, what: &str, cx: &mut Context<'_>) -> Result<(), Failed> {
    if cx.out.json() {
        cx.out.value(&json!({ name: count }))?;
    } else {
        cx.note(&format!("{count} {what}"));
    }
    Ok(())
}
