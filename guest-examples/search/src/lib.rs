//! Web search: asks an HTTP JSON API and returns the pages that it found.

use http_client::{Client, Response, encode};
use serde::Deserialize;

wit_bindgen::generate!({ path: "wit", world: "tool" });

use exports::example::search::search::{Error, Guest, Hit};

/// Pages that are asked for unless the caller says how many.
const DEFAULT_LIMIT: u32 = 10;

struct Search;

impl Guest for Search {
    fn query(text: String, limit: Option<u32>) -> Result<Vec<Hit>, Error> {
        let text = text.trim();
        if text.is_empty() {
            return Err(Error::EmptyQuery);
        }
        let limit = limit.unwrap_or(DEFAULT_LIMIT);
        let answer = Client::from_env("SEARCH_URL")?.get(&format!("/v1/query?q={}&limit={limit}", encode(text)))?;
        let found: Found = success(answer)?.json()?;
        Ok(found.results.into_iter().map(Hit::from).collect())
    }
}

export!(Search);

/// The service's answer.
#[derive(Deserialize)]
struct Found {
    results: Vec<Page>,
}

#[derive(Deserialize)]
struct Page {
    title: String,
    url: String,
    snippet: String,
}

impl From<Page> for Hit {
    fn from(page: Page) -> Self {
        Self {
            title: page.title,
            url: page.url,
            snippet: page.snippet,
        }
    }
}

fn success(answer: Response) -> Result<Response, Error> {
    match answer.status() {
        200 => Ok(answer),
        429 => Err(Error::RateLimited(answer.retry_after())),
        500.. => Err(Error::Unavailable(answer.summary())),
        _ => Err(Error::Rejected(answer.summary())),
    }
}

impl From<http_client::Error> for Error {
    fn from(error: http_client::Error) -> Self {
        use http_client::Error::{BadAnswer, BadRequest, NoAnswer, NotConfigured};
        match error {
            NoAnswer(_) | BadAnswer(_) => Self::Unavailable(error.to_string()),
            NotConfigured(_) | BadRequest(_) => Self::Rejected(error.to_string()),
        }
    }
}
