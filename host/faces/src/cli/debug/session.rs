//! Going from effect to effect on a terminal.

use super::{frames, view};
use crate::cli::Context;
use crate::cli::dlq::memory::{hex_view, number};
use crate::cli::failed::Failed;
use crate::cli::timeline::field;
use fusebox_engine::debug::{Debugging, Exchange, Halt};

/// Bytes of memory that are shown unless somebody says how many, and at most.
const LENGTH: u64 = 64;
const LONGEST: u64 = 64 << 10;

const HELP: &str = "\
enter, n    the next effect
c           on to the end
e           this effect again: what was asked, what came of it
s           the stack
f N         look at frame N: its locals, operands and the memory around them
l           locals and operands of the frame that is looked at
m ADDR [N]  N bytes of memory from ADDR, decimal or 0x…
q           quit";

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
enum Order {
    Next,
    End,
    Effect,
    Stack,
    Frame(usize),
    Locals,
    Memory(u64, u64),
    Help,
    Quit,
}

/// Stops at each effect and does as it is told.
///
/// # Errors
/// What the host refused, or those of the terminal.
pub(super) async fn run(debugging: &Debugging, cx: &mut Context<'_>) -> Result<(), Failed> {
    let report = debugging.report(false).await?;
    view::head(&report, &mut cx.out)?;
    if report.not_replayed.is_some() {
        return Ok(());
    }
    for effect in &report.effects {
        let (exchange, halt) = debugging.at(effect.seq).await?;
        cx.out.line("")?;
        view::exchange(&exchange, &mut cx.out)?;
        match hold(&exchange, halt.as_ref(), cx)? {
            Order::Quit => return Ok(()),
            Order::End => break,
            _ => {}
        }
    }
    let end = report.ended.as_deref().unwrap_or_default();
    cx.out.line(format!("\nthe end: {end}"))?;
    match &report.halt {
        Some(halt) => {
            frames::stack(halt, &mut cx.out)?;
            let last = report.effects.last().cloned();
            hold_at_end(last.as_ref(), halt, cx)
        }
        None => Ok(()),
    }
}

fn hold_at_end(last: Option<&Exchange>, halt: &Halt, cx: &mut Context<'_>) -> Result<(), Failed> {
    let mut frame = 0;
    loop {
        match ask("end", cx)? {
            Order::Next | Order::End | Order::Quit => return Ok(()),
            order => look(&order, last, Some(halt), &mut frame, cx)?,
        }
    }
}

/// Does what it is told until that is to go on.
fn hold(exchange: &Exchange, halt: Option<&Halt>, cx: &mut Context<'_>) -> Result<Order, Failed> {
    let mut frame = 0;
    loop {
        match ask(&format!("effect {}", exchange.seq), cx)? {
            order @ (Order::Next | Order::End | Order::Quit) => return Ok(order),
            order => look(&order, Some(exchange), halt, &mut frame, cx)?,
        }
    }
}

fn look(
    order: &Order,
    exchange: Option<&Exchange>,
    halt: Option<&Halt>,
    frame: &mut usize,
    cx: &mut Context<'_>,
) -> Result<(), Failed> {
    let out = &mut cx.out;
    match (order, halt, exchange) {
        (Order::Effect, _, Some(exchange)) => view::exchange(exchange, out)?,
        (Order::Help | Order::Effect, _, _) => out.line(HELP)?,
        (_, None, _) => field(out, "", "it returned before it could be stopped there")?,
        (Order::Stack, Some(halt), _) => frames::stack(halt, out)?,
        (Order::Frame(number), Some(halt), _) if *number < halt.stop.frames.len() => {
            *frame = *number;
            frames::frame(halt, *frame, out)?;
        }
        (Order::Frame(number), Some(halt), _) => {
            let count = halt.stop.frames.len();
            field(
                out,
                "",
                format!("there is no frame {number}; there are {count}, from 0"),
            )?;
        }
        (Order::Locals, Some(halt), _) => frames::frame(halt, *frame, out)?,
        (Order::Memory(at, length), Some(halt), _) => memory(halt, *frame, *at, *length, cx)?,
        (Order::Next | Order::End | Order::Quit, _, _) => {}
    }
    Ok(())
}

fn memory(halt: &Halt, frame: usize, at: u64, length: u64, cx: &mut Context<'_>) -> Result<(), Failed> {
    // Code between two modules has none of its own; what it hands on is an address of its caller.
    let id = halt.stop.frames.iter().skip(frame).find_map(|frame| frame.memory);
    let found = id.and_then(|id| Some((id, halt.stop.memory(id)?)));
    let Some((id, memory)) = found else {
        return Ok(field(&mut cx.out, "", format!("code of frame {frame} has no memory"))?);
    };
    if at >= memory.size {
        let text = format!("memory {}:{} ends at {:#x}", id.instance, id.memory, memory.size);
        return Ok(field(&mut cx.out, "", text)?);
    }
    Ok(cx.out.text(&hex_view(at, &memory.read(at, length.min(LONGEST))))?)
}

/// Reads an order; the end of the input is `q`.
fn ask(place: &str, cx: &mut Context<'_>) -> Result<Order, Failed> {
    loop {
        write!(cx.stderr, "({place}) ")?;
        cx.stderr.flush()?;
        let Some(answers) = cx.answers.as_mut() else {
            return Ok(Order::Quit);
        };
        let mut line = String::new();
        if answers.read_line(&mut line)? == 0 {
            return Ok(Order::Quit);
        }
        match parse(&line) {
            Ok(order) => return Ok(order),
            Err(what) => cx.note(&format!("{what}; `h` lists what there is")),
        }
    }
}

fn parse(line: &str) -> Result<Order, String> {
    let words: Vec<_> = line.split_whitespace().collect();
    let count = |word: &str| word.parse().map_err(|_| format!("`{word}` is no number of a frame"));
    Ok(match words.as_slice() {
        [] | ["n" | "next"] => Order::Next,
        ["c" | "continue"] => Order::End,
        ["e" | "effect"] => Order::Effect,
        ["s" | "stack" | "bt"] => Order::Stack,
        ["f" | "frame", frame] => Order::Frame(count(frame)?),
        ["l" | "locals"] => Order::Locals,
        ["m" | "memory", at] => Order::Memory(number(at)?, LENGTH),
        ["m" | "memory", at, length] => Order::Memory(number(at)?, number(length)?),
        ["h" | "help" | "?"] => Order::Help,
        ["q" | "quit"] => Order::Quit,
        ["f" | "frame"] => return Err("name a frame by its number, such as `f 2`".to_owned()),
        ["m" | "memory"] => return Err("name an address, such as `m 0x10f000 64`".to_owned()),
        _ => return Err(format!("`{}` is no order", line.trim())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_short_and_mistakes_are_told() {
        assert_eq!(parse("\n"), Ok(Order::Next));
        assert_eq!(parse("f 12"), Ok(Order::Frame(12)));
        assert_eq!(parse("m 0x10 32"), Ok(Order::Memory(16, 32)));
        assert_eq!(parse("m 16"), Ok(Order::Memory(16, LENGTH)));
        assert_eq!(parse("q"), Ok(Order::Quit));
        for wrong in ["f", "f x", "m", "m x", "jump"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
