//! Broken and right files as people write them, and what is said about them.

#![allow(clippy::unwrap_used, clippy::panic)]

use fusebox_core::failure::Class;
use fusebox_core::policy::{
    Approval, AutoReplay, Durability, Idempotency, RetryFrom, ServiceKind, ToolGrant, WindowPolicy,
};
use fusebox_manifest::diagnostic::Diagnostic;
use fusebox_manifest::render::{Style, render};
use fusebox_manifest::{ComponentRef, HostFile, Lowered, Manifest, Presets};
use proptest::prelude::*;
use std::time::Duration;

fn host(text: &str) -> HostFile {
    let (host, findings) = HostFile::read("fusebox.toml", text, &Presets::embedded());
    host.unwrap_or_else(|| panic!("{}", render(&findings, Style::Plain)))
}

fn read(text: &str, host: &HostFile) -> (Option<Lowered>, Vec<Diagnostic>) {
    Manifest::read("search.toml", text, &Presets::embedded(), host)
}

fn good(text: &str, host: &HostFile) -> Lowered {
    let (lowered, findings) = read(text, host);
    lowered.unwrap_or_else(|| panic!("{}", render(&findings, Style::Plain)))
}

fn shown(text: &str) -> String {
    let (lowered, findings) = read(text, &HostFile::default());
    assert!(lowered.is_none(), "a broken manifest gave a policy");
    render(&findings, Style::Plain)
}

const HEAD: &str = "name = \"search\"\ncomponent = \"search.wasm\"\n";

/// Every key that a manifest has, as its documentation shows it.
const FULL: &str = r#"
name = "search"
version = "1.2.0"
component = "search.wasm"
description = "Web search"
wit = "wit"
uses = ["openai"]
tools = ["calculator", "email.send"]
interrupt-before = ["email.send"]
retry = { preset = "llm", attempts = 4 }

[services.search]
hosts = ["api.search.example", "http://127.0.0.1:8801"]
breaker = { failure-threshold = 3, failure-rate = 0.5, minimum-calls = 20, window = "60s", cooldown = "10s" }
budget = { capacity = 100, retry-cost = 10 }
rate-limit = "100/min"
concurrency = 8
headers = { authorization = "Bearer ${secret:SEARCH_KEY}" }
idempotency-header = { name = "Idempotency-Key", lifetime = "12h" }
repeatable = ["POST /v1/query"]
rejects-before-effect = [429, 503]
timeout = "10s"
max-response = "1MiB"

[functions.query]
description = "Search the web"
params = { text = "What to look for" }
retry = "idempotent"
idempotency = "readonly"
durability = "on-failure"
timeout = "5s"
deadline = "20s"
errors = { "rate-limited" = "throttled", "not-found" = "caller" }
approval = "required"
approval-expires = "2h"
retry-from = "start"
auto-replay = "when-closed"
as = "find"

[limits]
memory = "32MiB"
fuel = 1_000_000
concurrency = 4

[env]
SEARCH_URL = "https://api.search.example"

[build]
command = "cargo build"
"#;

const OPERATOR: &str = r#"
[network]
allow = ["127.0.0.1"]
[secrets.hosts]
SEARCH_KEY = ["api.search.example", "http://127.0.0.1:8801"]
OPENAI_KEY = ["api.openai.com"]
[services.openai]
kind = "llm"
hosts = ["api.openai.com"]
headers = { authorization = "Bearer ${secret:OPENAI_KEY}" }
"#;

#[test]
fn a_name_and_a_component_are_a_manifest() {
    let lowered = good(HEAD, &HostFile::default());
    assert_eq!(lowered.policy.name, "search");
    assert_eq!(lowered.component, ComponentRef::File("search.wasm".into()));
    assert_eq!(
        lowered.policy.default_function,
        fusebox_core::policy::FunctionPolicy::default()
    );
    assert_eq!(lowered.policy.limits, fusebox_core::policy::Limits::default());
    assert_eq!(lowered.widens, Vec::<String>::new());
}

#[test]
fn every_key_reaches_the_policy() {
    let lowered = good(FULL, &host(OPERATOR));
    let policy = &lowered.policy;
    let [search, openai] = policy.services.as_slice() else {
        panic!("{:?}", policy.services)
    };
    assert_eq!(
        (search.hosts.len(), search.concurrency, search.timeout),
        (2, 8, Duration::from_secs(10))
    );
    assert_eq!(
        (
            search.budget.capacity,
            search.budget.retry_cost,
            search.budget.throttled_cost
        ),
        (100, 10, 5)
    );
    assert_eq!(
        (
            search.breaker.failure_threshold,
            search.breaker.failure_rate.unwrap().minimum_calls
        ),
        (Some(3), 20)
    );
    assert_eq!(search.breaker.window, WindowPolicy::Time(Duration::from_secs(60)));
    assert_eq!(search.rate_limit.unwrap().requests, 100);
    assert_eq!(search.idempotency_header.as_ref().unwrap().name, "idempotency-key");
    assert_eq!(search.rejects_before_effect, [429, 503]);
    assert_eq!((search.max_response, search.repeatable.len()), (1 << 20, 1));
    assert!(openai.shared && openai.kind == ServiceKind::Llm);
    assert_eq!(
        (openai.breaker.cooldown, openai.repeatable.len()),
        (Duration::from_secs(30), 5)
    );
    let query = policy.function("query");
    assert_eq!((query.retry.preset.as_str(), query.retry.attempts), ("idempotent", 5));
    assert_eq!(
        (query.idempotency, query.durability),
        (Idempotency::Readonly, Durability::OnFailure)
    );
    assert_eq!(
        (query.approval, query.approval_expires),
        (Approval::Required, Duration::from_secs(2 * 3600))
    );
    assert_eq!(
        (query.retry_from, query.auto_replay),
        (RetryFrom::Start, AutoReplay::WhenClosed)
    );
    let grant = |tool: &str, function: Option<&str>| ToolGrant {
        tool: tool.to_owned(),
        function: function.map(str::to_owned),
    };
    assert_eq!(policy.tools, [grant("calculator", None), grant("email", Some("send"))]);
    assert_eq!(policy.interrupt_before, [("email".to_owned(), "send".to_owned())]);
    assert!(policy.agent);
    assert_eq!(
        (query.timeout, query.deadline),
        (Duration::from_secs(5), Duration::from_secs(20))
    );
    assert_eq!(
        (query.errors["rate-limited"], query.errors["not-found"]),
        (Class::Throttled, Class::Caller)
    );
    assert_eq!(
        (query.rename.as_deref(), query.params["text"].as_str()),
        (Some("find"), "What to look for")
    );
    assert_eq!(
        (
            policy.default_function.retry.attempts,
            policy.default_function.retry.backoff.base.as_secs()
        ),
        (4, 1)
    );
    assert_eq!(
        (policy.limits.memory, policy.limits.fuel, policy.limits.concurrency),
        (32 << 20, Some(1_000_000), 4)
    );
    assert_eq!(
        policy.env,
        [("SEARCH_URL".to_owned(), "https://api.search.example".to_owned())]
    );
    assert_eq!(
        (
            lowered.wit.as_deref(),
            lowered.build.as_ref().map(|build| build.command.as_str())
        ),
        (Some("wit"), Some("cargo build"))
    );
    insta::assert_snapshot!(lowered.widens.join("\n"));
}

/// The whole production configuration of an agent, as its documentation shows it.
const ASSISTANT: &str = r#"
name = "assistant"
component = "assistant.wasm"
tools = ["search", "calculator", "email"]
interrupt-before = ["email.send"]
retry = "llm"
[services.openai]
kind = "llm"
hosts = ["api.openai.com"]
breaker = { failure-threshold = 5 }
headers = { authorization = "Bearer ${secret:OPENAI_API_KEY}" }
"#;

#[test]
fn ten_lines_configure_an_agent() {
    let operator = host("[secrets.hosts]\nOPENAI_API_KEY = [\"api.openai.com\"]\n");
    let (lowered, findings) = read(ASSISTANT, &operator);
    assert_eq!(findings, []);
    let policy = lowered.unwrap().policy;
    let ask = policy.function("ask");
    assert_eq!((ask.retry.preset.as_str(), ask.retry.attempts), ("llm", 3));
    assert_eq!(
        (ask.idempotency, ask.durability, ask.retry_from),
        (Idempotency::NonIdempotent, Durability::Always, RetryFrom::ResumePoint)
    );
    assert_eq!(ask.approval_expires, Duration::from_secs(24 * 3600));
    assert!(policy.agent && policy.may_call("search", "query") && policy.interrupts_before("email", "send"));
}

#[test]
fn what_an_agent_does_is_durable_unless_it_says_otherwise() {
    let text = |more: &str| format!("{HEAD}tools = [\"email\"]\n[functions.query]\nidempotency = \"readonly\"\n{more}");
    let durability = |more: &str| {
        good(&text(more), &HostFile::default())
            .policy
            .function("query")
            .durability
    };
    assert_eq!(durability(""), Durability::Always);
    assert_eq!(durability("durability = \"on-failure\"\n"), Durability::OnFailure);
    assert!(shown(&text("durability = \"none\"\n")).contains("FB0218"));
}

#[test]
fn the_operator_says_how_long_questions_stand_where_no_function_does() {
    let operator = host("[approvals]\nexpires = \"1h\"\n");
    let text = format!("{HEAD}[functions.a]\n[functions.b]\napproval-expires = \"3h\"\n");
    let lowered = good(&text, &operator);
    let hours = |function: &str| lowered.policy.function(function).approval_expires.as_secs() / 3600;
    assert_eq!((hours("a"), hours("b"), hours("other")), (1, 3, 1));
    let who = |function: &str| {
        let rows = lowered.explain(function);
        let row = rows.iter().find(|row| row.key.ends_with(".approval-expires")).unwrap();
        row.set_by.to_string()
    };
    assert_eq!(
        (who("a"), who("b"), who("other")),
        (
            "fusebox.toml:2".to_owned(),
            "search.toml:5".to_owned(),
            "fusebox.toml:2".to_owned()
        )
    );
}

#[test]
fn each_value_tells_who_set_it() {
    let text = OPERATOR.replace(
        "[network]",
        "ceilings = { memory = \"16MiB\", deadline = \"15s\" }\n[network]",
    );
    let lowered = good(FULL, &host(&text));
    let row = |row: &fusebox_manifest::Row| {
        let clamp = row
            .clamp
            .as_ref()
            .map_or_else(String::new, |clamp| format!(" ({clamp})"));
        format!("{} = {} <- {}{clamp}", row.key, row.value, row.set_by)
    };
    insta::assert_snapshot!(lowered.explain("query").iter().map(row).collect::<Vec<_>>().join("\n"));
    let other: Vec<_> = lowered.explain("other").iter().take(8).map(row).collect();
    insta::assert_snapshot!(other.join("\n"));
}

#[test]
fn a_ceiling_cuts_and_says_so_where_more_was_asked_for() {
    let strict =
        host("[ceilings]\nmemory = \"16MiB\"\nfuel = 500\ntimeout = \"2s\"\nattempts = 2\nexchange-timeout = \"3s\"\n");
    let (lowered, findings) = read(
        &format!("{HEAD}retry = \"idempotent\"\n[limits]\nmemory = \"32MiB\"\n[services.s]\nhosts = [\"s.example\"]\n"),
        &strict,
    );
    let policy = lowered.unwrap().policy;
    assert_eq!((policy.limits.memory, policy.limits.fuel), (16 << 20, Some(500)));
    assert_eq!(
        (policy.default_function.timeout, policy.default_function.retry.attempts),
        (Duration::from_secs(2), 2)
    );
    assert_eq!(policy.services[0].timeout, Duration::from_secs(3));
    assert_eq!(findings.iter().map(|d| d.code).collect::<Vec<_>>(), ["FB0301"]);
}

#[test]
fn two_times_that_belong_together_follow_each_other_unless_both_were_written() {
    let function = |keys: &str| read(&format!("{HEAD}[functions.f]\n{keys}\n"), &HostFile::default());
    let policy = function("deadline = \"10s\"").0.unwrap().policy;
    assert_eq!(policy.function("f").timeout, Duration::from_secs(10));
    assert_eq!(function("timeout = \"61s\"").1[0].code, "FB0205");
    assert!(function("timeout = \"60s\"").1.is_empty());
    let service = |keys: &str| {
        read(
            &format!("{HEAD}[services.s]\nhosts = [\"s.example\"]\n{keys}\n"),
            &HostFile::default(),
        )
    };
    let policy = service("timeout = \"2m\"").0.unwrap().policy;
    assert_eq!(policy.services[0].breaker.probe_window, Duration::from_secs(120));
    assert_eq!(
        service("timeout = \"2m\"\nbreaker = { probe-window = \"119s\" }").1[0].code,
        "FB0203"
    );
    assert!(
        service("timeout = \"2m\"\nbreaker = { probe-window = \"2m\" }")
            .1
            .is_empty()
    );
    let policy = service("breaker = { cooldown = \"10m\" }").0.unwrap().policy;
    assert_eq!(policy.services[0].breaker.max_cooldown, Duration::from_secs(600));
    assert_eq!(
        service("breaker = { cooldown = \"10m\", max-cooldown = \"5m\" }").1[0].code,
        "FB0216"
    );
}

#[test]
fn a_secret_goes_only_where_it_was_meant_to_go() {
    let text =
        |host: &str| format!("{HEAD}[services.s]\nhosts = [\"{host}\"]\nheaders = {{ x = \"${{secret:K}}\" }}\n");
    let granted = host("[secrets.hosts]\nK = [\"s.example\"]\n");
    let codes = |host: &str, granted: &HostFile| -> Vec<_> {
        read(&text(host), granted)
            .1
            .into_iter()
            .map(|d| (d.code, d.is_error()))
            .collect()
    };
    assert_eq!(codes("s.example", &granted), []);
    assert_eq!(codes("t.example", &granted), [("FB0302", true)]);
    assert_eq!(codes("s.example:444", &granted), [("FB0302", true)]);
    assert_eq!(
        codes("http://s.example", &granted),
        [("FB0302", true), ("FB0211", false)]
    );
    assert_eq!(codes("s.example", &HostFile::default()), [("FB0302", false)]);
    let shared = OPERATOR.replace("OPENAI_KEY = [\"api.openai.com\"]", "OPENAI_KEY = [\"other.example\"]");
    let (lowered, findings) = read(&format!("{HEAD}uses = [\"openai\"]\n"), &host(&shared));
    assert!(lowered.is_none() && findings[0].span.as_ref().unwrap().file.as_ref() == "fusebox.toml");
}

#[test]
fn every_problem_of_a_file_is_found_at_once() {
    insta::assert_snapshot!(shown(
        r#"name = "Web Search"
version = "1.2"
componnent = "search.wasm"
tools = ["Email", "email."]
interrupt-before = ["email", "email.send!"]
retry = "llmm"

[services.search]
hosts = ["api.search.example", "*.example"]
breaker = { failure-treshold = 3, cooldown = "10 s" }
rate-limit = "100/minute"
headers = { Authorization = "Bearer ${SEARCH_KEY}", host = "x" }
repeatable = ["post /v1"]
rejects-before-effect = [42]

[functions.query]
idempotency = "read-only"
timeout = 5
attempts = 3
errors = { "rate-limited" = "throtled" }
approval = "requried"
approval-expires = "soon"
retry-from = "failure"
auto-replay = "always"

[functions."a.b.c"]

[limits]
memory = "64mb"
concurrency = 0
fuel = -1
"#
    ));
}

#[test]
fn what_parts_say_about_each_other_is_found_at_once() {
    insta::assert_snapshot!(shown(
        r#"name = "search"
component = "oci://ghcr.io/acme/search:1"
tools = ["calculator"]
interrupt-before = ["calculator.evaluate", "email.send"]
uses = ["openai", "search"]

[services.search]
hosts = ["api.example"]
timeout = "30s"
breaker = { probe-window = "5s", failure-threshold = "none" }
headers = { authorization = "Bearer abc", Authorization = "Bearer def" }

[services.index]
hosts = ["api.example", "http://10.0.0.1"]
headers = { x-key = "${secret:INDEX_KEY}" }

[functions.query]
timeout = "2m"
durability = "none"
retry = { attempts = 3, base = "1m", cap = "10s" }
retry-from = "start"

[functions.find]
idempotency = "readonly"
durability = "none"
approval = "required"

[functions.store]
idempotency = "keyed"
durability = "on-failure"

[env]
KEY = "${secret:SEARCH_KEY}"
"#
    ));
}

#[test]
fn broken_toml_is_shown_with_its_place() {
    insta::assert_snapshot!(shown(
        "name = search\n[services.a]\nhosts = [\"a\"\n[services.a]\nx = 1\nx = 2\n"
    ));
    insta::assert_snapshot!(shown("name = \"a\"\nname = \"b\"\ncomponent = \"a.wasm\"\n"));
}

#[test]
fn wrong_types_say_what_was_expected() {
    insta::assert_snapshot!(shown(
        "name = 5\ncomponent = [\"a\"]\nversion = 2026-01-01\ndescription = true\nuses = \"openai\"\nretry = 3\nservices = \"x\"\n\
         limits = 7\nenv = { A = 1 }\n[functions]\nquery = \"fast\"\n"
    ));
}

#[test]
fn a_file_that_is_too_large_is_not_read() {
    assert!(shown(&"#".repeat(300 << 10)).contains("FB0117"));
}

#[test]
fn deep_nesting_and_many_mistakes_are_bounded() {
    let deep = format!("{HEAD}env = {}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(shown(&deep).contains("FB01"));
    let many: String = (0..5_000).map(|n| format!("k{n} = 1\n")).collect();
    let (_, findings) = read(&many, &HostFile::default());
    assert_eq!(findings.len(), 100);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_text_makes_a_reader_panic(text in "\\PC*|(\\[?[a-z.\"-]{1,9}\\]? ?=? ?[\\[{]?[\"a-z0-9.:/$-]{0,9}[\\]}]?\n){0,9}") {
        let _ = read(&text, &HostFile::default());
        let _ = HostFile::read("f", &text, &Presets::embedded());
        let _ = Presets::embedded().add("x", "x", &text);
    }

    /// Right manifests with one piece cut out or doubled: the reading ends, and a policy comes without any error.
    #[test]
    fn a_damaged_manifest_is_read_or_refused(from in 0..FULL.len(), length in 0_usize..60, twice in any::<bool>()) {
        let cut = |at: usize| (0..=at.min(FULL.len())).rev().find(|&at| FULL.is_char_boundary(at)).unwrap();
        let (from, to) = (cut(from), cut(from + length));
        let rest = if twice { &FULL[from..] } else { &FULL[to..] };
        let damaged = format!("{}{rest}", &FULL[..if twice { to } else { from }]);
        let (lowered, findings) = read(&damaged, &HostFile::default());
        prop_assert_eq!(lowered.is_some(), !findings.iter().any(Diagnostic::is_error));
        for span in findings.iter().filter_map(|finding| finding.span.as_ref()) {
            prop_assert!(span.line as usize <= damaged.lines().count() + 1);
        }
    }
}
