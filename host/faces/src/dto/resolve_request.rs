//! What a person knows of a letter in doubt, as it is recorded.

use bytes::Bytes;
use fusebox_engine::requests::{Resolve, Response};
use serde::{Deserialize, Serialize};

/// What is recorded: what became of an effect, or how the run is ended.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case",
    tag = "as",
    deny_unknown_fields
)]
pub enum ResolveRequest {
    /// The effect happened, and this is what came back.
    Happened {
        /// The run of the tree whose effect it is; absent for the root.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        run: Option<String>,
        /// Its number.
        effect: u32,
        /// What the component gets for it.
        response: ResponseBody,
    },
    /// The effect did not happen; it is made when the run goes on.
    NotHappened {
        /// The run of the tree whose effect it is; absent for the root.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        run: Option<String>,
        /// Its number.
        effect: u32,
    },
    /// The run has failed.
    CloseFailed {
        /// Why, in the person's words.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        reason: Option<String>,
    },
    /// The run has succeeded.
    CloseSucceeded {
        /// Its result as JSON text.
        output: String,
    },
}

/// An answer that a person knows of. The body is text, or bytes in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ResponseBody {
    /// HTTP status.
    pub status: u16,
    /// Headers: name and value.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub headers: Vec<(String, String)>,
    /// The body as text.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub body: Option<String>,
    /// The body in hexadecimal, when it is no text.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub body_hex: Option<String>,
}

impl ResolveRequest {
    /// The request that records that.
    ///
    /// # Errors
    /// A header whose value is no text.
    pub fn of(resolve: &Resolve) -> Result<Self, String> {
        Ok(match resolve {
            Resolve::Happened { run, effect, response } => Self::Happened {
                run: run.as_ref().map(ToString::to_string),
                effect: *effect,
                response: ResponseBody::of(response)?,
            },
            Resolve::NotHappened { run, effect } => Self::NotHappened {
                run: run.as_ref().map(ToString::to_string),
                effect: *effect,
            },
            Resolve::CloseFailed { reason } => Self::CloseFailed { reason: reason.clone() },
            Resolve::CloseSucceeded { output } => Self::CloseSucceeded { output: output.clone() },
        })
    }

    /// What it records.
    ///
    /// # Errors
    /// What makes no sense.
    pub fn resolve(self) -> Result<Resolve, String> {
        let parsed = |run: Option<String>| {
            run.map(|run| run.parse())
                .transpose()
                .map_err(|error| format!("`run`: {error}"))
        };
        Ok(match self {
            Self::Happened { run, effect, response } => Resolve::Happened {
                run: parsed(run)?,
                effect,
                response: response.response()?,
            },
            Self::NotHappened { run, effect } => Resolve::NotHappened {
                run: parsed(run)?,
                effect,
            },
            Self::CloseFailed { reason } => Resolve::CloseFailed { reason },
            Self::CloseSucceeded { output } => Resolve::CloseSucceeded { output },
        })
    }
}

impl ResponseBody {
    fn of(response: &Response) -> Result<Self, String> {
        let header = |(name, value): &(String, Vec<u8>)| {
            let value = String::from_utf8(value.clone());
            value
                .map(|value| (name.clone(), value))
                .map_err(|_| format!("the value of the header `{name}` is no text"))
        };
        let text = std::str::from_utf8(&response.body).ok().map(str::to_owned);
        Ok(Self {
            status: response.status,
            headers: response.headers.iter().map(header).collect::<Result<_, _>>()?,
            body_hex: text.is_none().then(|| hex::encode(&response.body)),
            body: text.filter(|text| !text.is_empty()),
        })
    }

    fn response(self) -> Result<Response, String> {
        let body = match (self.body, self.body_hex) {
            (Some(_), Some(_)) => return Err("`response` has `body` or `body-hex`, not both".to_owned()),
            (Some(text), None) => Bytes::from(text),
            (None, Some(digits)) => {
                Bytes::from(hex::decode(digits).map_err(|error| format!("`response.body-hex`: {error}"))?)
            }
            (None, None) => Bytes::new(),
        };
        let headers = self.headers.into_iter();
        Ok(Response {
            status: self.status,
            headers: headers
                .map(|(name, value)| (name.to_ascii_lowercase(), value.into_bytes()))
                .collect(),
            body,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use fusebox_core::ids::RunId;
    use fusebox_core::time::Wall;

    #[test]
    fn what_a_person_knows_survives_the_way() {
        let response = |body: &'static [u8]| Response {
            status: 201,
            headers: vec![("location".to_owned(), b"/transfers/7".to_vec())],
            body: Bytes::from_static(body),
        };
        let happened = |body| Resolve::Happened {
            run: Some(RunId::new(Wall(1), 1)),
            effect: 3,
            response: response(body),
        };
        for resolve in [
            happened(b"{\"id\":7}"),
            happened(b"\xff\x00"),
            happened(b""),
            Resolve::NotHappened { run: None, effect: 2 },
            Resolve::CloseFailed {
                reason: Some("gone".to_owned()),
            },
            Resolve::CloseSucceeded {
                output: "{\"n\": 1.0}".to_owned(),
            },
        ] {
            let text = serde_json::to_string(&ResolveRequest::of(&resolve).unwrap()).unwrap();
            let read: ResolveRequest = serde_json::from_str(&text).unwrap();
            assert_eq!(read.resolve().unwrap(), resolve, "{text}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let both = r#"{"as":"happened","effect":1,"response":{"status":200,"body":"a","body-hex":"61"}}"#;
        let read: ResolveRequest = serde_json::from_str(both).unwrap();
        assert!(read.resolve().is_err());
        assert!(serde_json::from_str::<ResolveRequest>(r#"{"as":"forgotten","effect":1}"#).is_err());
    }
}
