//! The way to a host: requests that are sent, answers that are read, and what is said when either fails.

use super::place::Place;
use super::problem::Problem;
use super::{Way, tls, trouble};
use crate::api::Answer;
use crate::cli::Failed;
use crate::dto::listed::Listed;
use bytes::Bytes;
use fusebox_core::failure::Failure;
use fusebox_engine::ports::clock::{Clock, SystemClock};
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url, redirect};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A host that does not take a connection within this is not there.
const CONNECT: Duration = Duration::from_secs(5);
/// What is only read or noted down is answered within this.
pub(super) const SHORT: Duration = Duration::from_secs(60);
/// A peer that is gone is noticed after a few of these, however long a call may take.
const KEEPALIVE: Duration = Duration::from_secs(20);
/// Rows that are asked for at once.
const PAGE: u32 = 1000;

/// A host and how it is reached.
pub(super) struct Connection {
    client: Client,
    base: Url,
    key: Option<HeaderValue>,
    stop: CancellationToken,
    clock: SystemClock,
}

/// Why a request got no answer that can be used.
pub(super) enum Unanswered {
    /// The host says why.
    Problem(Box<Problem>),
    /// Something on the way says so, or nobody.
    Trouble(Box<Failure>),
}

impl From<Unanswered> for Box<Failure> {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::Problem(problem) => problem.failure(),
            Unanswered::Trouble(failure) => failure,
        }
    }
}

impl Connection {
    /// Prepares the way; nothing is sent yet. `stop` ends what is waited for.
    ///
    /// # Errors
    /// An address, a key or a certificate that is none.
    pub(super) fn open(way: &Way, stop: CancellationToken) -> Result<Self, Failed> {
        let base = address(&way.host)?;
        let key = way.key.as_deref().map(bearer).transpose()?;
        if key.is_some() && base.scheme() == "http" && !trouble::is_loopback(&base) {
            tracing::warn!(host = %base, "the key goes over the network unencrypted: anybody on the way can read it; use https://");
        }
        let client = Client::builder()
            .tls_backend_preconfigured(tls::config(way.ca.as_deref())?)
            .connect_timeout(CONNECT)
            .tcp_keepalive(KEEPALIVE)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .user_agent(concat!("fusebox/", env!("CARGO_PKG_VERSION")))
            .build();
        let client = client.map_err(|error| Failed::file(format!("no client can be made: {error}"), "report it"))?;
        Ok(Self {
            client,
            base,
            key,
            stop,
            clock: SystemClock::new(),
        })
    }

    /// The host's address.
    pub(super) fn base(&self) -> &Url {
        &self.base
    }

    /// Waits a while.
    ///
    /// # Errors
    /// That somebody asked for an end.
    pub(super) async fn pause(&self, time: Duration) -> Answer<()> {
        tokio::select! {
            () = self.clock.sleep(time) => Ok(()),
            () = self.stop.cancelled() => Err(trouble::interrupted(&self.base)),
        }
    }

    /// A request to that place, with the key.
    pub(super) fn request(&self, method: Method, place: &Place) -> RequestBuilder {
        let request = self.client.request(method, place.on(&self.base));
        let request = request.header(ACCEPT, "application/json, application/problem+json, */*;q=0.1");
        match &self.key {
            Some(key) => request.header(AUTHORIZATION, key.clone()),
            None => request,
        }
    }

    /// What is at a place; asked for once more when the connection breaks.
    pub(super) async fn get<T: DeserializeOwned>(&self, place: &Place) -> Answer<T> {
        let response = self.fetch(place, Some(SHORT)).await?;
        Ok(self.json(response).await?)
    }

    /// The bytes at a place.
    pub(super) async fn bytes(&self, place: &Place) -> Answer<Bytes> {
        let response = self.fetch(place, None).await?;
        Ok(self.whole(response).await?)
    }

    /// The answer of a place; asked for once more when the connection breaks.
    pub(super) async fn fetch(&self, place: &Place, within: Option<Duration>) -> Result<Response, Unanswered> {
        let request = || {
            let request = self.request(Method::GET, place);
            within.map_or_else(|| self.request(Method::GET, place), |time| request.timeout(time))
        };
        match self.sent(request()).await {
            Err(Sent::Broken(error)) if !error.is_timeout() => {
                tracing::debug!(%error, "asked once more");
                self.answered(self.sent(request()).await).await
            }
            other => self.answered(other).await,
        }
    }

    /// Every row of a list, page by page.
    pub(super) async fn all<T: DeserializeOwned>(&self, place: Place) -> Answer<Vec<T>> {
        self.list(place, u32::MAX, None).await
    }

    /// Rows of a list after that one, page by page, until there are so many.
    pub(super) async fn list<T: DeserializeOwned>(
        &self,
        place: Place,
        most: u32,
        mut after: Option<String>,
    ) -> Answer<Vec<T>> {
        let most = if most == 0 {
            fusebox_engine::ports::store::LISTED
        } else {
            most
        };
        let mut rows: Vec<T> = Vec::new();
        loop {
            let left = most.saturating_sub(u32::try_from(rows.len()).unwrap_or(u32::MAX));
            let page = place
                .clone()
                .with("limit", left.min(PAGE))
                .maybe("after", after.as_ref());
            let page: Listed<T> = self.get(&page).await?;
            let got_none = page.items.is_empty();
            rows.extend(page.items);
            match page.next {
                Some(next) if !got_none && rows.len() < most as usize && after.as_ref() != Some(&next) => {
                    after = Some(next)
                }
                _ => return Ok(rows),
            }
        }
    }

    /// Does what is asked for at a place, once.
    pub(super) async fn post<T: DeserializeOwned>(&self, place: &Place, body: &(impl Serialize + Sync)) -> Answer<T> {
        let request = self.request(Method::POST, place).json(body).timeout(SHORT);
        let response = self.send(request).await?;
        Ok(self.json(response).await?)
    }

    /// Ends what is at a place, once.
    pub(super) async fn delete<T: DeserializeOwned>(&self, place: &Place) -> Answer<T> {
        let response = self.send(self.request(Method::DELETE, place).timeout(SHORT)).await?;
        Ok(self.json(response).await?)
    }

    /// Does what is asked for at a place, once, where there is nothing more to say.
    pub(super) async fn order(&self, method: Method, place: &Place) -> Answer<()> {
        let response = self.send(self.request(method, place).timeout(SHORT)).await?;
        self.whole(response).await?;
        Ok(())
    }

    /// Sends a request once.
    pub(super) async fn send(&self, request: RequestBuilder) -> Result<Response, Unanswered> {
        let sent = self.sent(request).await;
        self.answered(sent).await
    }

    /// Reads an answer as JSON.
    pub(super) async fn json<T: DeserializeOwned>(&self, response: Response) -> Result<T, Unanswered> {
        let server = trouble::server(&response);
        let body = self.whole(response).await?;
        serde_json::from_slice(&body)
            .map_err(|error| Unanswered::Trouble(trouble::not_understood(&self.base, server.as_deref(), &error)))
    }

    async fn whole(&self, response: Response) -> Result<Bytes, Unanswered> {
        let body = tokio::select! {
            body = response.bytes() => body,
            () = self.stop.cancelled() => return Err(Unanswered::Trouble(trouble::interrupted(&self.base))),
        };
        body.map_err(|error| Unanswered::Trouble(trouble::broken(&self.base, &error)))
    }

    async fn sent(&self, request: RequestBuilder) -> Result<Response, Sent> {
        tokio::select! {
            sent = request.send() => sent.map_err(Sent::Broken),
            () = self.stop.cancelled() => Err(Sent::Stopped),
        }
    }

    /// An answer that says yes, or what the host says instead.
    async fn answered(&self, sent: Result<Response, Sent>) -> Result<Response, Unanswered> {
        let response = match sent {
            Ok(response) => response,
            Err(Sent::Stopped) => return Err(Unanswered::Trouble(trouble::interrupted(&self.base))),
            Err(Sent::Broken(error)) => return Err(Unanswered::Trouble(trouble::broken(&self.base, &error))),
        };
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let server = trouble::server(&response);
        let body = self.whole(response).await?;
        let Some(problem) = Problem::read(&body) else {
            return Err(Unanswered::Trouble(trouble::strange(
                &self.base,
                status,
                server.as_deref(),
            )));
        };
        if status == StatusCode::UNAUTHORIZED {
            return Err(Unanswered::Trouble(trouble::unknown_caller(
                problem.failure(),
                self.key.is_some(),
            )));
        }
        Err(Unanswered::Problem(Box::new(problem)))
    }
}

enum Sent {
    Broken(reqwest::Error),
    Stopped,
}

/// `https://host:port`, perhaps with a path that a proxy takes away.
fn address(text: &str) -> Result<Url, Failed> {
    let wrong = |what: &str| {
        Failed::usage(
            format!("`{text}` is not the address of a host: {what}"),
            "write --host (or FUSEBOX_HOST) as https://fusebox.example or http://127.0.0.1:7717, as `fusebox serve` prints it",
        )
    };
    let url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("it begins with neither https:// nor http://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("a key does not stand in it; FUSEBOX_KEY or --key-file gives it"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("it has a query"));
    }
    Ok(url)
}

fn bearer(key: &str) -> Result<HeaderValue, Failed> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", key.trim())).map_err(|_| {
        Failed::usage(
            "the key has characters that no key has",
            "look at FUSEBOX_KEY, or at the file that --key-file names: it holds one line, such as fbx_…",
        )
    })?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn addresses_are_urls_and_hold_no_key() {
        for good in [
            "http://127.0.0.1:7717",
            "https://fusebox.example",
            "https://a.example/fusebox/",
        ] {
            assert!(address(good).is_ok(), "{good}");
        }
        for bad in [
            "127.0.0.1:7717",
            "localhost:7717",
            "ftp://a.example",
            "https://me:key@a.example",
            "http://a/?x",
            "",
        ] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_key_is_one_line_and_not_printed() {
        let key = bearer("fbx_abc_def\n").unwrap();
        assert_eq!(key.to_str().unwrap(), "Bearer fbx_abc_def");
        assert!(!format!("{key:?}").contains("def"));
        assert!(bearer("two\nlines").is_err());
    }
}
