//! A tool that is not there: which one was probably meant, or how there comes to be one.

use crate::api::Api;
use fusebox_core::failure::{Code, Failure};
use fusebox_engine::requests::Caller;
use fusebox_manifest::nearest;

/// How a first tool comes to be, for somebody who has none.
pub(super) const FIRST_TOOL: &str = "`fusebox init NAME --lang python` makes one";

/// The failure, with what was probably meant when the tool is not there.
pub(super) async fn meant(mut failure: Box<Failure>, tool: &str, host: &dyn Api, caller: &Caller) -> Box<Failure> {
    if failure.code != Code::NotFound {
        return failure;
    }
    // Who may not ask, or asks a host that is gone, is told what was said before.
    let Ok(tools) = host.tools(caller).await else {
        return failure;
    };
    if let Some(hint) = hint(tool, tools.iter().map(|tool| tool.name.as_str())) {
        failure.message.push_str(&hint);
    }
    failure
}

fn hint<'a>(tool: &str, known: impl Iterator<Item = &'a str> + Clone) -> Option<String> {
    if known.clone().next().is_none() {
        return Some(format!("; there is none yet, and {FIRST_TOOL}"));
    }
    if known.clone().any(|name| name == tool) {
        return None;
    }
    nearest(tool, known).map(|near| format!("; did you mean `{near}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_told_and_a_tool_that_is_there_is_not() {
        let known = ["search", "words"];
        let of = |tool| hint(tool, known.into_iter());
        assert_eq!(of("word").as_deref(), Some("; did you mean `words`?"));
        assert_eq!(of("words"), None);
        assert_eq!(of("calculator"), None);
        assert!(hint("words", std::iter::empty()).is_some_and(|hint| hint.contains("fusebox init")));
    }
}
