//! From TOML text to typed values with their places, by a table of keys; every mistake is found in one reading.

use crate::codes;
use crate::diagnostic::{Diagnostic, Source, Span};
use crate::form::{Form, Mistake, Scalar, Shape};
use crate::node::{Entry, Node, Table, Value};
use crate::suggest;
use crate::units;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Bytes of the largest file that is read; the longest manifests are a hundredth of it.
const LARGEST: usize = 256 << 10;

/// Findings of one file that are reported; whoever has more of them mends these first.
const MOST_FINDINGS: usize = 100;

/// Breaches of TOML's grammar that are reported.
const MOST_BREACHES: usize = 3;

/// Reads a text whose root is `shape`. The table is there unless the text is not TOML at all; it holds what is right.
pub(crate) fn read(file: &str, text: &str, shape: &'static Shape) -> (Option<Table>, Vec<Diagnostic>) {
    if text.len() > LARGEST {
        let message = format!("`{file}` has {} bytes; {LARGEST} are read at most", text.len());
        return (
            None,
            vec![Diagnostic::error(codes::TOO_LARGE, message).help("check that it is the file that you mean")],
        );
    }
    let source = Source::new(file, text);
    let (root, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        return (None, not_toml(&source, &errors));
    }
    let mut reader = Reader {
        source,
        findings: Vec::new(),
    };
    let root_span = reader.source.span(0..0);
    let table = reader.table(root.get_ref(), shape, "", &root_span);
    let mut findings = reader.findings;
    findings.truncate(MOST_FINDINGS);
    (Some(table), findings)
}

/// Breaches of the grammar: one of each line, and few, because one that is not closed lets all that follows look wrong.
fn not_toml(source: &Source<'_>, errors: &[toml::de::Error]) -> Vec<Diagnostic> {
    let mut errors: Vec<_> = errors.iter().collect();
    errors.sort_by_key(|error| error.span().map(|range| range.start));
    let mut findings: Vec<Diagnostic> = Vec::new();
    for error in errors {
        let span = error.span().map(|range| source.span(range));
        let line = |span: &Option<Span>| span.as_ref().map(|span| span.line);
        if findings.iter().any(|finding| line(&finding.span) == line(&span)) {
            continue;
        }
        findings.push(
            Diagnostic::error(codes::NOT_TOML, format!("this is not TOML: {}", error.message()))
                .at(span)
                .help("write `key = value` lines under `[table]` headings, texts in quotes, each key once (https://toml.io)"),
        );
    }
    findings.truncate(MOST_BREACHES);
    findings
}

struct Reader<'a> {
    source: Source<'a>,
    findings: Vec<Diagnostic>,
}

impl Reader<'_> {
    /// Reads a table at `path` (empty for the root), whose heading stands at `span`.
    fn table(&mut self, table: &DeTable<'_>, shape: &'static Shape, path: &str, span: &Span) -> Table {
        let mut entries = Vec::new();
        for (name, value) in in_order(table) {
            let key_span = self.source.span(name.span());
            match shape.key(name.get_ref()) {
                Some(key) => self.entry(&mut entries, name.get_ref(), key_span, key.form, value, path),
                None => self.unknown_key(name.get_ref(), key_span, shape, path),
            }
        }
        for key in shape.keys().filter(|key| key.required && !table.contains_key(key.name)) {
            let place = if path.is_empty() {
                shape.title.to_owned()
            } else {
                format!("`{path}`")
            };
            self.findings.push(
                Diagnostic::error(codes::MISSING_KEY, format!("`{}` is missing in {place}", key.name))
                    .at(span.clone())
                    .help(format!("write `{} = {}`", key.name, key.form.example())),
            );
        }
        Table::new(entries)
    }

    fn entry(
        &mut self,
        entries: &mut Vec<Entry>,
        name: &str,
        key_span: Span,
        form: Form,
        value: &Spanned<DeValue<'_>>,
        path: &str,
    ) {
        let path = if path.is_empty() {
            name.to_owned()
        } else {
            format!("{path}.{name}")
        };
        if let Some(node) = self.node(value, form, &path, &key_span) {
            entries.push(Entry {
                key: name.to_owned(),
                key_span,
                node,
            });
        }
    }

    fn unknown_key(&mut self, name: &str, span: Span, shape: &'static Shape, path: &str) {
        let place = if path.is_empty() {
            shape.title.to_owned()
        } else {
            format!("`{path}`")
        };
        let name = units::short(name);
        self.findings.push(
            Diagnostic::error(codes::UNKNOWN_KEY, format!("`{name}` is not a key of {place}"))
                .help(suggest::instead(&name, shape.keys().map(|key| key.name)))
                .at(span),
        );
    }

    fn node(&mut self, value: &Spanned<DeValue<'_>>, form: Form, path: &str, key_span: &Span) -> Option<Node> {
        let span = self.source.span(value.span());
        let read = match (value.get_ref(), form) {
            (DeValue::Table(table), Form::Table(shape) | Form::Either(_, shape)) => {
                // An inline table has a place of its own; the place of a headed one is its heading, best shown by its key.
                Ok(Value::Table(self.table(table, shape, path, key_span)))
            }
            (DeValue::Table(table), Form::Map(keys, values)) => Ok(Value::Table(self.map(table, *keys, *values, path))),
            (DeValue::Array(items), Form::SomeList(_)) if items.is_empty() => Err((
                codes::MISSING_KEY,
                units::Problem::new("the list is empty", format!("write it like {}", form.example())),
            )),
            (DeValue::Array(items), Form::List(item) | Form::SomeList(item)) => {
                let nodes = items.iter().filter_map(|value| self.node(value, *item, path, &span));
                Ok(Value::List(nodes.collect()))
            }
            (DeValue::String(text), _) if form.is_text() => form.text(text).map(Value::Scalar),
            (DeValue::Integer(digits), _) => match u64::from_str_radix(digits.as_str(), digits.radix()) {
                Ok(number) => form.number(number).map(Value::Scalar),
                Err(_) => Err(out_of_range(form, digits.as_str())),
            },
            (DeValue::Float(number), _) => match number.as_str().parse::<f64>() {
                Ok(share) => form.share(share).map(Value::Scalar),
                Err(_) => Err(form.not_such(number.as_str())),
            },
            (other, _) => Err(form.not_such(&shown(other))),
        };
        match read {
            Ok(value) => Some(Node { value, span }),
            Err(mistake) => {
                self.mistake(mistake, path, span);
                None
            }
        }
    }

    fn map(&mut self, table: &DeTable<'_>, keys: Form, values: Form, path: &str) -> Table {
        let mut entries = Vec::new();
        for (name, value) in in_order(table) {
            let key_span = self.source.span(name.span());
            match keys.text(name.get_ref()) {
                Ok(Scalar::Text(key)) => self.entry(&mut entries, &key, key_span, values, value, path),
                Ok(_) => {}
                Err(mistake) => self.mistake(mistake, path, key_span),
            }
        }
        Table::new(entries)
    }

    fn mistake(&mut self, (code, problem): Mistake, path: &str, span: Span) {
        self.findings.push(
            Diagnostic::error(code, format!("`{path}`: {}", problem.message))
                .help(problem.help)
                .at(span),
        );
    }
}

/// Negative numbers, and numbers that no machine word holds.
fn out_of_range(form: Form, digits: &str) -> Mistake {
    match form {
        Form::OrNone(form) => out_of_range(*form, digits),
        Form::Count(from, to) => (
            codes::OUT_OF_RANGE,
            units::Problem::new(
                format!("{} is out of range", units::short(digits)),
                format!("write a whole number from {from} to {to}"),
            ),
        ),
        form => form.not_such(digits),
    }
}

/// The crate sorts keys by name; people read files from top to bottom.
fn in_order<'t, 'i>(table: &'t DeTable<'i>) -> Vec<(&'t Spanned<std::borrow::Cow<'i, str>>, &'t Spanned<DeValue<'i>>)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

fn shown(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("the text \"{text}\""),
        DeValue::Integer(digits) => digits.as_str().to_owned(),
        DeValue::Float(digits) => digits.as_str().to_owned(),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(_) => "a date or time".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}
