//! `fusebox debug`: a letter's last attempt run again, offline and without any effect, and what its guest had in hand when it failed.

mod frames;
mod session;
mod view;

use super::Context;
use super::dlq::Which;
use super::failed::Failed;
use super::moments::parse_duration;
use super::timeline::field;
use clap::Args;
use std::time::Duration;

/// What is looked at.
#[derive(Debug, Args)]
#[command(after_help = "\
The replay is served from the letter's journal: nothing is sent, stored or called. It needs the component as it ran, which is compiled \
once more for debugging, and then kept.

Examples:
  fusebox debug ltr_01jd4m9q7gk0v3x8w2h5t6y1ze
  fusebox debug ltr_01jd4m9q7gk0v3x8w2h5t6y1ze --effects
  fusebox debug ltr_01jd4m9q7gk0v3x8w2h5t6y1ze --effect 28
  fusebox debug ltr_01jd4m9q7gk0v3x8w2h5t6y1ze --step
  fusebox debug --run-id run_01jd4m9q7gk0v3x8w2h5t6y1ze --json")]
pub(super) struct Arguments {
    #[command(flatten)]
    which: Which,
    /// Stop when the guest asks for that effect
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), conflicts_with_all = ["effects", "step"])]
    effect: Option<u32>,
    /// Print what the guest asked for and what it got, effect by effect, with its stack at each
    #[arg(long, conflicts_with = "step")]
    effects: bool,
    /// Go from effect to effect on this terminal
    #[arg(long)]
    step: bool,
    /// Show locals, operands and memory of that frame alone
    #[arg(long, value_name = "N", conflicts_with_all = ["effects", "step"])]
    frame: Option<usize>,
    /// Stop a replay that does not end after so much time
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = parse_duration)]
    time: Duration,
}

/// What takes its time.
const COMPILING: &str = "compiling the component for debugging, and replaying it";

/// Runs the command.
///
/// # Errors
/// What the host refused, or `--step` where nobody is there to step.
pub(super) async fn run(arguments: Arguments, cx: &mut Context<'_>) -> Result<(), Failed> {
    if arguments.step && (cx.answers.is_none() || cx.out.json()) {
        return Err(Failed::usage(
            "--step asks what to do next, and nobody is there to answer",
            "use --effects, or --effect N to stop at one of them",
        ));
    }
    if arguments.step || arguments.effect.is_some() {
        return stopped(arguments, cx).await;
    }
    let host = cx.wiring.host().await?;
    let letter = arguments.which.find(host.as_ref(), cx).await?;
    cx.progress(COMPILING);
    let report = host
        .debug(&cx.caller, &letter.id, arguments.effects, arguments.time)
        .await;
    cx.progress("");
    let report = report?;
    if cx.out.json() {
        return Ok(cx.out.value(&report)?);
    }
    if arguments.effects {
        view::head(&report, &mut cx.out)?;
        if report.not_replayed.is_none() {
            view::exchanges(&report.effects, &mut cx.out)?;
        }
        return Ok(());
    }
    Ok(view::report(&report, arguments.frame, &mut cx.out)?)
}

/// Stops a replay at an effect, or goes from one to the next: that is done where the letter is.
async fn stopped(arguments: Arguments, cx: &mut Context<'_>) -> Result<(), Failed> {
    let host = cx.wiring.local("stopping at an effect").await?;
    let letter = arguments.which.find(cx.wiring.host().await?.as_ref(), cx).await?;
    cx.progress(COMPILING);
    let debugging = host.debugging(&cx.caller, &letter.id, arguments.time).await;
    let Some(seq) = arguments.effect else {
        cx.progress("");
        return session::run(&debugging?, cx).await;
    };
    let at = debugging?.at(seq).await;
    cx.progress("");
    let (exchange, halt) = at?;
    if cx.out.json() {
        return Ok(cx.out.value(&serde_json::json!({ "effect": exchange, "halt": halt }))?);
    }
    view::exchange(&exchange, &mut cx.out)?;
    match &halt {
        Some(halt) => Ok(frames::halt(
            "it stands where it asks for that",
            halt,
            arguments.frame,
            &mut cx.out,
        )?),
        None => Ok(field(&mut cx.out, "stack", "it returned before it was stopped")?),
    }
}
