//! Where on a host something is: segments of a path and a query, each encoded on its own.

use reqwest::Url;

/// A path below the host's address.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    segments: Vec<String>,
    query: Vec<(&'static str, String)>,
}

/// The place of those segments below `/v1`.
pub(super) fn at<const N: usize>(segments: [&str; N]) -> Place {
    let below = std::iter::once("v1").chain(segments);
    Place {
        segments: below.map(str::to_owned).collect(),
        query: Vec::new(),
    }
}

impl Place {
    /// The same place with a value in its query.
    pub(super) fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.query.push((name, value.to_string()));
        self
    }

    /// The same place with a value in its query, when there is one.
    pub(super) fn maybe(self, name: &'static str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Its address on that host.
    pub(super) fn on(&self, base: &Url) -> Url {
        let mut url = base.clone();
        // A base with a host, which `Connection::open` has seen to, has a path.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(&self.segments);
        }
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        url
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_cannot_leave_their_place() {
        let base = Url::parse("https://fusebox.example:7717/below").unwrap();
        let url = at(["breakers", "search/../x?y#z", "open"]).with("limit", 5).on(&base);
        assert_eq!(
            url.as_str(),
            "https://fusebox.example:7717/below/v1/breakers/search%2F..%2Fx%3Fy%23z/open?limit=5"
        );
        let root = Url::parse("http://127.0.0.1:1").unwrap();
        assert_eq!(
            at(["tools"]).maybe("after", None::<&str>).on(&root).as_str(),
            "http://127.0.0.1:1/v1/tools"
        );
    }
}
