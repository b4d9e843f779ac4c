//! What debugging tells, as text: first what happened, then where, then what the guest had in hand.

use super::frames::{halt, kept};
use crate::cli::output::{Output, printable, short};
use crate::cli::timeline::field;
use fusebox_engine::debug::{Agreement, DebugReport, Exchange, Message};
use fusebox_engine::records::Log;
use std::io;

/// Lines of the log, from its end.
const LOG: usize = 20;
/// Characters of a body and of a text.
const BODY: usize = 600;
const TEXT: usize = 200;

/// Everything about a letter.
///
/// # Errors
/// Those of stdout.
pub(super) fn report(report: &DebugReport, frame: Option<usize>, out: &mut Output<'_>) -> io::Result<()> {
    head(report, out)?;
    log(&report.log, out)?;
    if let Some(failed) = &report.failed {
        out.line("\nthe effect that failed")?;
        exchange(failed, out)?;
    }
    match (&report.halt, &report.asking) {
        (Some(stopped), _) => halt("it was stopped here", stopped, frame, out)?,
        (None, Some(asking)) => halt(
            "its function returned; here it asked for what failed",
            asking,
            frame,
            out,
        )?,
        (None, None) => kept(&report.frames, out)?,
    }
    next(report, out)
}

/// What happened.
///
/// # Errors
/// Those of stdout.
pub(super) fn head(report: &DebugReport, out: &mut Output<'_>) -> io::Result<()> {
    field(out, "letter", format!("{}  run {}", report.letter, report.run))?;
    let function = format!("{}.{}  {}", report.tool, report.function, report.component);
    field(out, "function", function)?;
    let failure = &report.failure;
    field(
        out,
        "failure",
        format!("{} ({}): {}", failure.code, failure.class, printable(&failure.message)),
    )?;
    for cause in &failure.chain {
        field(out, "", format!("because {}", printable(cause)))?;
    }
    match (&report.ended, &report.not_replayed) {
        (Some(ended), _) => field(out, "replay", printable(ended))?,
        (None, Some(why)) => field(out, "replay", format!("none: {}", printable(why)))?,
        (None, None) => {}
    }
    let state = match &report.state {
        Agreement::Same { pages, globals } => {
            format!("the same as the letter's: {pages} page(s) of memory and {globals} global(s), bit by bit")
        }
        Agreement::Differs { first } => format!("NOT the letter's: {}", printable(first)),
        Agreement::Unknown { why } => format!("not compared: {}", printable(why)),
    };
    field(out, "state", state)
}

fn log(log: &Log, out: &mut Output<'_>) -> io::Result<()> {
    let lines: Vec<_> = log.head.iter().chain(&log.tail).collect();
    if lines.is_empty() {
        return Ok(());
    }
    out.line("\nthe end of what it printed")?;
    for line in lines.iter().skip(lines.len().saturating_sub(LOG)) {
        let stream = if line.err { "err|" } else { "out|" };
        field(out, "", format!("{stream} {}", printable(&line.text)))?;
    }
    Ok(())
}

/// Each effect, with the stack that was looked at.
///
/// # Errors
/// Those of stdout.
pub(super) fn exchanges(exchanges: &[Exchange], out: &mut Output<'_>) -> io::Result<()> {
    if exchanges.is_empty() {
        out.line("\nit asked the world for nothing")?;
    }
    for one in exchanges {
        out.line("")?;
        exchange(one, out)?;
        for (number, line) in one.stack.iter().enumerate() {
            field(out, if number == 0 { "stack" } else { "" }, printable(line))?;
        }
    }
    Ok(())
}

/// One effect: what was asked, what came of it, what the guest got.
///
/// # Errors
/// Those of stdout.
pub(super) fn exchange(exchange: &Exchange, out: &mut Output<'_>) -> io::Result<()> {
    let service = match exchange.service.as_str() {
        "" => String::new(),
        service => format!("  to {}", printable(service)),
    };
    let verdict = match (exchange.failed, exchange.repeatable) {
        (true, true) => "  FAILED",
        (true, false) => "  FAILED, and may not be repeated",
        (false, _) => "",
    };
    let took = format!("  {} ms", exchange.took_ms);
    field(
        out,
        &format!("#{}", exchange.seq),
        format!(
            "{}{service}  {}{took}{verdict}",
            exchange.kind,
            printable(&exchange.answer)
        ),
    )?;
    message("asked", &exchange.asked, out)?;
    if let Some(got) = &exchange.got {
        message("got", got, out)?;
    }
    match &exchange.reason {
        Some(reason) => field(out, "reason", printable(reason)),
        None => Ok(()),
    }
}

fn message(label: &str, message: &Message, out: &mut Output<'_>) -> io::Result<()> {
    field(out, label, short(&message.head, TEXT))?;
    for (name, value) in &message.headers {
        field(out, "", short(&format!("{name}: {value}"), TEXT))?;
    }
    if message.size > 0 {
        field(
            out,
            "",
            format!("{} byte(s): {}", message.size, short(&message.body, BODY)),
        )?;
    }
    Ok(())
}

/// What to type next.
fn next(report: &DebugReport, out: &mut Output<'_>) -> io::Result<()> {
    out.line("\nnext")?;
    let id = &report.letter;
    if !report.effects.is_empty() {
        field(
            out,
            "",
            format!(
                "fusebox debug {id} --effects      what it asked for and got, {} in all",
                report.effects.len()
            ),
        )?;
        field(
            out,
            "",
            format!("fusebox debug {id} --step         one after the other, on a terminal"),
        )?;
    }
    if report.halt.is_some() || report.asking.is_some() {
        field(
            out,
            "",
            format!("fusebox debug {id} --frame N      the values of another frame"),
        )?;
    }
    field(
        out,
        "",
        format!("fusebox dlq show {id}             attempts, breakers, what can be done"),
    )
}
