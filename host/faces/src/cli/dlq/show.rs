//! `fusebox dlq show`: a letter for someone who did not write the tool.

use super::{Context, Failed, Which, memory, next};
use crate::cli::moments::{amount, lasting, moment, relative};
use crate::cli::output::{Output, printable};
use crate::cli::timeline::{field, head, steps};
use crate::tree::Tree;
use clap::Args;
use fusebox_core::dead_letter::State;
use fusebox_core::time::Wall;
use fusebox_engine::records::{LetterRecord, LogLine, Snapshot};
use std::io;
use std::time::Duration;

/// What is shown of a letter.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  fusebox dlq show ltr_01jd4m9q7gk0v3x8w2h5t6y1ze
  fusebox dlq show --run-id run_01jd4m9q7gk0v3x8w2h5t6y1ze --json
  fusebox dlq show ltr_01jd4m9q7gk0v3x8w2h5t6y1ze --memory 1:0 --offset 0x100000 --length 256")]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    memory: memory::Range,
}

/// Runs the command.
///
/// # Errors
/// What the host refused.
pub(super) async fn run(arguments: Arguments, cx: &mut Context<'_>) -> Result<(), Failed> {
    let host = cx.wiring.host().await?;
    let letter = arguments.which.find(host.as_ref(), cx).await?;
    if let Some(range) = arguments.memory.range()? {
        return memory::show(host.as_ref(), &letter, range, cx).await;
    }
    if cx.out.json() {
        return Ok(cx.out.value(&letter)?);
    }
    let tree = Tree::load(host.as_ref(), &cx.caller, &letter.run).await?;
    let outlook = match State::from_name(&letter.state) {
        Some(State::Open) => Some(host.outlook(&cx.caller, &letter).await),
        _ => None,
    };
    let now = cx.now();
    Ok(whole(&letter, outlook.as_ref(), &tree, now, &mut cx.out)?)
}

fn whole(
    letter: &LetterRecord,
    outlook: Option<&next::Outlooks>,
    tree: &Tree,
    now: Wall,
    out: &mut Output<'_>,
) -> io::Result<()> {
    field(
        out,
        "letter",
        format!(
            "{}  {}  {}{}",
            letter.id,
            letter.kind,
            letter.state,
            if letter.pinned { "  pinned" } else { "" }
        ),
    )?;
    field(
        out,
        "failed",
        format!(
            "{} ({}), first {}, replayed {} time(s){}",
            moment(letter.last_failed),
            relative(letter.last_failed, now),
            moment(letter.first_failed),
            letter.replays,
            by_itself(letter)
        ),
    )?;
    if let Some(at) = letter.not_before.filter(|&at| at > now.0) {
        field(out, "", format!("the upstream asked to wait until {}", moment(at)))?;
    }
    if let Some(fingerprint) = &letter.fingerprint {
        field(out, "group", printable(fingerprint))?;
    }
    head(&letter.run, out)?;
    if let Some(outlook) = outlook {
        next::resumes(outlook, out)?;
    }
    steps(&letter.run, tree, out)?;
    breakers(letter, now, out)?;
    log(letter, out)?;
    backtrace(letter, out)?;
    state(letter, out)?;
    next::commands(letter, outlook, tree, out)
}

/// What of its replays it did by itself, or will do.
fn by_itself(letter: &LetterRecord) -> String {
    match (letter.auto_replays, letter.auto_replay) {
        (0, false) => String::new(),
        (0, true) => ", replays by itself once its service is well".to_owned(),
        (count, _) => format!(", {count} of them by itself"),
    }
}

fn breakers(letter: &LetterRecord, now: Wall, out: &mut Output<'_>) -> io::Result<()> {
    if letter.breakers.is_empty() {
        return Ok(());
    }
    out.line("\nbreakers when it failed")?;
    for breaker in &letter.breakers {
        let until = breaker
            .until
            .filter(|&at| at > letter.last_failed)
            .map_or_else(String::new, |at| {
                let rest = Duration::from_millis(u64::try_from(at - letter.last_failed).unwrap_or(0));
                let passed = if at <= now.0 { ", over by now" } else { "" };
                format!(" for another {}{passed}", lasting(rest))
            });
        field(
            out,
            "",
            format!(
                "{}  {}{until}  {} failure(s) in a row",
                breaker.key, breaker.state, breaker.failures
            ),
        )?;
    }
    Ok(())
}

fn log(letter: &LetterRecord, out: &mut Output<'_>) -> io::Result<()> {
    let log = &letter.log;
    if log.head.is_empty() && log.tail.is_empty() {
        return Ok(());
    }
    out.line("\nlog")?;
    let line = |line: &LogLine| format!("{} {}", if line.err { "err|" } else { "out|" }, printable(&line.text));
    for entry in &log.head {
        field(out, "", line(entry))?;
    }
    if log.dropped > 0 {
        field(out, "", format!("… {} left out", amount(log.dropped)))?;
    }
    for entry in &log.tail {
        field(out, "", line(entry))?;
    }
    Ok(())
}

fn backtrace(letter: &LetterRecord, out: &mut Output<'_>) -> io::Result<()> {
    if letter.backtrace.is_empty() {
        return Ok(());
    }
    out.line("\nbacktrace, innermost first")?;
    for (number, frame) in letter.backtrace.iter().enumerate() {
        field(out, "", format!("{number:>3}  {}", printable(frame)))?;
    }
    Ok(())
}

fn state(letter: &LetterRecord, out: &mut Output<'_>) -> io::Result<()> {
    match (&letter.snapshot, &letter.no_snapshot) {
        (Some(snapshot), _) => snapshot_lines(snapshot, out),
        (None, Some(why)) => out.line(format!("\nstate     none was kept: {}", printable(why))),
        (None, None) => Ok(()),
    }
}

fn snapshot_lines(snapshot: &Snapshot, out: &mut Output<'_>) -> io::Result<()> {
    out.line(format!("\nstate of the component ({})", printable(&snapshot.runtime)))?;
    for (index, instance) in snapshot.instances.iter().enumerate() {
        if instance.globals.is_empty() && instance.memories.is_empty() {
            continue;
        }
        let name = instance.module.as_deref().unwrap_or("unnamed module");
        field(
            out,
            "",
            format!(
                "instance {index}  {}  {} global(s)",
                printable(name),
                instance.globals.len()
            ),
        )?;
        for (number, memory) in instance.memories.iter().enumerate() {
            field(
                out,
                "",
                format!(
                    "  memory {index}:{number}  {}, {} page(s) of 64 KiB not empty",
                    amount(memory.pages << 16),
                    memory.stored.len()
                ),
            )?;
        }
    }
    if !snapshot.resources.is_empty() {
        field(out, "", format!("open: {}", printable(&snapshot.resources.join(", "))))?;
    }
    Ok(())
}
