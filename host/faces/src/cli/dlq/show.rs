//! `fusebox dlq show`: a letter for someone who did not write the tool.

use super::{Context, Failed, Which, memory};
use crate::cli::moments::{amount, lasting, moment, relative};
use crate::cli::output::{Output, printable, short};
use crate::cli::timeline::{field, head, steps};
use crate::cli::tree::Tree;
use clap::Args;
use fusebox_core::dead_letter::{Kind, State};
use fusebox_core::failure::Failure;
use fusebox_core::time::Wall;
use fusebox_engine::host::{Back, Outlook};
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
    let letter = arguments.which.find(&host, cx).await?;
    if let Some(range) = arguments.memory.range()? {
        return memory::show(&host, &letter, range, cx).await;
    }
    if cx.out.json() {
        return Ok(cx.out.value(&letter)?);
    }
    let tree = Tree::load(&host, &letter.run, cx).await?;
    let outlook = match State::from_name(&letter.state) {
        Some(State::Open) => Some(host.outlook(&cx.caller, &letter).await),
        _ => None,
    };
    let now = cx.now();
    Ok(whole(&letter, outlook.as_ref(), &tree, now, &mut cx.out)?)
}

/// Where a replay goes on, or why it would be refused.
type Next = Result<Outlook, Box<Failure>>;

fn whole(
    letter: &LetterRecord,
    outlook: Option<&Next>,
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
        resumes(outlook, out)?;
    }
    steps(&letter.run, tree, out)?;
    breakers(letter, now, out)?;
    log(letter, out)?;
    backtrace(letter, out)?;
    state(letter, out)?;
    next(letter, outlook, tree, out)
}

/// Where a replay goes on.
fn resumes(outlook: &Next, out: &mut Output<'_>) -> io::Result<()> {
    match outlook {
        Ok(Outlook::At { seq, what }) => field(
            out,
            "replay",
            format!(
                "goes on at effect {seq}, {}; what was settled before is served",
                short(what, 160)
            ),
        ),
        Ok(Outlook::End { served: 0, .. }) => field(out, "replay", "starts from the beginning: nothing was settled"),
        Ok(Outlook::End { served, instead }) => {
            field(
                out,
                "replay",
                format!("serves all {served} effect(s) and goes on from the end"),
            )?;
            match instead {
                Some(Back { seq, what, .. }) => field(
                    out,
                    "",
                    format!(
                        "the run went on after effect {seq}, {}, failed: it is not made again by itself",
                        short(what, 160)
                    ),
                ),
                None => Ok(()),
            }
        }
        Ok(Outlook::InDoubt(effects)) => {
            let numbers: Vec<_> = effects.iter().map(|seq| format!("#{seq}")).collect();
            field(
                out,
                "replay",
                format!("waits until a person has settled effect {}", numbers.join(", ")),
            )
        }
        Err(refused) => field(
            out,
            "replay",
            format!("would be refused: {}", printable(&refused.message)),
        ),
    }
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

/// Where in the memory to begin: at the stack's pointer, which toolchains keep in the first global, if its page is kept; else at the
/// first page that is.
fn worth_a_look(snapshot: &Snapshot) -> Option<(usize, usize, u64)> {
    snapshot.instances.iter().enumerate().find_map(|(index, instance)| {
        let memory = instance.memories.iter().position(|memory| !memory.stored.is_empty())?;
        let stored = &instance.memories[memory].stored;
        let pointer = instance.globals.first().filter(|global| global.kind == "i32");
        let pointer =
            pointer.and_then(|global| u64::from_str_radix(global.bits.as_deref()?.trim_start_matches("0x"), 16).ok());
        let stack = pointer
            .filter(|at| stored.iter().any(|page| page.index == at >> 16))
            .map(|at| at & !15);
        Some((index, memory, stack.or_else(|| Some(stored.first()?.index << 16))?))
    })
}

/// What can be done with it, as commands to type.
fn next(letter: &LetterRecord, outlook: Option<&Next>, tree: &Tree, out: &mut Output<'_>) -> io::Result<()> {
    let id = &letter.id;
    let open = State::from_name(&letter.state) == Some(State::Open);
    out.line("\nnext")?;
    match Kind::from_name(&letter.kind) {
        Some(Kind::InDoubt) if open => settle(letter, tree, out)?,
        _ if open => {
            field(out, "", format!("fusebox dlq replay {id} --dry-run"))?;
            field(out, "", format!("fusebox dlq replay {id}"))?;
            if let Some(Ok(Outlook::End {
                instead: Some(back), ..
            })) = outlook
            {
                field(out, "", go_back(letter, back))?;
            }
        }
        _ => {}
    }
    if let Some(snapshot) = &letter.snapshot {
        if let Some((instance, memory, offset)) = worth_a_look(snapshot) {
            field(
                out,
                "",
                format!("fusebox dlq show {id} --memory {instance}:{memory} --offset {offset:#x} --length 256"),
            )?;
        }
        field(out, "", format!("fusebox dlq export {id} --coredump FILE.coredump"))?;
    }
    field(out, "", format!("fusebox dlq export {id} --to FILE.json"))
}

/// How a person goes back to an earlier failure, with what would happen once more.
fn go_back(letter: &LetterRecord, back: &Back) -> String {
    let repeats: Vec<_> = back.repeats.iter().map(ToString::to_string).collect();
    let repeat = match repeats.as_slice() {
        [] => String::new(),
        repeats => format!(" --repeat {}", repeats.join(" ")),
    };
    format!("fusebox dlq replay {} --from-effect {}{repeat}", letter.id, back.seq)
}

/// How a letter in doubt is settled: each effect that nobody knows about, in the run that it belongs to.
fn settle(letter: &LetterRecord, tree: &Tree, out: &mut Output<'_>) -> io::Result<()> {
    let id = &letter.id;
    field(
        out,
        "",
        "ask the upstream whether the effect marked IN DOUBT happened, and record what it says; nothing repeats it before",
    )?;
    for run in tree.whole(&letter.run) {
        let whose = if run.id == letter.run.id {
            String::new()
        } else {
            format!(" --run {}", run.id)
        };
        for seq in &run.in_doubt {
            let effect = format!("fusebox dlq resolve {id} --effect {seq}{whose}");
            field(out, "", format!("{effect} --as happened --response FILE"))?;
            field(out, "", format!("{effect} --as not-happened"))?;
        }
    }
    field(
        out,
        "",
        format!("fusebox dlq resolve {id} --close failed --reason TEXT"),
    )?;
    field(
        out,
        "",
        format!("fusebox dlq resolve {id} --close succeeded --output FILE"),
    )
}
