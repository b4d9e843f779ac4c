//! What is remembered of each request.

use crate::fault::Fault;
use crate::http::Request;
use crate::service::Service;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A request as it arrived, and how it was answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// Its number among all requests of all services, from 1.
    pub n: u64,
    /// Which service it came to.
    pub service: Service,
    /// The TCP connection that it came on, from 1.
    pub connection: u64,
    /// Its method.
    pub method: String,
    /// Its path and query.
    pub path: String,
    /// Its headers; names in lower case, values of one name joined by `, `.
    pub headers: BTreeMap<String, String>,
    /// Its body as text.
    pub body: String,
    /// Its Idempotency-Key headers.
    pub keys: Vec<String>,
    /// How it was answered; `None` while it is being served.
    pub answer: Option<Answered>,
}

/// How a request was answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// The status that was sent, or begun to be sent.
    pub status: Option<u16>,
    /// Whether the service did its work (and answered with success): a mail was accepted, a transfer executed.
    pub executed: bool,
    /// The fault that the script ordered.
    pub fault: Option<Fault>,
}

impl Recorded {
    pub(crate) fn new(n: u64, service: Service, connection: u64, request: &Request) -> Self {
        let mut headers: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in &request.headers {
            headers
                .entry(name.clone())
                .and_modify(|joined| {
                    joined.push_str(", ");
                    joined.push_str(value);
                })
                .or_insert_with(|| value.clone());
        }
        Self {
            n,
            service,
            connection,
            method: request.method.clone(),
            path: request.path.clone(),
            headers,
            body: String::from_utf8_lossy(&request.body).into_owned(),
            keys: request.all("idempotency-key").map(str::to_owned).collect(),
            answer: None,
        }
    }
}
