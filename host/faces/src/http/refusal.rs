//! What is answered when a request is not done: a problem, with the headers that go with it.

use crate::deploying::Refused;
use crate::dto::finding::Finding;
use crate::dto::problem::{PROBLEM, Problem};
use axum::response::{IntoResponse, Response};
use fusebox_core::failure::{Code, Failure};
use http::{HeaderValue, StatusCode, header};

/// A problem as a response.
#[derive(Debug)]
pub(super) struct Refusal(Box<Problem>);

impl Refusal {
    /// More than there is room for: the client tries again after so many milliseconds.
    pub(super) fn later(status: u16, detail: impl Into<String>, retry_after_ms: u64) -> Self {
        let mut problem = Problem::new(status, Code::Overloaded, "too much at once", detail);
        problem.retry_after_ms = Some(retry_after_ms);
        Self::from(problem)
    }

    /// Whether whoever asks is not known.
    pub(super) fn is_unauthenticated(&self) -> bool {
        self.0.status == StatusCode::UNAUTHORIZED.as_u16()
    }

    /// There is nothing at that path.
    pub(super) fn no_such_path(path: &str) -> Self {
        let detail = format!("there is nothing at {path}; /v1/openapi.json lists what there is");
        Self::from(Problem::new(404, Code::NotFound, "there is no such thing", detail))
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self(Box::new(problem))
    }
}

impl From<&Failure> for Refusal {
    fn from(failure: &Failure) -> Self {
        Self::from(Problem::from(failure))
    }
}

impl From<Box<Failure>> for Refusal {
    fn from(failure: Box<Failure>) -> Self {
        Self::from(&*failure)
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Failure(failure) => Self::from(failure),
            Refused::Findings(findings) => Self::from(Problem {
                findings: findings.iter().map(Finding::from).collect(),
                ..Problem::new(
                    422,
                    Code::BadInput,
                    "the manifest or its component is wrong",
                    "nothing was deployed: see `findings`",
                )
            }),
            Refused::Grew(grew) => Self::from(Problem {
                grew,
                ..Problem::new(
                    409,
                    Code::BadInput,
                    "the tool would be able to do more than before",
                    "nothing was deployed: read `grew`, and send the same once more with `accept` set to the digest there",
                )
            }),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let problem = *self.0;
        let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, axum::Json(&problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"fusebox\""),
            );
        }
        if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            // Whole seconds, never fewer than were named (RFC 9110, 10.2.3).
            let seconds = problem.retry_after_ms.unwrap_or(1000).div_ceil(1000).max(1);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
