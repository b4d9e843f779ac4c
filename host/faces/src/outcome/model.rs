//! What a model is told about a failure: what it can do itself, and what it has to leave to a person. It has no shell and decides nothing.

use fusebox_core::failure::{Code, Failure};

/// What to do about this failure, for a model that made the call.
#[must_use]
pub fn advice(failure: &Failure) -> &'static str {
    match failure.code {
        Code::BadInput => "Correct the arguments as the message says, to fit the tool's input schema, and call again.",
        Code::NotFound => "List the tools again: this one is gone, or never was.",
        Code::ToolDisabled => "An operator has switched the tool off. Do without it, or tell the user.",
        Code::Unauthenticated => {
            "The host does not know who calls: its key is missing or not valid any more. Tell the user."
        }
        Code::Denied => "You may not make this call. Do not repeat it; tell the user what was refused.",
        Code::NeedsApproval => {
            "A person has to approve this call, and you cannot. Tell the user that it waits, and where it is decided. Then ask for the \
             outcome with the run's id; the same call again joins the same run and asks nobody twice."
        }
        Code::Declined => {
            "A person declined the call, or nobody answered in time. Do not repeat it; ask the user how to go on."
        }
        Code::KeyRequired => {
            "The client has to send an idempotency key in `_meta` as `fusebox/idempotency-key`: one that stays the same when this very \
             request is repeated."
        }
        Code::KeyReused => "The idempotency key belongs to a call with other arguments. A new request needs a new key.",
        Code::KeyInUse => {
            "The run is not over. Ask for its outcome with the run's id; do not make the call under another key."
        }
        Code::BreakerOpen => {
            "The service is failing and is left alone for a while; nothing was tried. Wait, or do without it."
        }
        Code::ToolFailed => {
            "The tool answered with this error. The same call again cannot help: change the arguments, or do something else."
        }
        Code::UpstreamFailed if failure.letter.is_some() => {
            "The service kept failing. The request is kept, and an operator can go on with it; do not make it again. Tell the user."
        }
        Code::UpstreamFailed => "The service kept failing. Try again later, or do without it.",
        Code::InDoubt => {
            "Nobody knows whether it happened. Do not repeat it, and do not take it for done: a person has to look. Tell the user."
        }
        Code::Exhausted => "The tool reached a limit of time or memory. Ask for less, or do without it.",
        Code::Fault => {
            "The tool itself is broken. The same call again will fail again: do without it, and tell the user."
        }
        Code::Diverged => "The run cannot go on as it began; an operator has to look at it. Tell the user.",
        Code::Cancelled => "The call was cancelled. Call again only if it is still wanted.",
        Code::Overloaded | Code::StoreUnavailable | Code::Unreachable => {
            "The host is busy, or shuts down. Try again shortly."
        }
        Code::Internal => "This is a defect of the host. Tell the user.",
    }
}

/// A message without what an operator would type: the clauses that name a command are left off.
#[must_use]
pub fn message(text: &str) -> String {
    let Some(command) = text.find("`fusebox ") else {
        return text.to_owned();
    };
    let before = &text[..command];
    let clause = [": ", "; ", ", ", " ("]
        .iter()
        .filter_map(|mark| before.rfind(mark))
        .max();
    clause.map_or_else(|| before.trim_end().to_owned(), |end| before[..end].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use fusebox_core::failure::Class;

    #[test]
    fn a_model_is_never_told_to_type_a_command() {
        for code in Code::ALL {
            let told = advice(&Failure::new(code, Class::Control, ""));
            assert!(!told.is_empty() && !told.contains("`fusebox "), "{code}: {told}");
        }
    }

    #[test]
    fn clauses_that_name_a_command_are_left_off() {
        let cases = [
            (
                "there is no run `x`: `fusebox runs list` shows those that are kept",
                "there is no run `x`",
            ),
            ("a; b; `fusebox dlq show x` shows it", "a; b"),
            ("the input has no `text`", "the input has no `text`"),
        ];
        for (text, told) in cases {
            assert_eq!(message(text), told);
        }
    }
}
