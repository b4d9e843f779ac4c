//! `fusebox dlq replay`: the letter's call again, from its start.

use super::{Context, Failed, Which};
use crate::cli::call;
use crate::cli::moments::parse_duration;
use clap::Args;
use fusebox_engine::requests::{Begin, Replay, Replayed};
use std::time::Duration;

/// How a letter is replayed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  fusebox dlq replay ltr_01jd4m9q7gk0v3x8w2h5t6y1ze --from-start
  fusebox dlq replay --run-id run_01jd4m9q7gk0v3x8w2h5t6y1ze --from-start

The call is authorized again and goes through the breakers; an open breaker leaves the letter untouched.
A letter in doubt is not replayed: whether its effect happened is for a person to find out.")]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    which: Which,
    /// Start over with the same input, run and key
    #[arg(long)]
    from_start: bool,
    /// Give up after so much time, such as 30s
    #[arg(long, value_parser = parse_duration, value_name = "TIME")]
    deadline: Option<Duration>,
}

/// Runs the command.
///
/// # Errors
/// What the host refused, or how the replay failed.
pub(super) async fn run(arguments: Arguments, cx: &mut Context<'_>) -> Result<(), Failed> {
    if !arguments.from_start {
        return Err(Failed::usage(
            "a replay starts over from the beginning, and that has to be said",
            "add --from-start",
        ));
    }
    let host = cx.wiring.host().await?;
    let letter = arguments.which.find(&host, cx).await?;
    let replay = Replay {
        letter: letter.id.clone(),
        deadline: arguments.deadline,
        from: Begin::Start,
        repeat: Vec::new(),
        component: None,
        dry_run: false,
    };
    let Replayed::Done(reply) = host.replay(&cx.caller, replay).await? else {
        return Ok(());
    };
    if !reply.stored {
        cx.note(&format!("{} is closed: replayed", letter.id));
    }
    call::show(&reply, cx)
}
