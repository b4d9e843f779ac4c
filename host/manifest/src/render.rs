//! Findings as text for people: place, line, caret, code, advice. Plain unless the caller says that a terminal is there.

use crate::diagnostic::{Diagnostic, Severity, Span};
use std::fmt::Write;

/// Columns of a source line that are shown at most; a longer line is cut around the mark.
const WIDTH: usize = 120;

/// Whether control sequences for colours may be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// Text alone.
    #[default]
    Plain,
    /// Colours, for a terminal.
    Colour,
}

/// All findings as text, one after the other, with a closing line that counts them; empty when there are none.
#[must_use]
pub fn render(diagnostics: &[Diagnostic], style: Style) -> String {
    let mut out = String::new();
    for diagnostic in diagnostics {
        one(&mut out, diagnostic, style);
        out.push('\n');
    }
    if !diagnostics.is_empty() {
        out.push_str(&summary(diagnostics));
        out.push('\n');
    }
    out
}

/// One finding as a single line, for places that have no room for more.
#[must_use]
pub fn brief(diagnostic: &Diagnostic) -> String {
    let place = diagnostic
        .span
        .as_ref()
        .map_or_else(String::new, |span| format!("{span}: "));
    clean(&format!(
        "{place}{}[{}]: {}",
        diagnostic.severity.name(),
        diagnostic.code,
        diagnostic.message
    ))
}

fn summary(diagnostics: &[Diagnostic]) -> String {
    let errors = diagnostics.iter().filter(|d| d.is_error()).count();
    let count = |n: usize, what: &str| match n {
        0 => None,
        1 => Some(format!("1 {what}")),
        n => Some(format!("{n} {what}s")),
    };
    let counted: Vec<_> = [count(errors, "error"), count(diagnostics.len() - errors, "warning")]
        .into_iter()
        .flatten()
        .collect();
    let code = diagnostics.first().map_or("FB0101", |d| d.code);
    format!(
        "{}; `fusebox explain {code}` says more about a code",
        counted.join(", ")
    )
}

fn one(out: &mut String, diagnostic: &Diagnostic, style: Style) {
    let (colour, bold, dim, off) = match (style, diagnostic.severity) {
        (Style::Plain, _) => ("", "", "", ""),
        (Style::Colour, Severity::Error) => ("\x1b[1;31m", "\x1b[1m", "\x1b[2m", "\x1b[0m"),
        (Style::Colour, Severity::Warning) => ("\x1b[1;33m", "\x1b[1m", "\x1b[2m", "\x1b[0m"),
    };
    let word = diagnostic.severity.name();
    let message = clean(&diagnostic.message);
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{colour}{word}[{}]{off}: {bold}{message}{off}", diagnostic.code);
    let mut gutter = 0;
    if let Some(span) = &diagnostic.span {
        gutter = span.line.to_string().len();
        let (line, before, marked) = excerpt(span);
        let (pad, tail) = (" ".repeat(gutter), " ".repeat(before));
        let carets = "^".repeat(marked);
        let _ = writeln!(out, "{pad}{dim}-->{off} {}", clean(&span.to_string()));
        let _ = writeln!(out, "{pad} {dim}|{off}");
        let _ = writeln!(out, "{dim}{} |{off} {line}", span.line);
        let _ = writeln!(out, "{pad} {dim}|{off} {tail}{colour}{carets}{off}");
    }
    if let Some(help) = &diagnostic.help {
        let _ = writeln!(out, "{} {dim}={off} help: {}", " ".repeat(gutter), clean(help));
    }
}

/// The part of a line that is shown, how many characters stand before the mark, and how many are marked.
fn excerpt(span: &Span) -> (String, usize, usize) {
    let chars: Vec<char> = span.text.chars().collect();
    let start = (span.col as usize).saturating_sub(1).min(chars.len());
    let from = if start < WIDTH - 20 { 0 } else { start - 20 };
    let to = (from + WIDTH).min(chars.len());
    let marked = (span.len as usize).min(to.saturating_sub(start)).max(1);
    let mut line: String = chars[from..to]
        .iter()
        .map(|&c| if unsafe_to_print(c) || c == '\t' { ' ' } else { c })
        .collect();
    if to < chars.len() {
        line.push('…');
    }
    if from == 0 {
        (line, start, marked)
    } else {
        (format!("…{line}"), start - from + 1, marked)
    }
}

/// A file is written by others: what it contains must not steer the terminal that it is printed on, nor reorder text.
fn unsafe_to_print(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

fn clean(text: &str) -> String {
    text.chars()
        .map(|c| if c != '\n' && unsafe_to_print(c) { '\u{fffd}' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Source;

    fn finding(text: &str, range: std::ops::Range<usize>) -> Diagnostic {
        Diagnostic::error("FB0106", "`5x` is not a duration")
            .at(Source::new("t.toml", text).span(range))
            .help("write a number and a unit, such as \"5s\"")
    }

    #[test]
    fn a_finding_shows_place_line_caret_code_and_advice() {
        insta::assert_snapshot!(render(
            &[finding("name = \"a\"\ntimeout = \"5x\"\n", 21..25)],
            Style::Plain
        ));
    }

    #[test]
    fn a_long_line_is_cut_around_the_mark() {
        let text = format!("{}timeout = \"5x\"{}", "y".repeat(500), "z".repeat(500));
        let shown = render(&[finding(&text, 510..514)], Style::Plain);
        assert!(shown.lines().all(|line| line.chars().count() < 140), "{shown}");
        let mut lines = shown.lines().skip(3);
        let (line, carets) = (lines.next().unwrap_or(""), lines.next().unwrap_or(""));
        let at = carets.chars().position(|c| c == '^').unwrap_or(0);
        assert_eq!(line.chars().skip(at).take(4).collect::<String>(), "\"5x\"");
    }

    #[test]
    fn a_file_cannot_steer_the_terminal() {
        let mut hostile = finding("x = \"\x1b]0;owned\x07\u{202e}\"", 0..1);
        hostile.message = "\x1b[2J".to_owned();
        let shown = render(&[hostile], Style::Plain);
        assert!(!shown.chars().any(|c| c != '\n' && unsafe_to_print(c)), "{shown:?}");
    }

    #[test]
    fn colours_only_when_asked_for() {
        assert!(!render(&[finding("a", 0..1)], Style::Plain).contains('\x1b'));
        assert!(render(&[finding("a", 0..1)], Style::Colour).contains('\x1b'));
    }
}
