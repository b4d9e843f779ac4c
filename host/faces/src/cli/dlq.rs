//! `fusebox dlq`: runs that gave up, with all that is needed to understand them and to go on.

mod bulk;
mod export;
mod groups;
mod keeping;
mod list;
pub(super) mod memory;
mod next;
mod redrives;
mod replay;
mod resolve;
mod response;
mod show;

pub(super) use list::Arguments as List;

use super::Context;
use super::failed::Failed;
use crate::api::Api;
use clap::{Args, Subcommand};
use fusebox_engine::records::LetterRecord;

/// What is asked about letters.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List letters, oldest first; or known-bad ones in groups
    List(list::Arguments),
    /// Show one letter: its steps as a tree, where a replay goes on, backtrace, log, state; or a part of its memory
    Show(show::Arguments),
    /// Retry letters: what is settled is served from the journal, what failed is made again
    Replay(replay::Arguments),
    /// Bulk replays: how far they are
    #[command(
        args_conflicts_with_subcommands = true,
        after_help = "Examples:\n  fusebox dlq redrives\n  fusebox dlq redrives --json"
    )]
    Redrives {
        #[command(subcommand)]
        command: Option<redrives::Command>,
    },
    /// Record what happened to an effect in doubt, or close the letter with what a person knows
    Resolve(resolve::Arguments),
    /// Close letters for good
    Purge(keeping::Purge),
    /// Keep letters: neither retention nor purge takes them
    #[command(after_help = "Example:\n  fusebox dlq pin ltr_01jd4m9q7gk0v3x8w2h5t6y1ze")]
    Pin(keeping::Letters),
    /// Let pinned letters go
    #[command(after_help = "Example:\n  fusebox dlq unpin ltr_01jd4m9q7gk0v3x8w2h5t6y1ze")]
    Unpin(keeping::Letters),
    /// Close letters, and forget runs, keys and errors, whose time is over
    Retain(keeping::Retain),
    /// Open letters in numbers
    #[command(after_help = "Examples:\n  fusebox dlq stats\n  fusebox dlq stats --json")]
    Stats,
    /// Write a letter to files: JSON, memory, a standard core dump
    Export(export::Arguments),
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
    pub(super) async fn find(&self, host: &dyn Api, cx: &Context<'_>) -> Result<LetterRecord, Failed> {
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
        Command::List(arguments) => list::run(&arguments, cx).await,
        Command::Show(arguments) => show::run(arguments, cx).await,
        Command::Replay(arguments) => replay::run(arguments, cx).await,
        Command::Redrives { command } => redrives::run(command.unwrap_or(redrives::Command::List), cx).await,
        Command::Resolve(arguments) => resolve::run(arguments, cx).await,
        Command::Purge(arguments) => keeping::purge(arguments, cx).await,
        Command::Pin(letters) => keeping::pin(&letters, true, cx).await,
        Command::Unpin(letters) => keeping::pin(&letters, false, cx).await,
        Command::Retain(arguments) => keeping::retain(&arguments, cx).await,
        Command::Stats => groups::stats(cx).await,
        Command::Export(arguments) => export::run(arguments, cx).await,
    }
}
