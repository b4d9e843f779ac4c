//! What debugging tells, as text: first what happened, then where, then what the guest had in hand.

use crate::cli::dlq::memory::hex_view;
use crate::cli::output::{Output, printable, short};
use crate::cli::timeline::field;
use fusebox_engine::debug::{Agreement, DebugReport, Exchange, Halt, Message, Pointed};
use fusebox_engine::ports::debugger::{StoppedFrame, Value};
use fusebox_engine::records::{Frame, Log};
use std::io;

/// Frames whose values are shown unless one is named.
const DETAILED: usize = 3;
/// Values of a frame that are shown.
const VALUES: usize = 24;
/// Lines of the log, from its end.
const LOG: usize = 20;
/// Characters of a body and of a text.
const BODY: usize = 600;
const TEXT: usize = 200;
/// Globals of an instance that are shown.
const GLOBALS: usize = 6;

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

/// Frames, and the values of some of them.
///
/// # Errors
/// Those of stdout.
pub(super) fn halt(title: &str, halt: &Halt, frame: Option<usize>, out: &mut Output<'_>) -> io::Result<()> {
    out.line(format!("\n{title}: {}", printable(&halt.stop.causes.join(": "))))?;
    stack(halt, out)?;
    let detailed: Vec<usize> = match frame {
        Some(number) if number < halt.stop.frames.len() => vec![number],
        Some(number) => {
            let count = halt.stop.frames.len();
            field(
                out,
                "",
                format!("there is no frame {number}; there are {count}, from 0"),
            )?;
            Vec::new()
        }
        None => worth_a_look(halt),
    };
    for number in detailed {
        self::frame(halt, number, out)?;
    }
    globals(halt, out)
}

/// Every frame on a line.
///
/// # Errors
/// Those of stdout.
pub(super) fn stack(halt: &Halt, out: &mut Output<'_>) -> io::Result<()> {
    for (number, frame) in halt.stop.frames.iter().enumerate() {
        let mark = if is_own(&frame.frame) { "*" } else { " " };
        field(out, "", format!("{mark}{number:>3}  {}", place(&frame.frame)))?;
        for outer in &frame.inlined_into {
            field(out, "", format!("      in {}", printable(outer)))?;
        }
    }
    if halt.stop.frames.iter().any(|frame| is_own(&frame.frame)) {
        field(
            out,
            "",
            "* the tool's own code, as far as paths tell; the rest is of its language and libraries",
        )?;
    }
    Ok(())
}

fn kept(frames: &[Frame], out: &mut Output<'_>) -> io::Result<()> {
    if frames.is_empty() {
        return Ok(());
    }
    out.line("\nframes that the letter keeps, innermost first")?;
    for (number, frame) in frames.iter().enumerate() {
        field(out, "", format!("{number:>4}  {}", place(frame)))?;
    }
    Ok(())
}

fn place(frame: &Frame) -> String {
    let name = frame
        .name
        .as_deref()
        .map_or_else(|| format!("func[{}]", frame.function), printable);
    match (&frame.location, frame.offset) {
        (Some(location), _) => format!("{name}  {}", printable(location)),
        (None, Some(offset)) => format!("{name}  +{offset:#x}"),
        (None, None) => name,
    }
}

/// Code of the tool itself: a source file by a relative path, where toolchains and libraries have absolute ones.
fn is_own(frame: &Frame) -> bool {
    let foreign = |name: &str| {
        ["std::", "core::", "alloc::", "__rust", "wit_bindgen"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
    };
    let relative = frame
        .location
        .as_deref()
        .is_some_and(|location| !location.starts_with('/'));
    relative && !frame.name.as_deref().is_some_and(foreign)
}

/// The innermost frames of the tool's own code; where none is known to be, the innermost of all.
fn worth_a_look(halt: &Halt) -> Vec<usize> {
    let numbers = || 0..halt.stop.frames.len();
    let has_values = |number: &usize| {
        let frame = &halt.stop.frames[*number];
        !frame.locals.is_empty() || !frame.operands.is_empty()
    };
    let own: Vec<usize> = numbers()
        .filter(|number| is_own(&halt.stop.frames[*number].frame))
        .filter(has_values)
        .take(DETAILED)
        .collect();
    if own.is_empty() {
        numbers().filter(has_values).take(DETAILED).collect()
    } else {
        own
    }
}

/// Values of one frame, and the memory that they point to.
///
/// # Errors
/// Those of stdout.
pub(super) fn frame(halt: &Halt, number: usize, out: &mut Output<'_>) -> io::Result<()> {
    let Some(frame) = halt.stop.frames.get(number) else {
        return Ok(());
    };
    out.line(format!("\nframe {number}  {}", place(&frame.frame)))?;
    values(frame, out)?;
    for place in halt.pointed.iter().filter(|place| place.frame == number) {
        pointed(place, out)?;
    }
    Ok(())
}

fn values(frame: &StoppedFrame, out: &mut Output<'_>) -> io::Result<()> {
    for (kind, values) in [("local", &frame.locals), ("operand", &frame.operands)] {
        let told: Vec<_> = values.iter().enumerate().filter(|(_, value)| !is_zero(value)).collect();
        for (index, value) in told.iter().take(VALUES) {
            field(out, "", format!("{kind} {index:<3} {}", shown(value)))?;
        }
        if told.len() > VALUES {
            field(out, "", format!("… {} more, all under --json", told.len() - VALUES))?;
        }
        let zero = values.len() - told.len();
        if zero > 0 {
            field(out, "", format!("{zero} {kind}(s) are zero"))?;
        }
    }
    Ok(())
}

fn is_zero(value: &Value) -> bool {
    value.bits == Some(0)
}

fn shown(value: &Value) -> String {
    match (value.kind.as_str(), value.bits) {
        ("i32" | "i64", Some(bits)) => format!("{} {} ({bits:#x})", value.kind, value.value),
        _ => format!("{} {}", value.kind, value.value),
    }
}

fn pointed(place: &Pointed, out: &mut Output<'_>) -> io::Result<()> {
    let id = place.memory;
    field(
        out,
        "",
        format!(
            "{} points to {:#x} of memory {}:{}",
            place.value, place.address, id.instance, id.memory
        ),
    )?;
    for text in &place.texts {
        field(out, "", format!("  text \"{}\"", short(text, TEXT)))?;
    }
    let bytes = hex::decode(&place.hex).unwrap_or_default();
    for line in hex_view(place.start, &bytes).lines() {
        field(out, "", format!("  {line}"))?;
    }
    Ok(())
}

fn globals(halt: &Halt, out: &mut Output<'_>) -> io::Result<()> {
    let with = halt
        .stop
        .instances
        .iter()
        .enumerate()
        .filter(|(_, one)| !one.globals.is_empty());
    let mut first = true;
    for (number, instance) in with {
        if std::mem::take(&mut first) {
            out.line("\nglobals")?;
        }
        let name = instance.module.as_deref().unwrap_or("unnamed module");
        let shown: Vec<_> = instance
            .globals
            .iter()
            .take(GLOBALS)
            .map(|global| format!("{} {}", global.kind, global.bits.as_deref().unwrap_or("null")))
            .collect();
        let more = match instance.globals.len().saturating_sub(GLOBALS) {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        field(
            out,
            "",
            format!("instance {number} ({})  {}{more}", printable(name), shown.join(", ")),
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
