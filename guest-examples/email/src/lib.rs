//! Sends electronic mail through an HTTP API that does not recognise repetitions.

use http_client::{Client, Response};
use serde::{Deserialize, Serialize};

wit_bindgen::generate!({ path: "wit", world: "tool" });

use exports::example::email::email::{Error, Guest};

struct Email;

impl Guest for Email {
    fn send(to: String, subject: String, body: String) -> Result<String, Error> {
        if !is_address(&to) {
            return Err(Error::InvalidAddress(to));
        }
        let answer = Client::from_env("MAIL_URL")?.post("/v1/messages", &Message { to, subject, body })?;
        let accepted: Accepted = success(answer)?.json()?;
        Ok(accepted.id)
    }
}

export!(Email);

#[derive(Serialize)]
struct Message {
    to: String,
    subject: String,
    body: String,
}

#[derive(Deserialize)]
struct Accepted {
    id: String,
}

/// Whether a text has the outline of an address; whether it exists is for the service to say.
fn is_address(text: &str) -> bool {
    let plain = !text.chars().any(|c| c.is_whitespace() || c.is_control());
    plain
        && matches!(text.split_once('@'), Some((user, host)) if !user.is_empty() && !host.is_empty() && !host.contains('@'))
}

fn success(answer: Response) -> Result<Response, Error> {
    match answer.status() {
        200..=299 => Ok(answer),
        429 => Err(Error::RateLimited(answer.retry_after())),
        500.. => Err(Error::Unavailable(answer.summary())),
        _ => Err(Error::Rejected(answer.summary())),
    }
}

impl From<http_client::Error> for Error {
    fn from(error: http_client::Error) -> Self {
        use http_client::Error::{BadAnswer, BadRequest, NoAnswer, NotConfigured};
        match error {
            NoAnswer(_) => Self::Unavailable(error.to_string()),
            BadAnswer(_) => Self::Unconfirmed(error.to_string()),
            NotConfigured(_) | BadRequest(_) => Self::Rejected(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_address;

    #[test]
    fn an_address_has_a_user_and_a_host() {
        assert!(is_address("ann@example.com"));
        for wrong in [
            "",
            "ann",
            "@example.com",
            "ann@",
            "ann@b@c",
            "ann lee@example.com",
            "ann@example.com\r\nbcc: x",
        ] {
            assert!(!is_address(wrong), "{wrong}");
        }
    }
}
