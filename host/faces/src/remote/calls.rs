//! What is waited for: calls, replays, runs that go on. None is sent twice, unless it has a key that makes two one.

use super::connection::{SHORT, Unanswered};
use super::place::{Place, at};
use super::{Remote, bad_input};
use crate::api::Answer;
use crate::dto::call_reply::CallReply;
use crate::dto::replay_request::ReplayRequest;
use crate::dto::resolve_request::ResolveRequest;
use fusebox_core::failure::{Class, Code, Failure};
use fusebox_core::ids::LetterId;
use fusebox_engine::records::LetterRecord;
use fusebox_engine::requests::{Call, Replay, Replayed, Reply, Resolve};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, RequestBuilder, Response};
use std::time::Duration;

/// What an answer may take on top of the deadline: queueing, compiling, the way.
const MARGIN: Duration = Duration::from_secs(60);

impl Remote {
    pub(super) async fn calls(&self, call: Call) -> Answer<Reply> {
        let key = call.key.as_deref().map(quoted).transpose()?;
        let place = at(["tools", &call.tool, "functions", &call.function, "calls"])
            .maybe("deadline", call.deadline.map(|time| format!("{}ms", time.as_millis())));
        let request = || {
            let mut request = self.connection.request(Method::POST, &place);
            if let Some(key) = &key {
                request = request.header("idempotency-key", key);
            }
            match (call.detach, call.wait) {
                (true, _) => request = request.header("prefer", "respond-async").timeout(SHORT),
                (false, Some(wait)) => request = request.header("prefer", format!("wait={}", wait.as_secs().max(1))),
                (false, None) => {}
            }
            if let Some(deadline) = call.deadline.filter(|_| !call.detach) {
                request = request.timeout(
                    deadline
                        .saturating_add(call.wait.unwrap_or_default())
                        .saturating_add(MARGIN),
                );
            }
            request
                .header(CONTENT_TYPE, "application/json")
                .body(call.input.clone())
        };
        let mut answer = self.connection.send(request()).await;
        // With a key the same call twice is one.
        if key.is_some() && matches!(&answer, Err(Unanswered::Trouble(failure)) if failure.code == Code::Unreachable) {
            answer = self.connection.send(request()).await;
        }
        self.reply(answer?).await
    }

    /// What a run came to that is waited for, however long it takes.
    pub(super) async fn waited(&self, place: &Place) -> Answer<Reply> {
        let request = self
            .connection
            .request(Method::POST, place)
            .json(&serde_json::json!({}));
        let response = self.connection.send(request).await?;
        self.reply(response).await
    }

    pub(super) async fn replays(&self, replay: &Replay) -> Answer<Replayed> {
        let body = ReplayRequest::of(replay).map_err(|error| bad_input(format!("the input is not JSON: {error}")))?;
        let request = self.to_letter(&replay.letter, "replay").json(&body);
        let response = self.connection.send(request).await?;
        if replay.dry_run {
            return Ok(Replayed::Dry(self.connection.json(response).await?));
        }
        Ok(Replayed::Done(self.reply(response).await?))
    }

    pub(super) async fn resolves(&self, letter: &LetterId, resolve: &Resolve) -> Answer<LetterRecord> {
        let body = ResolveRequest::of(resolve).map_err(bad_input)?;
        let response = self
            .connection
            .send(self.to_letter(letter, "resolve").json(&body).timeout(SHORT))
            .await?;
        Ok(self.connection.json(response).await?)
    }

    fn to_letter(&self, letter: &LetterId, word: &str) -> RequestBuilder {
        self.connection
            .request(Method::POST, &at(["dead-letters", letter.as_str(), word]))
    }

    async fn reply(&self, response: Response) -> Answer<Reply> {
        let reply: CallReply = self.connection.json(response).await?;
        Reply::try_from(reply).map_err(|what| {
            let message = format!("the answer of {} is not understood: {what}", self.connection.base());
            Box::new(Failure::new(Code::Unreachable, Class::Unknown, message))
        })
    }
}

/// A key as a string of RFC 9651, the form that `Idempotency-Key` has.
fn quoted(key: &str) -> Answer<String> {
    if !key.chars().all(|c| c == ' ' || c.is_ascii_graphic()) {
        return Err(bad_input(
            "a key that goes over HTTP has ASCII letters, digits and signs only",
        ));
    }
    Ok(format!("\"{}\"", key.replace('\\', "\\\\").replace('"', "\\\"")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn keys_are_quoted_so_that_any_can_be_read_back() {
        assert_eq!(quoted("order-42").unwrap(), "\"order-42\"");
        assert_eq!(quoted(r#"a"b\c"#).unwrap(), r#""a\"b\\c""#);
        assert!(quoted("a\nb").is_err() && quoted("ö").is_err());
    }
}
