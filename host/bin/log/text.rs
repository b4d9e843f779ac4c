//! Lines for people.

use super::short;
use std::fmt::{self, Debug};
use std::io::Stderr;
use tracing::Subscriber;
use tracing::field::{Field, Visit};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::{Format, FormatFields, Writer};
use tracing_subscriber::fmt::{Layer, layer};
use tracing_subscriber::registry::LookupSpan;

/// A layer that writes them.
pub(super) fn lines<S>(colour: bool) -> Layer<S, ShortNames, Format, fn() -> Stderr>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    layer()
        .with_ansi(colour)
        .fmt_fields(ShortNames)
        .with_writer(std::io::stderr as fn() -> Stderr)
}

/// Writes fields as `name=value`.
pub(super) struct ShortNames;

impl<'w> FormatFields<'w> for ShortNames {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut fields_of = Fields {
            writer,
            empty: true,
            result: Ok(()),
        };
        fields.record(&mut fields_of);
        fields_of.result
    }
}

struct Fields<'w> {
    writer: Writer<'w>,
    empty: bool,
    result: fmt::Result,
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let Some(name) = short(field.name()) else { return };
        if self.result.is_err() {
            return;
        }
        let space = if std::mem::take(&mut self.empty) { "" } else { " " };
        self.result = match name {
            "message" => write!(self.writer, "{space}{value:?}"),
            name => write!(self.writer, "{space}{name}={value:?}"),
        };
    }
}
