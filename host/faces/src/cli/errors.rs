//! `fusebox errors`: what failed and became no letter.

use super::Context;
use super::failed::Failed;
use super::moments::moment;
use super::output::short;
use clap::{Args, Subcommand};
use fusebox_engine::ports::store::ErrorFilter;

/// What is asked about errors.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List failures that became no letter, newest first
    List(List),
    /// Show one of them
    Show {
        /// Its number, as `fusebox errors list` prints it
        id: i64,
    },
}

/// Which errors are listed.
#[derive(Debug, Default, Args)]
#[command(after_help = "Example:\n  fusebox errors list --tool search --limit 5")]
pub(super) struct List {
    /// Only of that tool
    #[arg(long)]
    tool: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

/// Runs the command.
///
/// # Errors
/// What the host refused.
pub(super) async fn run(command: Command, cx: &mut Context<'_>) -> Result<(), Failed> {
    let host = cx.wiring.host().await?;
    match command {
        Command::List(List { tool, limit }) => {
            let filter = ErrorFilter {
                tool,
                after: None,
                limit,
            };
            let found = host.errors(&cx.caller, &filter).await?;
            cx.out.rows(
                &["error", "at", "function", "code", "message", "input"],
                &found,
                |error| {
                    vec![
                        error.id.to_string(),
                        moment(error.at),
                        format!("{}.{}", error.tool, error.function),
                        error.failure.code.clone(),
                        short(&error.failure.message, 80),
                        short(&error.input, 60),
                    ]
                },
            )?;
            if found.is_empty() && !cx.out.json() {
                cx.note("no errors");
            }
        }
        Command::Show { id } => {
            let filter = ErrorFilter {
                after: id.checked_add(1),
                limit: 1,
                ..ErrorFilter::default()
            };
            let newest = host.errors(&cx.caller, &filter).await?;
            let Some(error) = newest.into_iter().find(|error| error.id == id) else {
                return Err(Failed::usage(
                    format!("there is no error {id}"),
                    "`fusebox errors list` shows their numbers",
                ));
            };
            if cx.out.json() {
                return Ok(cx.out.value(&error)?);
            }
            let out = &mut cx.out;
            super::timeline::field(out, "error", format!("{}  {}", error.id, moment(error.at)))?;
            super::timeline::field(out, "function", format!("{}.{}", error.tool, error.function))?;
            super::timeline::field(out, "caller", short(&error.principal, 200))?;
            super::timeline::field(
                out,
                "failure",
                format!(
                    "{} ({}): {}",
                    error.failure.code,
                    error.failure.class,
                    short(&error.failure.message, 2000)
                ),
            )?;
            for cause in &error.failure.chain {
                super::timeline::field(out, "", format!("because {}", short(cause, 2000)))?;
            }
            super::timeline::field(out, "input", short(&error.input, 4096))?;
        }
    }
    Ok(())
}
