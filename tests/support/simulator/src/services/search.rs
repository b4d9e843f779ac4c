//! Search: finds words in a small corpus of its own.

use super::authorized;
use crate::http::{Reply, Request};
use axum::extract::Query;
use axum::http::Uri;
use serde::Deserialize;
use serde_json::json;

const TOKEN: &str = "search-secret";

/// Title, address, text.
const CORPUS: [(&str, &str, &str); 8] = [
    (
        "Circuit breakers",
        "https://docs.example/breakers",
        "A circuit breaker fails fast while an upstream is down and probes it after a cooldown.",
    ),
    (
        "Retries and backoff",
        "https://docs.example/retries",
        "Retry with exponential backoff and full jitter, and stop when the retry budget is spent.",
    ),
    (
        "Idempotency keys",
        "https://docs.example/idempotency",
        "An idempotency key makes a repeated request safe: the upstream executes it once.",
    ),
    (
        "Dead letter queues",
        "https://docs.example/dead-letters",
        "A dead letter keeps a failed call with its state so that it can be inspected and replayed.",
    ),
    (
        "WebAssembly components",
        "https://docs.example/components",
        "A WebAssembly component runs in a sandbox and sees only what it was granted.",
    ),
    (
        "Rate limits",
        "https://docs.example/rate-limits",
        "A rate limit answers 429 with Retry-After when requests come too fast.",
    ),
    (
        "Bulkheads",
        "https://docs.example/bulkheads",
        "A bulkhead limits how many calls to one upstream are in flight.",
    ),
    (
        "Timeouts and deadlines",
        "https://docs.example/deadlines",
        "A deadline bounds a call with all its retries; a timeout bounds one attempt.",
    ),
];

#[derive(Deserialize)]
struct Search {
    q: String,
    limit: Option<usize>,
}

pub(crate) fn serve(request: &Request) -> Reply {
    if request.route() != "/v1/query" {
        return Reply::error(404, "there is only /v1/query");
    }
    if request.method != "GET" {
        return Reply::error(405, "ask with GET").with("allow", "GET");
    }
    if let Err(refusal) = authorized(request, TOKEN) {
        return refusal;
    }
    let search = request
        .path
        .parse::<Uri>()
        .ok()
        .and_then(|uri| Query::<Search>::try_from_uri(&uri).ok());
    let Some(Query(search)) = search else {
        return Reply::error(400, "the query needs q=TEXT, and limit is a number");
    };
    let found: Vec<_> = ranked(&search.q)
        .into_iter()
        .take(search.limit.unwrap_or(10))
        .map(|(title, url, snippet)| json!({"title": title, "url": url, "snippet": snippet}))
        .collect();
    Reply::json(200, &json!({ "results": found }))
}

/// Entries that have at least one of the words, those with the most words first.
fn ranked(query: &str) -> Vec<(&'static str, &'static str, &'static str)> {
    let words: Vec<String> = query.split_whitespace().map(str::to_lowercase).collect();
    let score = |(title, _, text): &(&str, &str, &str)| {
        let text = format!("{title} {text}").to_lowercase();
        words.iter().filter(|word| text.contains(word.as_str())).count()
    };
    let mut found: Vec<_> = CORPUS.into_iter().filter(|entry| score(entry) > 0).collect();
    found.sort_by_key(|entry| std::cmp::Reverse(score(entry)));
    found
}
