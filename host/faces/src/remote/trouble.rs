//! What is said when a host cannot be reached or does not answer as one.

use fusebox_core::failure::{Class, Code, Failure};
use reqwest::header::SERVER;
use reqwest::{Response, StatusCode, Url};
use std::error::Error;
use std::io;
use std::net::IpAddr;

/// Whether an address is this machine's own.
pub(super) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// What an answer says of the program that made it.
pub(super) fn server(response: &Response) -> Option<String> {
    let name = response.headers().get(SERVER)?;
    name.to_str().ok().map(str::to_owned)
}

fn failure(class: Class, message: String) -> Box<Failure> {
    Box::new(Failure::new(Code::Unreachable, class, message))
}

/// The request did not get there, or its answer did not come back.
pub(super) fn broken(base: &Url, error: &reqwest::Error) -> Box<Failure> {
    match tls(error) {
        Some(rustls::Error::InvalidMessage(_)) => {
            let message =
                format!("{base} does not speak TLS; if it is yours and near, write http:// instead of https://");
            return failure(Class::NotSent, message);
        }
        Some(rustls::Error::InvalidCertificate(what)) => {
            let message = format!(
                "the certificate of {base} is not trusted: {what}; --ca FILE names the authority that signed it"
            );
            return failure(Class::NotSent, message);
        }
        _ => {}
    }
    let deepest = causes(error)
        .last()
        .map_or_else(|| error.to_string(), ToString::to_string);
    if error.is_connect() {
        let what = if error.is_timeout() {
            "it took no connection within 5 s".to_owned()
        } else {
            deepest
        };
        let message = format!("{base} cannot be reached: {what}; is `fusebox serve --http` running there?");
        return failure(Class::NotSent, message);
    }
    if error.is_timeout() {
        let message = format!("{base} did not answer in time; what was asked of it may have happened, or may yet");
        return failure(Class::Unknown, message);
    }
    let tls_port = if base.scheme() == "http" {
        "; if it speaks TLS, write https://"
    } else {
        ""
    };
    failure(
        Class::Unknown,
        format!(
            "the connection to {base} broke before the answer came: {deepest}; what was asked of it may have happened{tls_port}"
        ),
    )
}

/// Somebody who waited here asked for an end; the host knows nothing of that.
pub(super) fn interrupted(base: &Url) -> Box<Failure> {
    let message = format!("not waited for any longer; what was asked of {base} goes on there");
    Box::new(Failure::new(Code::Cancelled, Class::Control, message))
}

/// The host does not know who asks.
pub(super) fn unknown_caller(mut said: Box<Failure>, has_key: bool) -> Box<Failure> {
    let what = if has_key {
        "the key that FUSEBOX_KEY or --key-file gave was refused"
    } else {
        "no key was sent: FUSEBOX_KEY or --key-file gives one"
    };
    said.message = format!("{}; {what}", said.message);
    said
}

/// Something answered that is no Fusebox, or something that stands before one.
pub(super) fn strange(base: &Url, status: StatusCode, server: Option<&str>) -> Box<Failure> {
    let who = server.map_or_else(String::new, |server| format!(" (it calls itself `{server}`)"));
    let hint = match status.as_u16() {
        300..400 => "it points elsewhere; write the address that it points to",
        400 if base.scheme() == "http" => "if it speaks TLS, write https://",
        502..=504 => "a proxy answers, and the host behind it does not",
        _ => "look at the address and its port",
    };
    failure(
        Class::Unknown,
        format!("what answers at {base} with {status} is not a Fusebox{who}; {hint}"),
    )
}

/// The host said yes in words that this version does not know.
pub(super) fn not_understood(base: &Url, server: Option<&str>, error: &serde_json::Error) -> Box<Failure> {
    let own = env!("CARGO_PKG_VERSION");
    let message = match server.and_then(|server| server.strip_prefix("fusebox/")) {
        Some(theirs) if theirs != own => format!(
            "the answer of {base} is not understood: {error}; the host is Fusebox {theirs} and this command {own}: use the same version"
        ),
        Some(_) => format!("the answer of {base} is not understood: {error}"),
        None => format!("what answers at {base} is not a Fusebox: {error}; look at the address and its port"),
    };
    failure(Class::Unknown, message)
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    fn next<'a>(cause: &&'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
        (*cause).source()
    }
    std::iter::successors(error.source(), next)
}

/// What rustls has to say, wherever it stands among the causes: errors of a stream carry it inside.
fn tls(error: &reqwest::Error) -> Option<&rustls::Error> {
    causes(error).find_map(within)
}

fn within<'a>(cause: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let carried = || within(cause.downcast_ref::<io::Error>()?.get_ref()?);
    cause.downcast_ref::<rustls::Error>().or_else(carried)
}
