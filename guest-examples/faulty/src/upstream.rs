//! Ways to deal badly with an upstream.
#![allow(
    clippy::panic,
    clippy::expect_used,
    reason = "some of these functions are there to panic"
)]

use crate::exports::example::faulty::faults::{Answer, Failure, Upstream};
use http_client::{Client, Error, Request, Response};

/// A host that no manifest grants; the name is reserved and does not exist.
const NOT_GRANTED: &str = "https://not-granted.example/";

pub(crate) fn request(upstream: Upstream, method: &str, path: &str, body: Option<String>) -> Result<Answer, Failure> {
    let request = Request::new(method, path);
    let request = match body {
        Some(body) => request.body("application/json", body.into_bytes()),
        None => request,
    };
    Ok(client(upstream)?.send(&request)?.into())
}

/// The answer to a GET, if it is a success.
pub(crate) fn get(upstream: Upstream, path: &str) -> Result<Answer, Failure> {
    success(client(upstream)?.get(path)?)
}

pub(crate) fn denied_host(url: Option<&str>) -> Result<Answer, Failure> {
    Ok(Client::new(url.unwrap_or(NOT_GRANTED))?.get("/")?.into())
}

pub(crate) fn lying_content_length(upstream: Upstream, path: &str) -> Result<Answer, Failure> {
    let request = Request::new("POST", path)
        .body("application/json", b"{}".to_vec())
        .header("content-length", "100");
    Ok(client(upstream)?.send(&request)?.into())
}

/// What careless code does with a failure.
pub(crate) fn unwrap_success(upstream: Upstream, path: &str) -> String {
    get(upstream, path).expect("the upstream should have answered").body
}

pub(crate) fn heal_then_fail(upstream: Upstream, path: &str) -> Result<(), Failure> {
    let healed = (0..3).any(|_| get(upstream, path).is_ok());
    Err(Failure::Unmapped(format!("the upstream has answered: {healed}")))
}

pub(crate) fn trap_in_flight(upstream: Upstream, path: &str, body: String) {
    let client = client(upstream).expect("the manifest names the upstream");
    let request = Request::new("POST", path).body("application/json", body.into_bytes());
    let _in_flight = [client.start(&request), client.start(&request)];
    panic!("two posts are in flight");
}

fn client(upstream: Upstream) -> Result<Client, Error> {
    Client::from_env(match upstream {
        Upstream::Search => "SEARCH_URL",
        Upstream::Llm => "LLM_URL",
        Upstream::Mail => "MAIL_URL",
        Upstream::Ledger => "LEDGER_URL",
    })
}

fn success(answer: Response) -> Result<Answer, Failure> {
    match answer.status() {
        200..=299 => Ok(answer.into()),
        _ => Err(Failure::Unmapped(answer.summary())),
    }
}

impl From<Response> for Answer {
    fn from(response: Response) -> Self {
        Self {
            status: response.status(),
            body: response.text(),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Unmapped(error.to_string())
    }
}
