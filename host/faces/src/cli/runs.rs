//! `fusebox runs`: what was called, how it went, and going on with what is not over.

mod follow;
mod list;
mod show;

pub(super) use follow::to_its_end;

use super::failed::Failed;
use super::{Context, call};
use crate::following::is_over;
use clap::Subcommand;

/// What is asked about runs.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List runs, newest first
    List(list::Arguments),
    /// Show one run as a tree of steps: attempts, effects, the runs that it called, what it waits for
    #[command(after_help = "\
Examples:
  fusebox runs show run_01jd4m9q7gk0v3x8w2h5t6y1ze
  fusebox runs show run_01jd4m9q7gk0v3x8w2h5t6y1ze --json")]
    Show {
        /// Id of the run
        run: String,
    },
    /// Print what happens to a run until it is over; the exit code is that of its outcome
    Follow(follow::Arguments),
    /// Cancel a run, wherever it is: effects in flight are waited for, and nothing more is begun
    #[command(after_help = "Example:\n  fusebox runs cancel run_01jd4m9q7gk0v3x8w2h5t6y1ze")]
    Cancel {
        /// Id of the run
        run: String,
    },
    /// Go on with a run in this process: one that sleeps, was decided, lost its host, or failed and kept its journal
    #[command(after_help = "\
Example:
  fusebox runs resume run_01jd4m9q7gk0v3x8w2h5t6y1ze

What the run has settled is served from its journal and does not happen again. A run that gave up has a letter: \
`fusebox dlq replay` retries that. One in doubt needs a person first: `fusebox dlq resolve` records what happened.")]
    Resume {
        /// Id of the run
        run: String,
    },
}

pub(super) use list::Arguments as List;

/// Runs the command.
///
/// # Errors
/// What the host refused, or how the run ended.
pub(super) async fn run(command: Command, cx: &mut Context<'_>) -> Result<(), Failed> {
    match command {
        Command::List(list) => list::run(list, cx).await,
        Command::Show { run } => show::run(&run, cx).await,
        Command::Follow(arguments) => follow::run(arguments, cx).await,
        Command::Cancel { run } => cancel(&run, cx).await,
        Command::Resume { run } => {
            let id = run.parse()?;
            let host = cx.wiring.host().await?;
            let reply = host.resume(&cx.caller, &id).await?;
            call::show(&reply, cx)
        }
    }
}

async fn cancel(run: &str, cx: &mut Context<'_>) -> Result<(), Failed> {
    let id = run.parse()?;
    let host = cx.wiring.host().await?;
    // One that is not there is told from one that is over.
    host.run(&cx.caller, &id).await?;
    host.cancel(&cx.caller, &id).await?;
    let run = host.run(&cx.caller, &id).await?;
    if cx.out.json() {
        return Ok(cx.out.value(&run)?);
    }
    if is_over(&run) {
        cx.note(&format!("{id} is {}", run.state));
    } else {
        cx.note(&format!(
            "{id} is told to end; effects in flight are waited for: `fusebox runs follow {id}` says when"
        ));
    }
    Ok(())
}
