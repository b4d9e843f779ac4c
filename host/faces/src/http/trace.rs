//! The caller's trace (W3C Trace Context).

use fusebox_core::trace::TraceContext;
use http::HeaderMap;

/// What `traceparent` says; one that is not as the recommendation writes it, or is there twice, is not heeded.
pub(super) fn trace_of(headers: &HeaderMap) -> Option<TraceContext> {
    let mut values = headers.get_all("traceparent").iter();
    let text = values.next()?.to_str().ok()?;
    match values.next() {
        Some(_) => None,
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_one_well_formed_header_is_heeded() {
        let well = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let mut headers = HeaderMap::new();
        assert_eq!(trace_of(&headers), None);
        headers.insert("traceparent", "4bf92f3577b34da6a3ce929d0e0e4736".parse().unwrap());
        assert_eq!(trace_of(&headers), None);
        headers.insert("traceparent", well.parse().unwrap());
        assert_eq!(trace_of(&headers).unwrap().to_string(), well);
        headers.append("traceparent", well.parse().unwrap());
        assert_eq!(trace_of(&headers), None);
    }
}
