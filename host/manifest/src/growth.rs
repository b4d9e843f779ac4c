//! What a new version may do that the old one could not: what deploy prints, and asks about.

use crate::lower::limits::show_fuel;
use crate::units::{show_duration, show_origin, show_rate, show_size};
use fusebox_core::policy::{
    Approval, AutoReplay, FunctionPolicy, HeaderPart, Idempotency, Limits, Origin, RateLimit, ServicePolicy, ToolGrant,
    ToolPolicy,
};
use std::collections::BTreeSet;
use std::fmt::Display;

/// What `new` may do that `old` could not, one sentence each; empty when nothing grew.
#[must_use]
pub fn grown(old: &ToolPolicy, new: &ToolPolicy) -> Vec<String> {
    let mut out = Vec::new();
    hosts(old, new, &mut out);
    secrets(old, new, &mut out);
    calls(old, new, &mut out);
    for service in &new.services {
        let before = old.services.iter().find(|before| before.name == service.name);
        repeats(before, service, &mut out);
        if let Some(before) = before {
            exchanges(before, service, &mut out);
        }
    }
    for (name, function) in &new.functions {
        function_grown(name, old.function(name), function, &mut out);
    }
    function_grown(
        "every other function",
        &old.default_function,
        &new.default_function,
        &mut out,
    );
    for name in old.functions.keys().filter(|name| !new.functions.contains_key(*name)) {
        function_grown(name, old.function(name), &new.default_function, &mut out);
    }
    limits(&old.limits, &new.limits, &mut out);
    out
}

fn origins(policy: &ToolPolicy) -> BTreeSet<&Origin> {
    policy.services.iter().flat_map(|service| &service.hosts).collect()
}

fn hosts(old: &ToolPolicy, new: &ToolPolicy, out: &mut Vec<String>) {
    out.extend(
        origins(new)
            .difference(&origins(old))
            .map(|origin| format!("it may reach `{}`", show_origin(origin))),
    );
}

/// Pairs of a secret and a host that it is sent to.
fn sent(policy: &ToolPolicy) -> BTreeSet<(&str, &Origin)> {
    let mut pairs = BTreeSet::new();
    for service in &policy.services {
        for part in service.headers.iter().flat_map(|header| &header.value) {
            if let HeaderPart::Secret(name) = part {
                pairs.extend(service.hosts.iter().map(|origin| (name.as_str(), origin)));
            }
        }
    }
    pairs
}

fn secrets(old: &ToolPolicy, new: &ToolPolicy, out: &mut Vec<String>) {
    let new = sent(new);
    for (name, origin) in new.difference(&sent(old)) {
        out.push(format!("secret `{name}` is sent to `{}`", show_origin(origin)));
    }
}

/// Calls of other tools that were not granted, or that a person was asked before.
fn calls(old: &ToolPolicy, new: &ToolPolicy, out: &mut Vec<String>) {
    let granted = |grant: &ToolGrant| match &grant.function {
        Some(function) => old.may_call(&grant.tool, function),
        None => old.tools.contains(grant),
    };
    for grant in new.tools.iter().filter(|grant| !granted(grant)) {
        out.push(match &grant.function {
            Some(function) => format!("it may call `{}.{function}`", grant.tool),
            None => format!("it may call every function of `{}`", grant.tool),
        });
    }
    for (tool, function) in &old.interrupt_before {
        if new.may_call(tool, function) && !new.interrupts_before(tool, function) {
            out.push(format!(
                "it no longer waits for a person's approval before it calls `{tool}.{function}`"
            ));
        }
    }
}

fn repeats(before: Option<&ServicePolicy>, service: &ServicePolicy, out: &mut Vec<String>) {
    let name = &service.name;
    let patterns = before.map_or(&[][..], |before| &before.repeatable);
    for pattern in service.repeatable.iter().filter(|pattern| !patterns.contains(pattern)) {
        out.push(format!(
            "`{} {}` of `{name}` may be sent again",
            pattern.method, pattern.path
        ));
    }
    let statuses = before.map_or(&[429][..], |before| &before.rejects_before_effect);
    for status in service
        .rejects_before_effect
        .iter()
        .filter(|status| !statuses.contains(status))
    {
        out.push(format!(
            "status {status} of `{name}` counts as proof that nothing happened"
        ));
    }
    if service.idempotency_header.is_some() && before.is_some_and(|before| before.idempotency_header.is_none()) {
        out.push(format!("requests to `{name}` may be sent again under their key"));
    }
}

/// Says that a number grew.
fn more<T: PartialOrd + Copy, S: Display>(out: &mut Vec<String>, what: &str, old: T, new: T, show: impl Fn(T) -> S) {
    if new > old {
        out.push(format!("{what}: {} instead of {}", show(new), show(old)));
    }
}

fn exchanges(before: &ServicePolicy, service: &ServicePolicy, out: &mut Vec<String>) {
    let at = |key: &str| format!("`{key}` of `{}`", service.name);
    more(out, &at("timeout"), before.timeout, service.timeout, show_duration);
    more(
        out,
        &at("max-response"),
        before.max_response,
        service.max_response,
        show_size,
    );
    more(out, &at("concurrency"), before.concurrency, service.concurrency, |n| n);
    more(
        out,
        &at("budget.capacity"),
        before.budget.capacity,
        service.budget.capacity,
        |n| n,
    );
    let often = |limit: RateLimit| f64::from(limit.requests) / limit.per.as_secs_f64();
    match (before.rate_limit, service.rate_limit) {
        (Some(old), Some(new)) if often(new) > often(old) => {
            out.push(format!(
                "{}: {} instead of {}",
                at("rate-limit"),
                show_rate(new),
                show_rate(old)
            ));
        }
        (Some(old), None) => out.push(format!("{}: none instead of {}", at("rate-limit"), show_rate(old))),
        _ => {}
    }
}

fn rank(level: Idempotency) -> u8 {
    match level {
        Idempotency::NonIdempotent => 0,
        Idempotency::Keyed => 1,
        Idempotency::Readonly | Idempotency::Idempotent => 2,
    }
}

fn function_grown(name: &str, old: &FunctionPolicy, new: &FunctionPolicy, out: &mut Vec<String>) {
    let name = if name.contains(' ') {
        name.to_owned()
    } else {
        format!("`{name}`")
    };
    if rank(new.idempotency) > rank(old.idempotency) {
        out.push(format!(
            "{name} may start over: it is {} instead of {}",
            new.idempotency.name(),
            old.idempotency.name()
        ));
    }
    if old.approval == Approval::Required && new.approval == Approval::None {
        out.push(format!("{name} no longer waits for a person's approval"));
    }
    more(
        out,
        &format!("`approval-expires` of {name}"),
        old.approval_expires,
        new.approval_expires,
        show_duration,
    );
    if old.auto_replay == AutoReplay::Never && new.auto_replay == AutoReplay::WhenClosed {
        out.push(format!("letters of {name} are replayed without anybody asking"));
    }
    more(
        out,
        &format!("`timeout` of {name}"),
        old.timeout,
        new.timeout,
        show_duration,
    );
    more(
        out,
        &format!("`deadline` of {name}"),
        old.deadline,
        new.deadline,
        show_duration,
    );
    more(
        out,
        &format!("`retry.attempts` of {name}"),
        old.retry.attempts,
        new.retry.attempts,
        |n| n,
    );
}

fn limits(old: &Limits, new: &Limits, out: &mut Vec<String>) {
    more(out, "`limits.memory`", old.memory, new.memory, show_size);
    more(
        out,
        "`limits.table-elements`",
        old.table_elements,
        new.table_elements,
        |n| n,
    );
    more(out, "`limits.instances`", old.instances, new.instances, |n| n);
    more(out, "`limits.output`", old.output, new.output, show_size);
    more(out, "`limits.log`", old.log, new.log, show_size);
    more(out, "`limits.host-memory`", old.host_memory, new.host_memory, show_size);
    more(out, "`limits.concurrency`", old.concurrency, new.concurrency, |n| n);
    let all = |fuel: Option<u64>| fuel.unwrap_or(u64::MAX);
    more(out, "`limits.fuel`", all(old.fuel), all(new.fuel), |fuel| {
        show_fuel(Some(fuel).filter(|&fuel| fuel < u64::MAX))
    });
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{HostFile, Manifest, Presets};

    fn policy(text: &str) -> ToolPolicy {
        let text = format!("name = \"a\"\ncomponent = \"a.wasm\"\n{text}");
        let (lowered, findings) = Manifest::read("a.toml", &text, &Presets::embedded(), &HostFile::default());
        lowered.unwrap_or_else(|| panic!("{findings:?}")).policy
    }

    #[test]
    fn each_thing_that_grew_is_said_and_nothing_else() {
        let old =
            policy("[services.s]\nhosts = [\"s.example\"]\nrate-limit = \"5/s\"\n[functions.f]\n[limits]\nfuel = 5\n");
        assert_eq!(grown(&old, &old), Vec::<String>::new());
        let new = policy(
            "[services.s]\nhosts = [\"s.example\", \"t.example\"]\nrepeatable = [\"POST /q\"]\nrejects-before-effect = [429, 503]\n\
             rate-limit = \"10/s\"\nheaders = { x = \"${secret:K}\" }\n\
             [functions.f]\nidempotency = \"readonly\"\nretry = \"idempotent\"\ntimeout = \"40s\"\n[limits]\nmemory = \"65MiB\"\n",
        );
        assert_eq!(
            grown(&old, &new),
            [
                "it may reach `t.example`",
                "secret `K` is sent to `s.example`",
                "secret `K` is sent to `t.example`",
                "`POST /q` of `s` may be sent again",
                "status 503 of `s` counts as proof that nothing happened",
                "`rate-limit` of `s`: 10/s instead of 5/s",
                "`f` may start over: it is readonly instead of non-idempotent",
                "`timeout` of `f`: 40s instead of 30s",
                "`retry.attempts` of `f`: 5 instead of 1",
                "`limits.memory`: 65MiB instead of 64MiB",
                "`limits.fuel`: none instead of 5",
            ]
        );
        assert_eq!(grown(&new, &old), Vec::<String>::new());
    }

    #[test]
    fn calls_of_other_tools_and_dropped_questions_are_said() {
        let old = policy(
            "tools = [\"search\", \"email.send\", \"ledger\"]\ninterrupt-before = [\"email.send\", \"ledger.pay\"]\n\
             [functions.f]\napproval = \"required\"\n[functions.g]\n",
        );
        let new = policy(
            "tools = [\"search.query\", \"email\", \"calculator\"]\n\
             [functions.f]\n[functions.g]\nauto-replay = \"when-closed\"\napproval-expires = \"48h\"\n",
        );
        assert_eq!(
            grown(&old, &new),
            [
                "it may call every function of `email`",
                "it may call every function of `calculator`",
                "it no longer waits for a person's approval before it calls `email.send`",
                "`f` no longer waits for a person's approval",
                "`approval-expires` of `g`: 2d instead of 24h",
                "letters of `g` are replayed without anybody asking",
            ]
        );
        assert_eq!(
            grown(&new, &old),
            [
                "it may call every function of `search`",
                "it may call every function of `ledger`"
            ]
        );
        assert_eq!(grown(&old, &old), Vec::<String>::new());
    }
}
