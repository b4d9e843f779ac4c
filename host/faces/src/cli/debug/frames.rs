//! Frames of a guest that was stopped, with values and the memory that they point to.

use crate::cli::dlq::memory::hex_view;
use crate::cli::output::{Output, printable, short};
use crate::cli::timeline::field;
use fusebox_engine::debug::{Halt, Pointed};
use fusebox_engine::ports::debugger::{StoppedFrame, Value};
use fusebox_engine::records::Frame;
use std::io;

/// Frames whose values are shown unless one is named.
const DETAILED: usize = 3;
/// Values of a frame that are shown.
const VALUES: usize = 24;
/// Characters of a text that are shown.
const TEXT: usize = 200;
/// Globals of an instance that are shown.
const GLOBALS: usize = 6;

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
        let mark = if is_own(frame) { "*" } else { " " };
        field(out, "", format!("{mark}{number:>3}  {}", place(&frame.frame)))?;
        for outer in &frame.inlined_into {
            field(out, "", format!("      in {}", printable(outer)))?;
        }
    }
    if halt.stop.frames.iter().any(is_own) {
        field(
            out,
            "",
            "* the tool's own code, as far as paths tell; the rest is of its language and libraries",
        )?;
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

/// Code of the tool itself: a source file by a path such as `src/lib.rs`, where toolchains and libraries have absolute ones, or `./` before theirs.
fn is_own(frame: &StoppedFrame) -> bool {
    let at = |name: &str, location: &str| {
        let foreign = ["std::", "core::", "alloc::", "__rust", "wit_bindgen"];
        !location.starts_with(['/', '.']) && !foreign.iter().any(|prefix| name.starts_with(prefix))
    };
    let place = &frame.frame;
    let here = place.location.as_deref();
    let outer = frame.inlined_into.iter().filter_map(|line| line.rsplit_once(" ("));
    here.is_some_and(|location| at(place.name.as_deref().unwrap_or_default(), location))
        || outer.into_iter().any(|(name, location)| at(name, location))
}

/// The innermost frames of the tool's own code; where none is known to be, the innermost of all.
fn worth_a_look(halt: &Halt) -> Vec<usize> {
    let numbers = || 0..halt.stop.frames.len();
    let has_values = |number: &usize| {
        let frame = &halt.stop.frames[*number];
        !frame.locals.is_empty() || !frame.operands.is_empty()
    };
    let own: Vec<usize> = numbers()
        .filter(|number| is_own(&halt.stop.frames[*number]))
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

/// Frames of which nothing but their places is known.
///
/// # Errors
/// Those of stdout.
pub(super) fn kept(frames: &[Frame], out: &mut Output<'_>) -> io::Result<()> {
    if frames.is_empty() {
        return Ok(());
    }
    out.line("\nframes that the letter keeps, innermost first")?;
    for (number, frame) in frames.iter().enumerate() {
        field(out, "", format!("{number:>4}  {}", place(frame)))?;
    }
    Ok(())
}
