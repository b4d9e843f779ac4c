//! What the upstreams do when nothing is wrong.

pub(crate) mod ledger;
pub(crate) mod llm;
pub(crate) mod mail;
pub(crate) mod search;

use crate::http::{Reply, Request};
use serde::de::DeserializeOwned;

/// Refuses a request without that bearer token.
fn authorized(request: &Request, token: &str) -> Result<(), Reply> {
    let given = request
        .header("authorization")
        .and_then(|value| value.strip_prefix("Bearer "));
    if given == Some(token) {
        Ok(())
    } else {
        Err(Reply::error(401, "the bearer token is missing or wrong").with("www-authenticate", "Bearer"))
    }
}

/// The body as JSON of that shape.
fn decoded<T: DeserializeOwned>(request: &Request) -> Result<T, Reply> {
    serde_json::from_slice(&request.body)
        .map_err(|error| Reply::error(400, format!("the body is not understood: {error}")))
}
