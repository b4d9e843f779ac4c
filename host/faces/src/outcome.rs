//! The one table: what each failure code means to a shell, to an HTTP client, and to the person who reads it.

pub mod model;

use fusebox_core::failure::{Code, Failure};

/// How the faces present one code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Exit code of the command line.
    pub exit: u8,
    /// HTTP status (RFC 9110).
    pub http: u16,
    /// What it means, in a few words.
    pub title: &'static str,
    /// What to do about it.
    pub help: &'static str,
}

/// Success.
pub const EXIT_OK: u8 = 0;
/// A defect of Fusebox, or of the machine it runs on.
pub const EXIT_INTERNAL: u8 = 1;
/// A wrong command line or an invalid file (`EX_USAGE` of sysexits.h).
pub const EXIT_USAGE: u8 = 64;

/// Ended by a signal (128 and the number of SIGINT, as shells have it).
pub const EXIT_INTERRUPTED: u8 = 130;

/// What the faces make of a code.
#[must_use]
pub fn outcome(code: Code) -> Outcome {
    let (exit, http, title, help) = match code {
        Code::BadInput => (
            65,
            400,
            "the input does not fit the function",
            "compare the input with its types: `fusebox tools show` and the tool's name",
        ),
        Code::ToolFailed => (
            10,
            422,
            "the tool answered with an error",
            "read the error: repeating the same call cannot mend it",
        ),
        Code::Unauthenticated => (
            11,
            401,
            "it is not known who asks",
            "send an API key: `fusebox keys create NAME --role caller` makes one",
        ),
        Code::Denied => (
            11,
            403,
            "not allowed",
            "ask who runs this host for the right, or change the manifest's `hosts`",
        ),
        Code::NeedsApproval => (
            12,
            403,
            "a person has to approve first",
            "the run waits for a person, who types `fusebox approvals show APPROVAL`, and then `fusebox approvals approve APPROVAL` or `fusebox approvals deny APPROVAL`; `fusebox runs follow RUN` waits for its end",
        ),
        Code::Declined => (
            11,
            403,
            "a person declined, or nobody answered in time",
            "`fusebox runs show RUN` tells who declined it, and why",
        ),
        Code::Diverged => (
            22,
            409,
            "the component does not do what the journal says it did",
            "compare the two effects that are named: run the component that the journal is of, or one that asks for the same; `fusebox dlq replay LETTER --from-start` begins anew where that does no harm",
        ),
        Code::UpstreamFailed => (
            13,
            502,
            "an upstream failed and the attempts are used up",
            "look at `fusebox dlq show LETTER`, and type `fusebox dlq replay LETTER` once the upstream is well: it goes on where it failed",
        ),
        Code::BreakerOpen => (
            14,
            503,
            "a breaker is open, nothing was tried",
            "wait for the time that is named; `fusebox breakers` shows all",
        ),
        Code::InDoubt => (
            15,
            409,
            "an effect may or may not have happened",
            "look at `fusebox dlq show LETTER`, ask the upstream what it did, and record it with `fusebox dlq resolve LETTER`; nothing is repeated before",
        ),
        Code::NotFound => (
            16,
            404,
            "there is no such thing",
            "`fusebox tools`, `fusebox runs` and `fusebox dlq` list what there is",
        ),
        Code::ToolDisabled => (
            16,
            409,
            "the tool is switched off",
            "`fusebox tools enable` and its name switches it on",
        ),
        Code::KeyRequired => (17, 400, "the function demands an idempotency key", "add `--key KEY`"),
        Code::KeyReused => (
            17,
            422,
            "the key was used with other arguments",
            "use a new key for a new request",
        ),
        Code::KeyInUse => (
            17,
            409,
            "a run with this key is not over",
            "look at it with `fusebox runs show RUN`; `--wait` waits for its outcome while it runs",
        ),
        Code::Cancelled => (18, 409, "the run was cancelled", "call again if that was a mistake"),
        Code::Overloaded => (19, 503, "the host is full or shuts down", "try again shortly"),
        Code::StoreUnavailable => (
            19,
            503,
            "the database failed",
            "`fusebox doctor` says what is wrong with it",
        ),
        Code::Unreachable => (
            19,
            503,
            "the host cannot be reached",
            "look at --host and FUSEBOX_HOST; `fusebox doctor --host URL` looks at the way there",
        ),
        Code::Exhausted => (
            20,
            500,
            "a limit of the attempt was reached",
            "`fusebox dlq show LETTER` says which; raise it in the manifest (`limits`, or the function's `timeout`) if that is right",
        ),
        Code::Fault => (
            21,
            500,
            "the component itself is broken",
            "`fusebox dlq show LETTER` shows the backtrace, `fusebox debug LETTER` the frames with their locals and memory",
        ),
        Code::Internal => (EXIT_INTERNAL, 500, "a defect of Fusebox", "report it with the message"),
    };
    Outcome {
        exit,
        http,
        title,
        help,
    }
}

/// What to do about this failure: the table's help with its ids filled in, and without the letter that it does not have.
#[must_use]
pub fn advice(failure: &Failure) -> String {
    let mut help = match (failure.code, &failure.letter) {
        (Code::UpstreamFailed, None) => "try again once the upstream is well",
        (Code::InDoubt, None) => "ask the upstream what it did, before anything is repeated",
        (Code::Exhausted, None) => {
            "raise the limit in the manifest (`limits`, or the function's `timeout`) if that is right"
        }
        (Code::Fault, None) => "the log and the backtrace of the component say where",
        // Roles and rules refuse before there is a run; whatever is refused in one, a tool has asked for.
        (Code::Denied, None) if failure.run.is_none() => "ask who runs this host for the right",
        (Code::Denied, Some(_)) => {
            "a replay without `--from-start` or `--from-effect` repeats nothing that is settled; `fusebox dlq show LETTER` says where it goes on"
        }
        (Code::ToolFailed, None) if failure.run.is_some() => {
            "read the error: repeating the same call cannot mend it; once its cause is mended, `fusebox runs resume RUN` goes on where it failed"
        }
        (code, _) => outcome(code).help,
    }
    .to_owned();
    if let Some(letter) = &failure.letter {
        help = help.replace("LETTER", letter.as_str());
    }
    if let Some(run) = &failure.run {
        help = help.replace("RUN", run.as_str());
    }
    if let Some(approval) = &failure.approval {
        help = help.replace("APPROVAL", approval.as_str());
    }
    help
}

/// The table of exit codes, as `--help` prints it.
#[must_use]
pub fn exit_codes() -> String {
    let mut rows = vec![
        (EXIT_OK, vec!["ok"]),
        (EXIT_USAGE, vec!["wrong command line or invalid file"]),
        (EXIT_INTERRUPTED, vec!["ended by a second signal"]),
    ];
    for code in Code::ALL {
        let Outcome { exit, .. } = outcome(code);
        match rows.iter_mut().find(|(known, _)| *known == exit) {
            Some((_, names)) => names.push(code.name()),
            None => rows.push((exit, vec![code.name()])),
        }
    }
    rows.sort_by_key(|(exit, _)| *exit);
    let lines = rows
        .iter()
        .map(|(exit, names)| format!("  {exit:>3}  {}", names.join(", ")));
    format!("Exit codes:\n{}", lines.collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_failure_looks_like_a_success_or_like_a_wrong_command_line() {
        for code in Code::ALL {
            let found = outcome(code);
            assert!(!matches!(found.exit, EXIT_OK | EXIT_USAGE), "{code}");
            assert!((400..600).contains(&found.http), "{code}");
            assert!(!found.title.is_empty() && !found.help.is_empty(), "{code}");
        }
    }

    #[test]
    fn exit_codes_are_a_promise() {
        insta::assert_snapshot!(exit_codes());
    }
}
