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
use fusebox_engine::records::LetterRecord;
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
    Ok(if letter.pinned {
        "it is pinned".to_owned()
    } else if letter.kind == Kind::InDoubt.name() {
        format!("it is in doubt; `fusebox dlq resolve {id}` settles it")
    } else if State::from_name(&letter.state) != Some(State::Open) {
        format!("it is {}", letter.state)
    } else {
        // What stores refuse besides: a replay was cut off, and left a request of which nobody knows the end.
        format!(
            "a replay of it was cut off, and left a request that may have happened and may not be repeated; \
             `fusebox dlq replay {id}` repeats nothing of that, and says what is in doubt"
        )
    })
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
    would_close(&found, cx)
}

/// Says which letters would be closed, and which would stay.
fn would_close(found: &[LetterRecord], cx: &mut Context<'_>) -> Result<(), Failed> {
    let (gone, stay): (Vec<_>, Vec<_>) = found.iter().partition(|letter| may_go(letter));
    if cx.out.json() {
        let ids = |letters: &[&LetterRecord]| letters.iter().map(|letter| letter.id.to_string()).collect::<Vec<_>>();
        return Ok(cx
            .out
            .value(&json!({ "would-close": ids(&gone), "would-stay": ids(&stay) }))?);
    }
    let fate = |letter: &LetterRecord| {
        if may_go(letter) {
            "would be closed"
        } else {
            "would stay"
        }
    };
    cx.out.table(
        &["letter", "fate", "kind", "state", "function", "why"],
        found,
        |letter| {
            vec![
                letter.id.to_string(),
                fate(letter).to_owned(),
                letter.kind.clone(),
                letter.state.clone(),
                format!("{}.{}", letter.run.tool, letter.run.function),
                short(&letter.failure.message, 60),
            ]
        },
    )?;
    cx.note(&format!(
        "{} letter(s) would be closed, {} would stay",
        gone.len(),
        stay.len()
    ));
    Ok(())
}

fn may_go(letter: &LetterRecord) -> bool {
    let known = State::from_name(&letter.state).zip(Kind::from_name(&letter.kind));
    known.is_some_and(|(state, kind)| dead_letter::may_purge(state, kind, letter.pinned))
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
        let mut found = Vec::new();
        for id in host.expired(&cx.caller).await? {
            found.push(host.letter(&cx.caller, &id).await?);
        }
        return would_close(&found, cx);
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
