//! Effective policy as rows: `policy explain` and `config show` print them.

use crate::form::{ComponentRef, Scalar};
use crate::lower::limits::show_fuel;
use crate::lower::retry::show_jitter;
use crate::lower::{Lowered, function};
use crate::node::Value;
use crate::provenance::{Clamp, SetBy};
use crate::units::{show_duration, show_origin, show_rate, show_size};
use fusebox_core::policy::{
    Approval, BreakerPolicy, FunctionPolicy, HeaderPart, Limits, RatePolicy, RetryPolicy, ServiceKind, ServicePolicy,
    ToolGrant, ToolPolicy, WindowPolicy,
};
use serde_json::json;

/// One effective value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Key, such as `functions.query.timeout`.
    pub key: String,
    /// The value as a file would have it, without quotes; empty when it is not set.
    pub value: String,
    /// Who set it.
    pub set_by: SetBy,
    /// The ceiling that cut it.
    pub clamp: Option<Clamp>,
}

impl Row {
    /// The form printed under `--json`.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let mut out = json!({ "key": self.key, "value": self.value, "set-by": self.set_by.to_string() });
        if let Some(clamp) = &self.clamp {
            out["clamp"] = json!({ "asked": clamp.asked, "by": clamp.by });
        }
        out
    }
}

impl Lowered {
    /// The effective policy of one function: its own values, its tool's services and limits, each with its origin.
    #[must_use]
    pub fn explain(&self, name: &str) -> Vec<Row> {
        let named = self.policy.functions.contains_key(name);
        let path = if named {
            format!("functions.{name}")
        } else {
            function::DEFAULT.to_owned()
        };
        let mut rows = Rows {
            lowered: self,
            rows: Vec::new(),
        };
        rows.function(&path, self.policy.function(name));
        rows.calls(&self.policy);
        for service in &self.policy.services {
            rows.service(&format!("services.{}", service.name), service);
        }
        rows.limits(&self.policy.limits);
        for (name, value) in &self.policy.env {
            rows.add(format!("env.{name}"), value.clone());
        }
        rows.rows
    }
}

struct Rows<'a> {
    lowered: &'a Lowered,
    rows: Vec<Row>,
}

impl Rows<'_> {
    fn add(&mut self, key: String, value: String) {
        let provenance = &self.lowered.provenance;
        let (set_by, clamp) = (provenance.set_by(&key).clone(), provenance.clamp(&key).cloned());
        self.rows.push(Row {
            key,
            value,
            set_by,
            clamp,
        });
    }

    fn all<const N: usize>(&mut self, path: &str, values: [(&str, String); N]) {
        for (key, value) in values {
            self.add(format!("{path}.{key}"), value);
        }
    }

    fn function(&mut self, path: &str, function: &FunctionPolicy) {
        let approval = match function.approval {
            Approval::None => "none",
            Approval::Required => "required",
        };
        self.all(
            path,
            [
                ("idempotency", function.idempotency.name().to_owned()),
                ("durability", function.durability.name().to_owned()),
                ("timeout", show_duration(function.timeout)),
                ("deadline", show_duration(function.deadline)),
                ("approval", approval.to_owned()),
                ("approval-expires", show_duration(function.approval_expires)),
                ("retry-from", function.retry_from.name().to_owned()),
                ("auto-replay", function.auto_replay.name().to_owned()),
            ],
        );
        for (case, class) in &function.errors {
            self.add(format!("{path}.errors.{case}"), class.name().to_owned());
        }
        self.retry(&format!("{path}.retry"), &function.retry);
    }

    /// Calls of other tools, where there are any.
    fn calls(&mut self, policy: &ToolPolicy) {
        if !policy.agent {
            return;
        }
        let interrupts = policy.interrupt_before.iter();
        let interrupts: Vec<_> = interrupts
            .map(|(tool, function)| format!("{tool}.{function}"))
            .collect();
        self.add(
            "tools".to_owned(),
            policy.tools.iter().map(show_grant).collect::<Vec<_>>().join(", "),
        );
        self.add("interrupt-before".to_owned(), interrupts.join(", "));
    }

    fn retry(&mut self, path: &str, retry: &RetryPolicy) {
        self.add(path.to_owned(), retry.preset.clone());
        self.all(
            path,
            [
                ("attempts", retry.attempts.to_string()),
                ("base", show_duration(retry.backoff.base)),
                ("factor", retry.backoff.factor.to_string()),
                ("cap", show_duration(retry.backoff.cap)),
                ("jitter", show_jitter(retry.backoff.jitter).to_owned()),
                ("max-retry-after", show_duration(retry.max_retry_after)),
                ("max-total-attempts", retry.max_total_attempts.to_string()),
            ],
        );
    }

    fn service(&mut self, path: &str, service: &ServicePolicy) {
        let kind = match service.kind {
            ServiceKind::Http => "http",
            ServiceKind::Llm => "llm",
        };
        let hosts: Vec<_> = service.hosts.iter().map(show_origin).collect();
        let repeatable: Vec<_> = service
            .repeatable
            .iter()
            .map(|p| format!("{} {}", p.method, p.path))
            .collect();
        let rejects: Vec<_> = service.rejects_before_effect.iter().map(u16::to_string).collect();
        let header = service.idempotency_header.as_ref();
        self.all(
            path,
            [
                ("hosts", hosts.join(", ")),
                ("kind", kind.to_owned()),
                ("timeout", show_duration(service.timeout)),
                ("max-response", show_size(service.max_response)),
                ("concurrency", service.concurrency.to_string()),
                (
                    "rate-limit",
                    service.rate_limit.map_or_else(|| "none".to_owned(), show_rate),
                ),
                (
                    "idempotency-header",
                    header.map_or_else(
                        || "none".to_owned(),
                        |h| format!("{} for {}", h.name, show_duration(h.lifetime)),
                    ),
                ),
                ("repeatable", repeatable.join(", ")),
                ("rejects-before-effect", rejects.join(", ")),
            ],
        );
        for header in &service.headers {
            self.add(format!("{path}.headers.{}", header.name), show_header(&header.value));
        }
        self.breaker(&format!("{path}.breaker"), &service.breaker);
        let budget = service.budget;
        self.all(
            &format!("{path}.budget"),
            [
                ("capacity", budget.capacity.to_string()),
                ("retry-cost", budget.retry_cost.to_string()),
                ("throttled-cost", budget.throttled_cost.to_string()),
                ("success-refund", budget.success_refund.to_string()),
            ],
        );
    }

    fn breaker(&mut self, path: &str, breaker: &BreakerPolicy) {
        let rate = |rate: Option<RatePolicy>| rate.map_or_else(|| "off".to_owned(), |rate| rate.threshold.to_string());
        let threshold = breaker.failure_threshold;
        self.all(
            path,
            [
                (
                    "failure-threshold",
                    threshold.map_or_else(|| "none".to_owned(), |n| n.to_string()),
                ),
                ("failure-rate", rate(breaker.failure_rate)),
                ("slow-rate", rate(breaker.slow_rate)),
            ],
        );
        if let Some(rate) = breaker.failure_rate.or(breaker.slow_rate) {
            let window = match breaker.window {
                WindowPolicy::Count(calls) => calls.to_string(),
                WindowPolicy::Time(time) => show_duration(time),
            };
            self.all(
                path,
                [
                    ("minimum-calls", rate.minimum_calls.to_string()),
                    ("window", window),
                    ("slow-call", show_duration(breaker.slow_call)),
                ],
            );
        }
        self.all(
            path,
            [
                ("cooldown", show_duration(breaker.cooldown)),
                ("max-cooldown", show_duration(breaker.max_cooldown)),
                ("half-open-probes", breaker.half_open_probes.to_string()),
                ("probe-window", show_duration(breaker.probe_window)),
            ],
        );
    }

    fn limits(&mut self, limits: &Limits) {
        self.all(
            "limits",
            [
                ("memory", show_size(limits.memory)),
                ("table-elements", limits.table_elements.to_string()),
                ("instances", limits.instances.to_string()),
                ("fuel", show_fuel(limits.fuel)),
                ("output", show_size(limits.output)),
                ("log", show_size(limits.log)),
                ("host-memory", show_size(limits.host_memory)),
                ("concurrency", limits.concurrency.to_string()),
            ],
        );
    }
}

/// A grant as the manifest has it.
pub(crate) fn show_grant(grant: &ToolGrant) -> String {
    match &grant.function {
        Some(function) => format!("{}.{function}", grant.tool),
        None => grant.tool.clone(),
    }
}

/// A header's value as the manifest has it: names of secrets, never values.
fn show_header(parts: &[HeaderPart]) -> String {
    let part = |part: &HeaderPart| match part {
        HeaderPart::Text(text) => text.clone(),
        HeaderPart::Secret(name) => format!("${{secret:{name}}}"),
    };
    parts.iter().map(part).collect()
}

/// A value as a file would have it, without quotes.
pub(crate) fn show(value: &Value) -> String {
    match value {
        Value::Scalar(scalar) => show_scalar(scalar),
        Value::List(nodes) => nodes
            .iter()
            .map(|node| show(&node.value))
            .collect::<Vec<_>>()
            .join(", "),
        Value::Table(table) => table
            .entries()
            .map(|entry| entry.key.clone())
            .collect::<Vec<_>>()
            .join(", "),
    }
}

fn show_scalar(scalar: &Scalar) -> String {
    match scalar {
        Scalar::Text(text) => text.clone(),
        Scalar::Duration(duration) => show_duration(*duration),
        Scalar::Number(number) => number.to_string(),
        Scalar::Share(share) => share.to_string(),
        Scalar::Rate(rate) => show_rate(*rate),
        Scalar::Origin(origin) => show_origin(origin),
        Scalar::Rule(rule) => rule.to_string(),
        Scalar::Url(url) => url.to_string(),
        Scalar::Pattern(pattern) => format!("{} {}", pattern.method, pattern.path),
        Scalar::Header(parts) => show_header(parts),
        Scalar::Component(ComponentRef::File(text) | ComponentRef::Oci(text)) => text.clone(),
        Scalar::Component(ComponentRef::Digest(digest)) => digest.to_string(),
        Scalar::None => "none".to_owned(),
    }
}
