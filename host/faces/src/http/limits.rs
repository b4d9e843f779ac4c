//! How much is taken from clients, and under which names they may reach the host.

use super::refusal::Refusal;
use crate::dto::problem::Problem;
use axum::body::Body;
use bytes::Bytes;
use fusebox_core::failure::Code;
use fusebox_core::policy::RateLimit;
use fusebox_manifest::ListenSettings;
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use http::uri::Authority;
use http::{HeaderMap, Uri, header};
use http_body_util::{BodyExt as _, Limited};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

/// How much is taken.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Names under which clients reach this host besides its address and `localhost`.
    pub hosts: Vec<String>,
    /// The most of a body, in bytes.
    pub body: usize,
    /// The most of a deployment's body, in bytes.
    pub upload: usize,
    /// How long a request may take to send its body.
    pub body_time: Duration,
    /// Requests at once.
    pub requests: usize,
    /// Requests of one principal per period.
    pub rate: Option<RateLimit>,
}

impl From<&ListenSettings> for Limits {
    fn from(settings: &ListenSettings) -> Self {
        let bytes = |size| usize::try_from(size).unwrap_or(usize::MAX);
        Self {
            hosts: settings.hosts.clone(),
            body: bytes(settings.body),
            upload: bytes(settings.upload),
            body_time: settings.body_time,
            requests: settings.requests,
            rate: settings.rate,
        }
    }
}

/// Counts requests by whoever sends them.
pub(super) struct Rate(DefaultKeyedRateLimiter<String>);

/// Principals that are counted before those that were not seen lately are forgotten.
const COUNTED: usize = 10_000;

impl Rate {
    /// A count that allows so much, all at once if nothing came before.
    pub(super) fn new(limit: RateLimit) -> Option<Self> {
        let most = NonZeroU32::new(limit.requests)?;
        let quota = Quota::with_period(limit.per / limit.requests)?.allow_burst(most);
        Some(Self(RateLimiter::keyed(quota)))
    }

    /// One more request.
    ///
    /// # Errors
    /// That it is too many.
    pub(super) fn count(&self, who: String) -> Result<(), Refusal> {
        if self.0.len() > COUNTED {
            self.0.retain_recent();
        }
        self.0.check_key(&who).map_err(|not_until| {
            let wait = not_until.wait_time_from(DefaultClock::default().now());
            let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            Refusal::later(
                429,
                "too many requests of one principal; `listen.rate` says how many",
                wait,
            )
        })
    }
}

/// Names under which clients reach the host. A page of somebody else's whose name was pointed at this address is not among them
/// (DNS rebinding): a name is taken only if it is listed, an address always.
#[derive(Clone, Debug)]
pub(super) struct Names {
    /// Sites without their schemes, in lower case.
    listed: Vec<String>,
    /// Those that were listed with a scheme, with it.
    schemes: Vec<String>,
    tls: bool,
}

impl Names {
    /// `localhost` and those that are listed.
    pub(super) fn new(listed: &[String], tls: bool) -> Self {
        let lower: Vec<_> = listed
            .iter()
            .map(|name| name.trim_end_matches('/').to_ascii_lowercase())
            .collect();
        Self {
            listed: lower.iter().map(|name| bare(name).to_owned()).collect(),
            schemes: lower.into_iter().filter(|name| name.contains("://")).collect(),
            tls,
        }
    }

    /// Where a client reaches this host by the name that it used, with the scheme that is listed for it.
    pub(super) fn site(&self, headers: &HeaderMap) -> String {
        let host = headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok())
            .unwrap_or_default();
        let host = host.to_ascii_lowercase();
        let listed = self.schemes.iter().find(|site| bare(site) == host);
        listed
            .cloned()
            .unwrap_or_else(|| format!("{}://{host}", if self.tls { "https" } else { "http" }))
    }

    /// Checks for whom a request is, and from which page it comes.
    ///
    /// # Errors
    /// A name that is not this host's, or the page of another site.
    pub(super) fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
        let mut hosts = headers.get_all(header::HOST).iter();
        let host = hosts.next().and_then(|host| host.to_str().ok()).unwrap_or_default();
        if hosts.next().is_some() || uri.authority().is_some_and(|named| named.as_str() != host) {
            return Err(Problem::bad_request("the request names two hosts").into());
        }
        if !self.is_ours(host) {
            return Err(misdirected(host));
        }
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let Some(origin) = origins.next() else { return Ok(()) };
        let origin = origin.to_str().unwrap_or_default();
        let same = bare(origin).eq_ignore_ascii_case(host) || self.listed.contains(&bare(origin).to_ascii_lowercase());
        if same && origins.next().is_none() && origin.contains("://") {
            return Ok(());
        }
        let detail = format!("the page of {origin:?} may not ask this host; `listen.hosts` lists the sites that may");
        Err(Problem::new(403, Code::Denied, "not allowed", detail).into())
    }

    fn is_ours(&self, host: &str) -> bool {
        let Ok(authority) = host.parse::<Authority>() else {
            return false;
        };
        let name = authority.host().trim_start_matches('[').trim_end_matches(']');
        !host.contains('@')
            && (name.parse::<IpAddr>().is_ok()
                || name.eq_ignore_ascii_case("localhost")
                || self.listed.contains(&host.to_ascii_lowercase()))
    }
}

fn misdirected(host: &str) -> Refusal {
    let detail = format!("this host is not {host:?}; `listen.hosts` lists the names under which it is reached");
    Problem::new(421, Code::Denied, "the request is for another host", detail).into()
}

/// A site without its scheme.
fn bare(site: &str) -> &str {
    site.split_once("://").map_or(site, |(_, rest)| rest)
}

/// Reads a body whole, within bytes and time.
///
/// # Errors
/// One that is too large, too slow, or broken off.
pub(super) async fn whole(body: Body, most: usize, time: Duration) -> Result<Bytes, Refusal> {
    let read = Limited::new(body, most).collect();
    match tokio::time::timeout(time, read).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(too_large(most)),
        Ok(Err(error)) => Err(Problem::bad_request(format!("the body broke off: {error}")).into()),
        Err(_) => {
            let detail = format!("the body was not there after {} s", time.as_secs());
            Err(Problem::new(408, Code::BadInput, "the request took too long", detail).into())
        }
    }
}

pub(super) fn too_large(most: usize) -> Refusal {
    let detail =
        format!("the body has more than {most} bytes; `listen.body` and `listen.upload` say how many are taken");
    Problem::new(413, Code::BadInput, "the body is too large", detail).into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn check(names: &Names, host: &[&str], origin: Option<&str>) -> bool {
        let mut headers = HeaderMap::new();
        for host in host {
            headers.append(header::HOST, host.parse().unwrap());
        }
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        names.check(&Uri::from_static("/v1/tools"), &headers).is_ok()
    }

    #[test]
    fn a_name_is_taken_only_if_it_is_listed() {
        let names = Names::new(
            &["https://fusebox.example".to_owned(), "tools.example:8443".to_owned()],
            false,
        );
        for host in [
            "127.0.0.1:7717",
            "[::1]:7717",
            "10.1.2.3",
            "localhost:7717",
            "LOCALHOST",
            "Fusebox.Example",
            "tools.example:8443",
        ] {
            assert!(check(&names, &[host], None), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:7717",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "user@127.0.0.1",
            "tools.example",
            "",
            "a b",
        ] {
            assert!(!check(&names, &[host], None), "{host}");
        }
        assert!(!check(&names, &[], None));
        assert!(!check(&names, &["127.0.0.1", "127.0.0.1"], None));
    }

    #[test]
    fn only_pages_of_this_host_ask_it() {
        let names = Names::new(&["https://fusebox.example".to_owned()], false);
        let host = &["127.0.0.1:7717"][..];
        assert!(check(&names, host, Some("http://127.0.0.1:7717")));
        assert!(check(&names, host, Some("https://fusebox.example")));
        for origin in [
            "null",
            "http://127.0.0.1:8080",
            "http://evil.example",
            "http://localhost:7717",
            "127.0.0.1:7717",
        ] {
            assert!(!check(&names, host, Some(origin)), "{origin}");
        }
    }

    #[tokio::test]
    async fn a_body_is_bounded_in_bytes_and_time() {
        let time = Duration::from_secs(30);
        assert_eq!(whole(Body::from("1234"), 4, time).await.unwrap(), "1234");
        assert!(whole(Body::from("12345"), 4, time).await.is_err());
        let never = Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>());
        assert!(whole(never, 4, Duration::from_millis(10)).await.is_err());
    }

    #[test]
    fn one_principal_does_not_use_up_what_another_has() {
        let limit = RateLimit {
            requests: 2,
            per: Duration::from_secs(3600),
        };
        let rate = Rate::new(limit).unwrap();
        assert!(rate.count("a".to_owned()).is_ok() && rate.count("a".to_owned()).is_ok());
        assert!(rate.count("a".to_owned()).is_err());
        assert!(rate.count("b".to_owned()).is_ok());
    }
}
