//! What a letter is good for: where a replay goes on, and what can be typed next.

use crate::cli::output::{Output, printable, short};
use crate::cli::timeline::field;
use crate::tree::Tree;
use fusebox_core::dead_letter::{Kind, State};
use fusebox_core::failure::Failure;
use fusebox_engine::host::{Back, Outlook};
use fusebox_engine::records::{LetterRecord, Snapshot};
use std::io;

/// Where a replay goes on, or why it would be refused.
pub(super) type Outlooks = Result<Outlook, Box<Failure>>;

/// Says where a replay goes on.
///
/// # Errors
/// Those of stdout.
pub(super) fn resumes(outlook: &Outlooks, out: &mut Output<'_>) -> io::Result<()> {
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

/// What can be done with a letter, as commands to type.
///
/// # Errors
/// Those of stdout.
pub(super) fn commands(
    letter: &LetterRecord,
    outlook: Option<&Outlooks>,
    tree: &Tree,
    out: &mut Output<'_>,
) -> io::Result<()> {
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
    field(out, "", format!("fusebox debug {id}"))?;
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
