//! A run as lines in the order of time: its attempts, what each asked of the world, and the runs that it called.

use super::moments::{clock_time, lasting, moment, relative};
use super::output::{Output, printable, short};
use crate::tree::{Tree, effects};
use fusebox_core::effect::Kind;
use fusebox_core::run::State;
use fusebox_core::time::Wall;
use fusebox_engine::records::{ApprovalRecord, AttemptRecord, EffectRecord, JournalRecord, RunRecord};
use std::io;
use std::time::Duration;

/// Columns of the labels on the left.
pub(super) const LABEL: usize = 10;

/// Writes `label     text`.
///
/// # Errors
/// Those of stdout.
pub(super) fn field(out: &mut Output<'_>, label: &str, text: impl AsRef<str>) -> io::Result<()> {
    out.line(format!("{label:<LABEL$}{}", text.as_ref()))
}

/// What the run is.
///
/// # Errors
/// Those of stdout.
pub(super) fn head(run: &RunRecord, out: &mut Output<'_>) -> io::Result<()> {
    let detached = if run.detached { "  detached" } else { "" };
    field(out, "run", format!("{}  {}{detached}", run.id, run.state))?;
    if let Some(nested) = &run.nested {
        field(
            out,
            "below",
            format!("{}  effect #{}, root {}", nested.parent, nested.seq, nested.root),
        )?;
    }
    field(
        out,
        "function",
        format!(
            "{}.{}  version {}  {}",
            run.tool, run.function, run.version, run.component
        ),
    )?;
    field(
        out,
        "caller",
        format!("{}  tenant {}", printable(&run.principal), printable(&run.tenant)),
    )?;
    if let Some(key) = &run.key {
        field(out, "key", printable(key))?;
    }
    let end = run.finished.map_or_else(|| "not over".to_owned(), moment);
    field(out, "time", format!("{} to {end}", moment(run.created)))?;
    if run.recoveries > 0 {
        field(
            out,
            "recovered",
            format!("{} time(s), from a host that was gone", run.recoveries),
        )?;
    }
    field(out, "input", short(&run.input, 2000))?;
    failure(run, out)?;
    if !run.in_doubt.is_empty() {
        let numbers: Vec<_> = run.in_doubt.iter().map(|seq| format!("#{seq}")).collect();
        field(out, "in doubt", format!("effect {}", numbers.join(", ")))?;
    }
    Ok(())
}

fn failure(run: &RunRecord, out: &mut Output<'_>) -> io::Result<()> {
    let Some(failure) = &run.failure else { return Ok(()) };
    let service = failure
        .service
        .as_ref()
        .map_or_else(String::new, |name| format!(" by {}", printable(name)));
    field(
        out,
        "failure",
        format!(
            "{} ({}{service}): {}",
            failure.code,
            failure.class,
            printable(&failure.message)
        ),
    )?;
    for cause in &failure.chain {
        field(out, "", format!("because {}", printable(cause)))?;
    }
    match &failure.error {
        Some(error) => field(out, "answer", short(error, 2000)),
        None => Ok(()),
    }
}

/// What a run waits for, in a sentence; `None` when it waits for nothing.
pub(super) fn waits_for(run: &RunRecord, approval: Option<&ApprovalRecord>, now: Wall) -> Option<String> {
    match State::from_name(&run.state)? {
        State::Accepted => Some("a host that serves (`fusebox serve`)".to_owned()),
        State::Sleeping => Some(run.until.map_or_else(
            || "its next attempt".to_owned(),
            |at| format!("its next attempt at {} ({})", moment(at), relative(at, now)),
        )),
        State::Suspended => Some(match approval {
            Some(asked) => format!(
                "a person, since {}: {} about {}.{}, until {} ({})",
                moment(asked.asked),
                asked.id,
                asked.tool,
                asked.function,
                moment(asked.expires),
                relative(asked.expires, now),
            ),
            None => "a person".to_owned(),
        }),
        _ => None,
    }
}

/// The steps of a run: its attempts as a timeline, below each call the run that it made, and last what no attempt tells of yet.
///
/// # Errors
/// Those of stdout.
pub(super) fn steps(run: &RunRecord, tree: &Tree, out: &mut Output<'_>) -> io::Result<()> {
    Steps { tree, out }.of(run, 0)
}

struct Steps<'s, 'o> {
    tree: &'s Tree,
    out: &'s mut Output<'o>,
}

impl Steps<'_, '_> {
    /// A line of a run that is nested so deep; a label stands in the margin as far as there is one.
    fn line(&mut self, depth: usize, label: &str, text: impl AsRef<str>) -> io::Result<()> {
        let text = text.as_ref();
        match (depth, label) {
            (0, _) => field(self.out, label, text),
            (_, "") => field(self.out, "", format!("{:indent$}{text}", "", indent = depth * 4)),
            (_, _) => field(
                self.out,
                "",
                format!("{:indent$}{label}  {text}", "", indent = depth * 4 - 2),
            ),
        }
    }

    fn of(&mut self, run: &RunRecord, depth: usize) -> io::Result<()> {
        for (index, attempt) in run.attempts.iter().enumerate() {
            if depth == 0 {
                self.out.line("")?;
            }
            self.attempt(run, index, attempt, depth)?;
        }
        self.untold(run, depth)
    }

    fn attempt(&mut self, run: &RunRecord, index: usize, attempt: &AttemptRecord, depth: usize) -> io::Result<()> {
        self.line(depth, &format!("attempt {}", attempt.number), attempt_line(attempt))?;
        if attempt.served > 0 {
            self.line(
                depth,
                "",
                format!("{} effect(s) served from the journal, not made again", attempt.served),
            )?;
        }
        for effect in &attempt.effects {
            self.line(depth, "", effect_line(attempt, effect))?;
            // A call that is made again is the same run: it is told where its number stands last.
            let later = run.attempts[index + 1..].iter().flat_map(|later| &later.effects);
            if !later.into_iter().any(|later| later.seq == effect.seq) {
                self.called(run, effect.seq, depth)?;
            }
        }
        match attempt.then_waited_ms {
            Some(waited) => self.line(
                depth,
                "",
                format!("… waited {}", lasting(Duration::from_millis(waited))),
            ),
            None => Ok(()),
        }
    }

    /// The run that the effect of that number called.
    fn called(&mut self, run: &RunRecord, seq: u32, depth: usize) -> io::Result<()> {
        let tree = self.tree;
        for below in tree.below(&run.id) {
            if below.nested.as_ref().is_some_and(|nested| nested.seq == seq) {
                self.line(
                    depth,
                    "",
                    format!("  {}  {}.{}  {}", below.id, below.tool, below.function, below.state),
                )?;
                self.of(below, depth + 1)?;
            }
        }
        Ok(())
    }

    fn untold(&mut self, run: &RunRecord, depth: usize) -> io::Result<()> {
        let tree = self.tree;
        let mut untold = tree.untold(run).peekable();
        if untold.peek().is_some() {
            if depth == 0 {
                self.out.line("")?;
            }
            self.line(depth, "journal", "of an attempt that has not told its end")?;
            for entry in untold {
                self.line(depth, "", journal_line(entry))?;
                self.called(run, entry.seq, depth)?;
            }
        }
        // A child that neither an attempt nor the journal mentions is shown all the same.
        for below in tree.below(&run.id) {
            let seq = below.nested.as_ref().map_or(0, |nested| nested.seq);
            let mentioned = effects(run).any(|effect| effect.seq == seq)
                || tree.journal(&run.id).iter().any(|entry| entry.seq == seq);
            if !mentioned {
                self.line(depth, "", format!("#{seq}  call  {}.{}", below.tool, below.function))?;
                self.called(run, seq, depth)?;
            }
        }
        Ok(())
    }
}

/// How an attempt went.
pub(super) fn attempt_line(attempt: &AttemptRecord) -> String {
    let line = format!(
        "{}  {}  took {}  {}",
        clock_time(attempt.started),
        attempt.outcome,
        lasting(Duration::from_millis(attempt.took_ms)),
        printable(&attempt.message)
    );
    line.trim_end().to_owned()
}

/// What an effect of that attempt was and what came of it.
pub(super) fn effect_line(attempt: &AttemptRecord, effect: &EffectRecord) -> String {
    let at = attempt
        .started
        .saturating_add(i64::try_from(effect.at_ms).unwrap_or(i64::MAX));
    format!(
        "{} -> {}  {}{}",
        asked_line(effect.seq, at, &effect.kind, &effect.service, &effect.request),
        answer(attempt, effect),
        lasting(Duration::from_millis(effect.took_ms)),
        mark(effect.in_doubt, effect.repeatable),
    )
}

/// What came of an effect. An attempt that rests has made nothing of what it waits for.
fn answer(attempt: &AttemptRecord, effect: &EffectRecord) -> String {
    let rests = matches!(
        State::from_name(&attempt.outcome),
        Some(State::Suspended | State::Sleeping)
    );
    if rests && effect.answer == "unknown" && !effect.in_doubt {
        return "not made yet".to_owned();
    }
    printable(&effect.answer)
}

/// The same of an entry of the journal.
pub(super) fn journal_line(entry: &JournalRecord) -> String {
    let request = format!("{} {}", entry.method, entry.path);
    let asked = asked_line(entry.seq, entry.asked, &entry.kind, &entry.service, &request);
    match &entry.settled {
        Some(settled) => format!(
            "{asked} -> {}  {}{}",
            printable(&settled.answer),
            lasting(Duration::from_millis(settled.took_ms)),
            mark(false, entry.repeatable),
        ),
        None => format!("{asked} -> not settled{}", mark(false, entry.repeatable)),
    }
}

fn asked_line(seq: u32, at: i64, kind: &str, service: &str, request: &str) -> String {
    let service = match service {
        "" if kind == Kind::Http.name() => "  no service".to_owned(),
        "" => String::new(),
        service => format!("  {}", printable(service)),
    };
    format!(
        "#{seq} {}  {kind}{service}  {}",
        clock_time(at),
        short(request.trim_end(), 120)
    )
}

fn mark(in_doubt: bool, repeatable: bool) -> &'static str {
    match (in_doubt, repeatable) {
        (true, _) => "  IN DOUBT",
        (false, false) => "  not to be repeated",
        (false, true) => "",
    }
}

#[cfg(test)]
mod tests;
