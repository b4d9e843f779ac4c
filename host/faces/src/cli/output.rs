//! Where commands write: data to stdout as text or JSON, tables and colour only on a terminal.

use comfy_table::{ColumnConstraint, ContentArrangement, Table, presets};
use serde::Serialize;
use std::io::{self, Write};

/// How stdout is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// One JSON object, or one a line.
    pub json: bool,
    /// Whether stdout is a terminal: tables are drawn.
    pub terminal: bool,
    /// Whether colours may be written.
    pub colour: bool,
}

/// A command's stdout.
pub struct Output<'a> {
    look: Look,
    to: &'a mut (dyn Write + Send),
}

impl<'a> Output<'a> {
    /// Output that is written to `to` in that look.
    pub fn new(look: Look, to: &'a mut (dyn Write + Send)) -> Self {
        Self { look, to }
    }

    /// How it is written.
    #[must_use]
    pub fn look(&self) -> Look {
        self.look
    }

    /// Whether `--json` was given.
    #[must_use]
    pub fn json(&self) -> bool {
        self.look.json
    }

    /// Writes one line of text.
    ///
    /// # Errors
    /// Those of stdout.
    pub fn line(&mut self, text: impl AsRef<str>) -> io::Result<()> {
        writeln!(self.to, "{}", text.as_ref())
    }

    /// Writes text as it is.
    ///
    /// # Errors
    /// Those of stdout.
    pub fn text(&mut self, text: &str) -> io::Result<()> {
        self.to.write_all(text.as_bytes())
    }

    /// Writes bytes as they are.
    ///
    /// # Errors
    /// Those of stdout.
    pub fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.to.write_all(bytes)
    }

    /// Writes one JSON value on a line.
    ///
    /// # Errors
    /// Those of stdout.
    pub fn value(&mut self, value: &impl Serialize) -> io::Result<()> {
        let text = serde_json::to_string(value).map_err(io::Error::other)?;
        writeln!(self.to, "{text}")
    }

    /// Writes rows: JSON lines of `values` under `--json`, else as [`Self::table`].
    ///
    /// # Errors
    /// Those of stdout.
    pub fn rows<T: Serialize>(
        &mut self,
        head: &[&str],
        values: &[T],
        row: impl Fn(&T) -> Vec<String>,
    ) -> io::Result<()> {
        if self.look.json {
            return values.iter().try_for_each(|value| self.value(value));
        }
        self.table(head, values, row)
    }

    /// Writes a table on a terminal, else fields parted by tabs without a head.
    ///
    /// # Errors
    /// Those of stdout.
    pub fn table<T>(&mut self, head: &[&str], values: &[T], row: impl Fn(&T) -> Vec<String>) -> io::Result<()> {
        if !self.look.terminal {
            return values.iter().try_for_each(|value| {
                let fields: Vec<_> = row(value).iter().map(|field| printable(field)).collect();
                self.line(fields.join("\t"))
            });
        }
        if values.is_empty() {
            return Ok(());
        }
        let mut table = Table::new();
        table
            .load_preset(presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_header(head.iter().map(|title| title.to_uppercase()));
        for value in values {
            table.add_row(row(value).iter().map(|field| printable(field)));
        }
        keep_in_one_piece(&mut table);
        for line in table.lines() {
            self.line(line.trim_end())?;
        }
        Ok(())
    }
}

/// Columns that the last one needs to be worth wrapping.
const NARROW: u16 = 24;

/// Ids are copied, so they are never wrapped: the last column takes what is left of the terminal's width, and where that is not
/// enough, nothing is wrapped at all.
fn keep_in_one_piece(table: &mut Table) {
    let mut widths = table.column_max_content_widths();
    widths.pop();
    let taken = widths
        .iter()
        .fold(0_u16, |sum, width| sum.saturating_add(*width).saturating_add(2));
    if table.width().is_some_and(|width| width < taken.saturating_add(NARROW)) {
        table.set_content_arrangement(ContentArrangement::Disabled);
    }
    for column in table.column_iter_mut().take(widths.len()) {
        column.set_constraint(ColumnConstraint::ContentWidth);
    }
}

/// Text of guests and upstreams that cannot steer the terminal it is printed on.
#[must_use]
pub(super) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\t' => ' ',
            c if c.is_control() => '\u{fffd}',
            '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' => '\u{fffd}',
            c => c,
        })
        .collect()
}

/// The first `most` characters of a text on one line.
#[must_use]
pub(super) fn short(text: &str, most: usize) -> String {
    let clean = printable(text);
    match clean.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", &clean[..at]),
        None => clean,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn written(look: Look) -> String {
        let mut bytes = Vec::new();
        Output::new(look, &mut bytes)
            .rows(&["name", "note"], &[("a", "x\ty"), ("b", "\u{1b}[2J")], |(a, b)| {
                vec![(*a).to_owned(), (*b).to_owned()]
            })
            .unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn pipes_get_one_row_a_line_and_no_control_characters() {
        assert_eq!(written(Look::default()), "a\tx y\nb\t\u{fffd}[2J\n");
    }

    #[test]
    fn terminals_get_a_head() {
        let shown = written(Look {
            terminal: true,
            ..Look::default()
        });
        assert!(shown.contains("NAME") && !shown.contains('\u{1b}'), "{shown:?}");
    }

    #[test]
    fn json_is_one_value_a_line() {
        let shown = written(Look {
            json: true,
            ..Look::default()
        });
        assert_eq!(shown, "[\"a\",\"x\\ty\"]\n[\"b\",\"\\u001b[2J\"]\n");
    }
}
