//! `fusebox dlq`: runs that gave up, with all that is needed to understand them and to go on.

mod export;
mod memory;
mod replay;
mod show;

use super::Context;
use super::failed::Failed;
use super::moments::{parse_duration, relative};
use super::output::short;
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use fusebox_core::failure::Class;
use fusebox_core::ids::LetterId;
use fusebox_engine::host::Host;
use fusebox_engine::ports::store::LetterFilter;
use fusebox_engine::records::LetterRecord;
use std::time::Duration;

/// What is asked about letters.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List letters, oldest first
    List(Filter),
    /// Show one letter: attempts as a timeline, backtrace, log, state; or a part of its memory
    Show(show::Arguments),
    /// Run a letter's call again
    Replay(replay::Arguments),
    /// Close letters for good
    #[command(
        after_help = "Examples:\n  fusebox dlq purge ltr_01jd4m9q7gk0v3x8w2h5t6y1ze\n  fusebox dlq purge --tool search --yes\n  fusebox dlq purge --expired"
    )]
    Purge(Purge),
    /// Write a letter to files: JSON, memory, a standard core dump
    Export(export::Arguments),
}

/// Which letters are meant.
#[derive(Debug, Default, Args)]
#[command(after_help = "Examples:\n  fusebox dlq list\n  fusebox dlq list --service openai --since 4h --json")]
pub(super) struct Filter {
    /// Only of that service
    #[arg(long)]
    service: Option<String>,
    /// Only of that tool
    #[arg(long)]
    tool: Option<String>,
    /// Only of that class
    #[arg(long, value_parser = PossibleValuesParser::new(Class::ALL.map(Class::name)))]
    class: Option<String>,
    /// Only those that failed within the last so much time, such as 4h
    #[arg(long, value_parser = parse_duration, value_name = "TIME")]
    since: Option<Duration>,
    /// Closed letters too
    #[arg(long)]
    all: bool,
    /// At most so many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

/// Which letters are closed.
#[derive(Debug, Args)]
pub(super) struct Purge {
    /// Ids of letters
    #[arg(conflicts_with_all = ["service", "tool", "class", "since", "expired"])]
    letters: Vec<String>,
    #[command(flatten)]
    filter: Filter,
    /// Close the letters, and forget the runs, whose time is over
    #[arg(long, conflicts_with_all = ["service", "tool", "class", "since"])]
    expired: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

/// A letter by its own id or by its run's.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct Which {
    /// Id of the letter
    letter: Option<String>,
    /// The letter of that run
    #[arg(long, value_name = "RUN")]
    run_id: Option<String>,
}

impl Which {
    async fn find(&self, host: &Host, cx: &Context<'_>) -> Result<LetterRecord, Failed> {
        match (&self.letter, &self.run_id) {
            (Some(letter), _) => Ok(host.letter(&cx.caller, &letter.parse()?).await?),
            (None, Some(run)) => Ok(host.letter_of(&cx.caller, &run.parse()?).await?),
            (None, None) => Err(Failed::usage(
                "no letter is named",
                "name a letter, or give --run-id RUN",
            )),
        }
    }
}

/// Runs the command.
///
/// # Errors
/// What the host refused.
pub(super) async fn run(command: Command, cx: &mut Context<'_>) -> Result<(), Failed> {
    match command {
        Command::List(filter) => list(&filter, cx).await,
        Command::Show(arguments) => show::run(arguments, cx).await,
        Command::Replay(arguments) => replay::run(arguments, cx).await,
        Command::Purge(purge) => self::purge(purge, cx).await,
        Command::Export(arguments) => export::run(arguments, cx).await,
    }
}

fn filter(filter: &Filter, cx: &Context<'_>) -> LetterFilter {
    LetterFilter {
        service: filter.service.clone(),
        tool: filter.tool.clone(),
        class: filter.class.clone(),
        since: filter.since.map(|ago| (cx.now() - ago).0),
        closed: filter.all,
        limit: filter.limit,
    }
}

async fn list(asked: &Filter, cx: &mut Context<'_>) -> Result<(), Failed> {
    let host = cx.wiring.host().await?;
    let letters = host.letters(&cx.caller, &filter(asked, cx)).await?;
    let now = cx.now();
    cx.out.rows(
        &[
            "letter", "kind", "class", "function", "service", "failed", "replays", "state", "why",
        ],
        &letters,
        |letter| {
            vec![
                letter.id.to_string(),
                letter.kind.clone(),
                letter.class.clone(),
                format!("{}.{}", letter.run.tool, letter.run.function),
                letter.service.clone().unwrap_or_default(),
                relative(letter.last_failed, now),
                letter.replays.to_string(),
                letter.state.clone(),
                short(&letter.failure.message, 60),
            ]
        },
    )?;
    if letters.is_empty() && !cx.out.json() {
        cx.note("no letters");
    }
    Ok(())
}

async fn purge(purge: Purge, cx: &mut Context<'_>) -> Result<(), Failed> {
    let host = cx.wiring.host().await?;
    if purge.expired {
        let gone = host.retain(&cx.caller).await?;
        return said(gone, "row(s) whose time is over are gone", cx);
    }
    let ids: Vec<LetterId> = if purge.letters.is_empty() {
        if purge.filter.service.is_none()
            && purge.filter.tool.is_none()
            && purge.filter.class.is_none()
            && purge.filter.since.is_none()
        {
            return Err(Failed::usage(
                "no letter is named",
                "name letters, or say which with --service, --tool, --class or --since",
            ));
        }
        let found = host.letters(&cx.caller, &filter(&purge.filter, cx)).await?;
        found.into_iter().map(|letter| letter.id).collect()
    } else {
        purge.letters.iter().map(|id| id.parse()).collect::<Result<_, _>>()?
    };
    if !purge.yes && !cx.confirm(&format!("close {} letter(s) for good?", ids.len()))? {
        return Err(Failed::usage(
            "nothing was closed",
            "add --yes to close letters without being asked",
        ));
    }
    let closed = host.purge(&cx.caller, &ids).await?;
    for id in ids.iter().filter(|id| !closed.contains(id)) {
        cx.note(&format!(
            "{id} stays: it is in doubt, being replayed, closed, or unknown"
        ));
    }
    said(closed.len() as u64, "letter(s) closed", cx)
}

fn said(count: u64, what: &str, cx: &mut Context<'_>) -> Result<(), Failed> {
    if cx.out.json() {
        cx.out.value(&serde_json::json!({ "closed": count }))?;
    } else {
        cx.note(&format!("{count} {what}"));
    }
    Ok(())
}
