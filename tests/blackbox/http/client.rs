//! A serving host, and a client of it.

use crate::site::{Running, Site, eventually};
use serde_json::{Value, json};
use std::time::Duration;
use ureq::http::{HeaderMap, Request};
use ureq::{Agent, Body};

/// No answer takes longer, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A host that serves a site.
pub(crate) struct Served {
    pub(crate) running: Running,
    pub(crate) url: String,
    agent: Agent,
}

/// What was answered.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Served {
    /// Starts a host that lets programs on this machine do everything, and others by their keys.
    pub(crate) fn start(site: &Site) -> Self {
        Self::start_with(site, &[])
    }

    /// As [`Served::start`], with environment variables.
    pub(crate) fn start_with(site: &Site, variables: &[(&str, &str)]) -> Self {
        let open = "--open-loopback=caller,approver,operator,deployer";
        let mut command = site.command(&["serve", "--json", "--http", "127.0.0.1:0", open]);
        command.envs(variables.iter().copied());
        let running = Running::start(&mut command, PATIENCE);
        let mut url = None;
        eventually("the host says where it listens", || {
            let line = running.printed().lines().next().map(serde_json::from_str::<Value>);
            url = line.and_then(|line| Some(line.ok()?["http"].as_str()?.to_owned()));
            url.is_some()
        });
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE));
        Self {
            running,
            url: url.unwrap(),
            agent: config.build().into(),
        }
    }

    /// A new key with those roles, made from this machine.
    #[track_caller]
    pub(crate) fn key(&self, roles: &[&str]) -> String {
        let made = self
            .post("", "/v1/keys", &json!({ "name": "test", "roles": roles }))
            .is(201)
            .json();
        made["token"].as_str().unwrap().to_owned()
    }

    #[track_caller]
    pub(crate) fn get(&self, key: &str, path: &str) -> Answer {
        self.send("GET", key, path, &[], b"")
    }

    #[track_caller]
    pub(crate) fn post(&self, key: &str, path: &str, body: &Value) -> Answer {
        self.send(
            "POST",
            key,
            path,
            &[("content-type", "application/json")],
            body.to_string().as_bytes(),
        )
    }

    #[track_caller]
    pub(crate) fn send(&self, method: &str, key: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.url));
        if !key.is_empty() {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = match body {
            b"" => self.agent.run(request.body(()).unwrap()),
            body => self.agent.run(request.body(body).unwrap()),
        };
        let (parts, mut body): (_, Body) = answer.unwrap().into_parts();
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            text: body.read_to_string().unwrap(),
        }
    }

    /// Asks it to end, and waits for that.
    #[track_caller]
    pub(crate) fn end(self) {
        self.running.terminate();
        self.running.wait().exits(0);
    }
}
