//! Why a command failed, how that is shown, and the exit code that it ends with.

use super::moments::{lasting, moment};
use super::output::{Output, printable};
use crate::deploying::Refused;
use crate::outcome::{EXIT_INTERNAL, EXIT_INTERRUPTED, EXIT_USAGE, advice, outcome};
use fusebox_core::failure::{Code, Failure};
use fusebox_core::ids::BadId;
use fusebox_engine::records::FailureRecord;
use fusebox_manifest::diagnostic::Diagnostic;
use fusebox_manifest::render::{Style, render};
use serde_json::json;
use std::io::{self, Write};

/// The end of a command that did not do what it was asked.
#[derive(Clone, Debug)]
pub enum Failed {
    /// The host refused or failed.
    Host(Box<Failure>),
    /// Files are wrong; nothing was changed.
    Findings(Vec<Diagnostic>),
    /// The command line makes no sense.
    Usage {
        /// What is wrong.
        message: String,
        /// What to type instead.
        help: String,
    },
    /// A file could not be read or written.
    File {
        /// What happened, to which file.
        message: String,
        /// What to do next.
        help: String,
    },
    /// Some of what `doctor` looked at is not well; it was printed already.
    Unwell,
    /// Some of what a command did failed, and each failure was printed already; this is the exit code.
    Told(u8),
    /// A second signal ended the wait for an orderly end.
    Interrupted,
    /// Stdout is closed: nobody reads, which is nobody's fault.
    Closed,
}

impl From<Box<Failure>> for Failed {
    fn from(failure: Box<Failure>) -> Self {
        Self::Host(failure)
    }
}

impl From<Refused> for Failed {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Failure(failure) => Self::Host(failure),
            Refused::Findings(found) => Self::Findings(found),
            Refused::Grew(grew) => {
                let names: Vec<_> = grew.iter().map(|growth| format!("`{}`", growth.tool)).collect();
                let accept: Vec<_> = grew
                    .iter()
                    .map(|growth| format!("--accept {}", growth.digest))
                    .collect();
                Self::usage(
                    format!(
                        "nothing was deployed: {} would be able to do more than before",
                        names.join(", ")
                    ),
                    format!("if that is right, add {}", accept.join(" ")),
                )
            }
        }
    }
}

impl From<BadId> for Failed {
    fn from(error: BadId) -> Self {
        Self::usage(
            error.to_string(),
            "copy it from `fusebox runs list`, `fusebox dlq list` or `fusebox approvals list`",
        )
    }
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::Closed;
        }
        Self::Host(Box::new(Failure::new(
            Code::Internal,
            fusebox_core::failure::Class::Fault,
            format!("output could not be written: {error}"),
        )))
    }
}

impl Failed {
    /// A wrong command line.
    pub fn usage(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Usage {
            message: message.into(),
            help: help.into(),
        }
    }

    /// A file that cannot be read or written.
    pub fn file(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::File {
            message: message.into(),
            help: help.into(),
        }
    }

    /// The exit code.
    #[must_use]
    pub fn exit(&self) -> u8 {
        match self {
            Self::Host(failure) => outcome(failure.code).exit,
            Self::Findings(_) | Self::Usage { .. } | Self::File { .. } => EXIT_USAGE,
            Self::Unwell => EXIT_INTERNAL,
            Self::Told(exit) => *exit,
            Self::Interrupted => EXIT_INTERRUPTED,
            Self::Closed => 0,
        }
    }

    /// What is wrong and what to do next, a line each.
    #[must_use]
    pub fn brief(&self) -> (String, String) {
        match self {
            Self::Host(failure) => (failure.message.clone(), advice(failure)),
            Self::Findings(found) => {
                let lines: Vec<_> = found.iter().map(fusebox_manifest::render::brief).collect();
                (
                    lines.join("; "),
                    "mend the file; `fusebox explain CODE` says more".to_owned(),
                )
            }
            Self::Usage { message, help } | Self::File { message, help } => (message.clone(), help.clone()),
            Self::Unwell | Self::Told(_) | Self::Interrupted | Self::Closed => (String::new(), String::new()),
        }
    }

    /// Shows it: as JSON on stdout under `--json`, else as text on stderr.
    pub fn show(&self, out: &mut Output<'_>, stderr: &mut dyn Write, style: Style) {
        let shown = if out.json() {
            self.json().map_or(Ok(()), |value| out.value(&value))
        } else {
            stderr.write_all(self.text(style).as_bytes())
        };
        if shown.is_err() {
            tracing::debug!("nobody reads the failure");
        }
    }

    fn json(&self) -> Option<serde_json::Value> {
        match self {
            Self::Host(failure) => {
                let mut value = json!(FailureRecord::from(failure.as_ref()));
                value["help"] = json!(advice(failure));
                Some(json!({ "error": value }))
            }
            Self::Findings(found) => Some(json!({
                "error": { "code": "invalid-file", "message": "the file is not valid; nothing was changed" },
                "findings": found.iter().map(Diagnostic::to_json).collect::<Vec<_>>(),
            })),
            Self::Usage { message, help } => {
                Some(json!({ "error": { "code": "usage", "message": message, "help": help } }))
            }
            Self::File { message, help } => {
                Some(json!({ "error": { "code": "file", "message": message, "help": help } }))
            }
            Self::Unwell | Self::Told(_) | Self::Interrupted | Self::Closed => None,
        }
    }

    fn text(&self, style: Style) -> String {
        let (red, off) = match style {
            Style::Plain => ("", ""),
            Style::Colour => ("\x1b[1;31m", "\x1b[0m"),
        };
        match self {
            Self::Host(failure) => host_failure(failure, red, off),
            Self::Findings(found) => render(found, style),
            Self::Usage { message, help } | Self::File { message, help } => {
                format!("{red}error{off}: {}\n  = help: {help}\n", printable(message))
            }
            Self::Interrupted => "interrupted before what was in flight had ended\n".to_owned(),
            Self::Unwell | Self::Told(_) | Self::Closed => String::new(),
        }
    }
}

fn host_failure(failure: &Failure, red: &str, off: &str) -> String {
    let mut out = format!("{red}error[{}]{off}: {}\n", failure.code, printable(&failure.message));
    let mut field = |name: &str, value: String| out.push_str(&format!("  {name:<8} {value}\n"));
    for cause in &failure.chain {
        field("because", printable(cause));
    }
    if let Some(error) = &failure.error {
        field("answer", printable(error));
    }
    match &failure.service {
        Some(service) => field("class", format!("{} (service {})", failure.class, printable(service))),
        None => field("class", failure.class.to_string()),
    }
    match (failure.not_before, failure.retry_after) {
        (Some(at), _) => field("wait", format!("until {}", moment(at.0))),
        (None, Some(wait)) => field("wait", lasting(wait)),
        (None, None) => {}
    }
    if let Some(run) = &failure.run {
        field("run", run.to_string());
    }
    if let Some(letter) = &failure.letter {
        field("letter", letter.to_string());
    }
    if let Some(approval) = &failure.approval {
        field("approval", approval.to_string());
    }
    out.push_str(&format!("  = help: {}\n", advice(failure)));
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::cli::output::Look;
    use fusebox_core::failure::Class;
    use fusebox_core::ids::LetterId;
    use fusebox_core::time::Wall;

    fn failure() -> Failed {
        let mut failure = Failure::new(
            Code::UpstreamFailed,
            Class::Transient,
            "search answered 503 three times",
        );
        failure.service = Some("search".to_owned());
        failure.letter = Some(LetterId::new(Wall(0), 1));
        Failed::Host(Box::new(failure))
    }

    #[test]
    fn a_failure_names_the_next_command() {
        let mut stdout = Vec::new();
        let mut stderr = Vec::new();
        let failed = failure();
        failed.show(
            &mut Output::new(Look::default(), &mut stdout),
            &mut stderr,
            Style::Plain,
        );
        let text = String::from_utf8(stderr).unwrap();
        assert!(stdout.is_empty());
        assert!(text.contains("fusebox dlq show ltr_0000"), "{text}");
        assert_eq!(failed.exit(), 13);
    }

    #[test]
    fn under_json_the_failure_is_data_on_stdout() {
        let mut stdout = Vec::new();
        let mut stderr = Vec::new();
        let look = Look {
            json: true,
            ..Look::default()
        };
        failure().show(&mut Output::new(look, &mut stdout), &mut stderr, Style::Plain);
        let value: serde_json::Value = serde_json::from_slice(&stdout).unwrap();
        assert_eq!(value["error"]["code"], "upstream-failed");
        assert!(stderr.is_empty());
    }
}
