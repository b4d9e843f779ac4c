//! The operator's file as a start for one's own: every key under what it means, at its default.

use crate::form::{Form, Key, Shape};
use crate::schema::HOST;
use std::fmt::Write as _;

const HEAD: &str = "\
# The operator's file of Fusebox: `fusebox.toml`. Every key stands here with its default; those that have none are
# shown in a comment. Variables and flags win over this file: `fusebox config show` prints what is in force.
";

/// The whole file.
#[must_use]
pub fn host_template() -> String {
    let mut out = HEAD.to_owned();
    let (tables, values): (Vec<_>, Vec<_>) = HOST
        .keys()
        .partition(|key| matches!(key.form, Form::Table(_) | Form::Map(..)));
    for key in values {
        out.push('\n');
        value(&mut out, key);
    }
    for key in tables {
        // Writing to a string cannot fail.
        let _ = write!(out, "\n# {}\n", key.doc);
        match key.form {
            Form::Table(shape) => table(&mut out, key.name, shape),
            Form::Map(name, Form::Table(shape)) => {
                let _ = writeln!(out, "# [{}.{}]", key.name, name.example().trim_matches('"'));
                for key in shape.keys().filter(|key| key.required) {
                    let _ = writeln!(out, "# {} = {}", key.name, key.form.example());
                }
            }
            _ => value(&mut out, key),
        }
    }
    out
}

fn table(out: &mut String, name: &str, shape: &'static Shape) {
    let _ = writeln!(out, "[{name}]");
    for key in shape.keys() {
        value(out, key);
    }
}

fn value(out: &mut String, key: &Key) {
    let line = match key.default {
        "" => format!("# {} = {}", key.name, key.form.example()),
        default => format!("{} = {default}", key.name),
    };
    let _ = writeln!(out, "# {}\n{line}", key.doc);
}
