//! What was promised, what was counted, and whether both agree.

use std::fmt::Display;

enum Verdict {
    Kept,
    Broken,
    NotRun,
}

struct Promise {
    what: String,
    expected: String,
    counted: String,
    verdict: Verdict,
}

/// The demo's table.
#[derive(Default)]
pub(super) struct Promises {
    all: Vec<Promise>,
}

impl Promises {
    /// Notes a promise that holds if both are equal.
    pub(super) fn equal<T: Display + PartialEq>(&mut self, what: &str, expected: T, counted: T) {
        let kept = expected == counted;
        self.note(what, expected.to_string(), counted.to_string(), kept);
    }

    /// Notes a promise that holds if one of several is counted.
    pub(super) fn one_of(&mut self, what: &str, expected: &[i32], counted: i32) {
        let texts: Vec<_> = expected.iter().map(ToString::to_string).collect();
        self.note(
            what,
            texts.join(" or "),
            counted.to_string(),
            expected.contains(&counted),
        );
    }

    /// Notes a promise about something that is no number.
    pub(super) fn holds(&mut self, what: &str, kept: bool, counted: &str) {
        self.note(what, "yes".to_owned(), counted.to_owned(), kept);
    }

    /// Notes a promise that could not be tried, and the command that makes it possible.
    pub(super) fn not_run(&mut self, what: &str, install: &str) {
        self.all.push(Promise {
            what: what.to_owned(),
            expected: "-".to_owned(),
            counted: install.to_owned(),
            verdict: Verdict::NotRun,
        });
    }

    fn note(&mut self, what: &str, expected: String, counted: String, kept: bool) {
        let verdict = if kept { Verdict::Kept } else { Verdict::Broken };
        if !kept {
            println!("  BROKEN: {what}: promised {expected}, counted {counted}");
        }
        self.all.push(Promise {
            what: what.to_owned(),
            expected,
            counted,
            verdict,
        });
    }

    /// Whether none was broken.
    pub(super) fn all_kept(&self) -> bool {
        !self
            .all
            .iter()
            .any(|promise| matches!(promise.verdict, Verdict::Broken))
    }

    /// Prints the table.
    pub(super) fn print(&self) {
        println!("\n{:<50}  {:<18}  {:<18}  ", "promised", "expected", "counted");
        for promise in &self.all {
            let verdict = match promise.verdict {
                Verdict::Kept => "kept",
                Verdict::Broken => "BROKEN",
                Verdict::NotRun => "not run",
            };
            println!(
                "{:<50}  {:<18}  {:<18}  {verdict}",
                promise.what,
                cut(&promise.expected),
                cut(&promise.counted)
            );
        }
        let kept = self
            .all
            .iter()
            .filter(|promise| matches!(promise.verdict, Verdict::Kept))
            .count();
        println!("\n{kept} of {} promises kept", self.all.len());
    }
}

fn cut(text: &str) -> String {
    let line = text.lines().next().unwrap_or("");
    match line.char_indices().nth(40) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line.to_owned(),
    }
}
