//! A run as lines in the order of time: its attempts, and what each did to the world.

use super::moments::{clock_time, lasting, moment};
use super::output::{Output, printable, short};
use fusebox_engine::records::{AttemptRecord, EffectRecord, RunRecord};
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
    field(out, "run", format!("{}  {}", run.id, run.state))?;
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
    field(out, "input", short(&run.input, 2000))?;
    if let Some(failure) = &run.failure {
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
        if let Some(error) = &failure.error {
            field(out, "answer", short(error, 2000))?;
        }
    }
    if !run.in_doubt.is_empty() {
        let numbers: Vec<_> = run.in_doubt.iter().map(|seq| format!("#{seq}")).collect();
        field(out, "in doubt", format!("effect {}", numbers.join(", ")))?;
    }
    Ok(())
}

/// Its attempts, as a timeline.
///
/// # Errors
/// Those of stdout.
pub(super) fn attempts(attempts: &[AttemptRecord], out: &mut Output<'_>) -> io::Result<()> {
    for attempt in attempts {
        out.line("")?;
        field(
            out,
            &format!("attempt {}", attempt.number),
            format!(
                "{}  {}  took {}  {}",
                clock_time(attempt.started),
                attempt.outcome,
                lasting(Duration::from_millis(attempt.took_ms)),
                printable(&attempt.message)
            ),
        )?;
        for effect in &attempt.effects {
            field(out, "", effect_line(attempt.started, effect))?;
        }
        if let Some(waited) = attempt.then_waited_ms {
            field(out, "", format!("… waited {}", lasting(Duration::from_millis(waited))))?;
        }
    }
    Ok(())
}

fn effect_line(start: i64, effect: &EffectRecord) -> String {
    let at = start.saturating_add(i64::try_from(effect.at_ms).unwrap_or(i64::MAX));
    let mark = match (effect.in_doubt, effect.repeatable) {
        (true, _) => "  IN DOUBT",
        (false, false) => "  not to be repeated",
        (false, true) => "",
    };
    let service = if effect.service.is_empty() {
        "no service".to_owned()
    } else {
        printable(&effect.service)
    };
    format!(
        "#{} {}  {}  {} -> {}  {}{mark}",
        effect.seq,
        clock_time(at),
        service,
        short(&effect.request, 120),
        printable(&effect.answer),
        lasting(Duration::from_millis(effect.took_ms)),
    )
}
