//! Tools that are deployed, tools that call them, and what is said of both.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::{HostFile, Manifest, Presets};

fn function(name: &str, interface: &str, param: &str) -> FunctionShape {
    FunctionShape {
        name: name.to_owned(),
        interface: Some(interface.to_owned()),
        params: vec![("text".to_owned(), param.to_owned())],
        result: Some("result<string, string>".to_owned()),
        error_cases: None,
    }
}

/// The shape of a deployed tool: `search` exports two versions of an interface, `mirror` another, `email` two functions.
pub(crate) fn deployed(name: &str) -> Option<ComponentShape> {
    let functions = match name {
        "search" => vec![
            function("acme:search/api@1.0.0.query", "acme:search/api@1.0.0", "string"),
            function("acme:search/api@1.2.0.query", "acme:search/api@1.2.0", "string"),
            function("purge", "acme:search/api@1.2.0", "string"),
        ],
        "mirror" => vec![function("query", "acme:search/api@1.1.0", "string")],
        "email" => vec![
            function("send", "acme:email/api@1.0.0", "string"),
            function("list", "acme:email/api@1.0.0", "string"),
        ],
        _ => return None,
    };
    Some(ComponentShape {
        functions,
        left_out: vec![("follow".to_owned(), "its result is a stream".to_owned())],
        ..ComponentShape::default()
    })
}

/// An import of functions that take a text.
pub(crate) fn import(interface: &str, functions: &[&str]) -> ToolImport {
    ToolImport {
        interface: interface.to_owned(),
        functions: functions
            .iter()
            .map(|name| function(name, interface, "string"))
            .collect(),
    }
}

fn check(text: &str, tools: Vec<ToolImport>) -> (Vec<Link>, Vec<Diagnostic>) {
    let text = format!("name = \"agent\"\ncomponent = \"agent.wasm\"\n{text}");
    let (lowered, findings) = Manifest::read("agent.toml", &text, &Presets::embedded(), &HostFile::default());
    let shape = ComponentShape {
        tools,
        imports: vec![
            "fusebox:host/log@0.1.0".to_owned(),
            "fusebox:host/tools@0.1.3".to_owned(),
        ],
        ..ComponentShape::default()
    };
    check_links(&lowered.unwrap_or_else(|| panic!("{findings:?}")), &shape, &deployed)
}

/// The codes of findings.
fn codes_of(text: &str, tools: Vec<ToolImport>) -> Vec<&'static str> {
    check(text, tools).1.iter().map(|finding| finding.code).collect()
}

#[test]
fn an_import_is_linked_to_the_highest_version_of_its_track() {
    let (links, findings) = check(
        "tools = [\"search\", \"email\"]\n",
        vec![
            import("acme:search/api@1.1.0", &["query"]),
            import("acme:email/api@1.0.5", &["send"]),
        ],
    );
    assert_eq!(findings, []);
    let link = |interface: &str, tool: &str, exported: &str| Link {
        interface: interface.to_owned(),
        tool: tool.to_owned(),
        exported: exported.to_owned(),
    };
    assert_eq!(
        links,
        [
            link("acme:search/api@1.1.0", "search", "acme:search/api@1.2.0"),
            link("acme:email/api@1.0.5", "email", "acme:email/api@1.0.0"),
        ]
    );
}

#[test]
fn each_way_to_miss_other_tools_has_its_code_and_names_what_is_wrong() {
    let search = || vec![import("acme:search/api@1.0.0", &["query"])];
    for (text, tools, code, said) in [
        ("tools = [\"ledger\"]", vec![], codes::NOT_DEPLOYED, "`ledger`"),
        (
            "tools = [\"email.sent\"]",
            vec![],
            codes::NO_SUCH_CALL,
            "did you mean `send`?",
        ),
        ("tools = [\"email.follow\"]", vec![], codes::NO_SUCH_CALL, "stream"),
        (
            "tools = [\"email\"]\ninterrupt-before = [\"email.sent\"]",
            vec![],
            codes::NO_SUCH_CALL,
            "`sent`",
        ),
        ("", search(), codes::UNGRANTED_IMPORT, "grants none"),
        ("tools = [\"email\"]", search(), codes::NO_EXPORTER, "none of `tools`"),
        (
            "tools = [\"search\"]",
            vec![import("acme:search/api@2.0.0", &["query"])],
            codes::NO_EXPORTER,
            "`search` exports `acme:search/api@1.0.0`, `search` exports `acme:search/api@1.2.0`",
        ),
        (
            "tools = [\"search\", \"mirror\"]",
            search(),
            codes::AMBIGUOUS_EXPORTER,
            "`search`, `mirror`",
        ),
        (
            "tools = [\"search\"]",
            vec![import("acme:search/api@1.0.0", &["query", "update"])],
            codes::TYPES_DIFFER,
            "`update`",
        ),
        (
            "tools = [\"email.list\"]",
            vec![import("acme:email/api@1.0.0", &["send"])],
            codes::UNGRANTED_IMPORT,
            "\"email.send\"",
        ),
    ] {
        let (links, findings) = check(text, tools);
        let found = |finding: &Diagnostic| format!("{} {}", finding.message, finding.help.clone().unwrap_or_default());
        assert!(
            findings
                .iter()
                .any(|finding| finding.code == code && finding.is_error() && found(finding).contains(said)),
            "{text}: {findings:?}"
        );
        assert_eq!(links, [], "{text}");
    }
}

#[test]
fn types_that_differ_are_named_on_both_sides() {
    let mut wanted = import("acme:email/api@1.0.0", &["send"]);
    wanted.functions[0].params[0].1 = "u8".to_owned();
    let (links, findings) = check("tools = [\"email\"]\n", vec![wanted]);
    assert_eq!((links.len(), findings.len()), (0, 1));
    assert_eq!(findings[0].code, codes::TYPES_DIFFER);
    assert_eq!(
        findings[0].message,
        "`send` of `acme:email/api@1.0.0`: parameter `text` is `u8` in the component and `string` in `email`"
    );
}

#[test]
fn one_grant_that_is_enough_is_enough() {
    let tools = || vec![import("acme:email/api@1.0.0", &["send"])];
    let text = "tools = [\"email.list\", \"email.send\"]\ninterrupt-before = [\"email.send\"]\n";
    assert_eq!(codes_of(text, tools()), Vec::<&str>::new());
    // Among several tools, only those that the manifest names are looked at.
    assert_eq!(
        codes_of(
            "tools = [\"mirror\"]",
            vec![import("acme:search/api@1.0.0", &["query"])]
        ),
        Vec::<&str>::new()
    );
}

#[test]
fn a_tool_that_is_missing_is_said_once_and_blamed_for_what_it_may_provide() {
    let found = codes_of(
        "tools = [\"ledger.pay\", \"ledger.list\", \"email\"]\ninterrupt-before = [\"ledger.pay\"]\n",
        vec![import("acme:ledger/api@1.0.0", &["pay"])],
    );
    assert_eq!(found, [codes::NOT_DEPLOYED]);
}

#[test]
fn who_may_call_no_tool_is_told_that_calls_by_name_are_refused() {
    let (_, findings) = check("", vec![]);
    assert_eq!((findings.len(), findings[0].code), (1, codes::UNGRANTED_IMPORT));
    assert!(!findings[0].is_error());
}
