//! The simulator of upstreams as a process of its own, and its admin API (tests/support/simulator/README.md).

use crate::process;
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Child, Command};
use ureq::Agent;

/// A running simulator; it ends with this value.
pub(crate) struct Simulator {
    process: Child,
    agent: Agent,
    ports: Value,
}

impl Simulator {
    /// Starts the binary on five free ports.
    pub(crate) fn start(binary: &Path) -> Result<Self> {
        let (process, line) = process::ready(Command::new(binary).args(["--base-port", "0"]))?;
        let ports = serde_json::from_str(&line).with_context(|| format!("the simulator said: {line}"))?;
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .build()
            .new_agent();
        Ok(Self { process, agent, ports })
    }

    /// The port of a service.
    pub(crate) fn port(&self, service: &str) -> Result<u64> {
        self.ports[service]
            .as_u64()
            .with_context(|| format!("the simulator has no `{service}`"))
    }

    /// How many requests a service has got.
    pub(crate) fn count(&self, service: &str) -> Result<usize> {
        let requests = self.get(&format!("/requests?service={service}"))?;
        Ok(requests.as_array().context("requests are a list")?.len())
    }

    /// How many mails were really sent.
    pub(crate) fn mails(&self) -> Result<usize> {
        Ok(self.get("/mails")?.as_array().context("mails are a list")?.len())
    }

    /// Appends a fault to a service's script.
    pub(crate) fn fault(&self, service: &str, fault: Value, times: Option<u64>) -> Result<()> {
        let mut order = json!({ "service": service, "fault": fault });
        if let Some(times) = times {
            order["times"] = json!(times);
        }
        println!("  (the simulator is told: {order})");
        self.checked(
            self.agent
                .post(self.url("/faults")?)
                .content_type("application/json")
                .send(order.to_string())?,
        )
    }

    /// Empties a service's script.
    pub(crate) fn clear(&self, service: &str) -> Result<()> {
        println!("  (the simulator is told: {service} is well)");
        self.checked(
            self.agent
                .delete(self.url(&format!("/faults?service={service}"))?)
                .call()?,
        )
    }

    /// Has the model say these messages next.
    pub(crate) fn script(&self, messages: Value) -> Result<()> {
        println!("  (the simulated model will say: {messages})");
        let put = self.agent.put(self.url("/llm/script")?);
        self.checked(put.content_type("application/json").send(messages.to_string())?)
    }

    /// Has a service take so many requests in so many milliseconds, and answer 429 to more.
    pub(crate) fn rate_limit(&self, service: &str, requests: u64, millis: u64) -> Result<()> {
        let order = json!({ "service": service, "requests": requests, "per-ms": millis });
        println!("  (the simulator is told: {order})");
        let put = self.agent.put(self.url("/rate-limit")?);
        self.checked(put.content_type("application/json").send(order.to_string())?)
    }

    /// Everything as at the start.
    pub(crate) fn reset(&self) -> Result<()> {
        self.checked(self.agent.post(self.url("/reset")?).send_empty()?)
    }

    /// What the admin API answers.
    pub(crate) fn get(&self, path: &str) -> Result<Value> {
        let mut answer = self.agent.get(self.url(path)?).call()?;
        let text = answer.body_mut().with_config().limit(u64::MAX).read_to_string()?;
        Ok(serde_json::from_str(&text)?)
    }

    fn url(&self, path: &str) -> Result<String> {
        Ok(format!("http://127.0.0.1:{}{path}", self.port("admin")?))
    }

    fn checked(&self, mut answer: ureq::http::Response<ureq::Body>) -> Result<()> {
        if !answer.status().is_success() {
            bail!(
                "the simulator refused: {} {}",
                answer.status(),
                answer.body_mut().read_to_string()?
            );
        }
        Ok(())
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
