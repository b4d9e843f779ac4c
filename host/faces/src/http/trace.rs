//! The caller's trace (W3C Trace Context).

use fusebox_core::trace::TraceContext;
use http::HeaderMap;

/// What `traceparent` and `tracestate` say. A `traceparent` that is not as the recommendation writes it, or is there twice, is not heeded, and
/// its `tracestate` with it; that may stand in several headers, which are one list.
pub(super) fn trace_of(headers: &HeaderMap) -> Option<TraceContext> {
    let mut values = headers.get_all("traceparent").iter();
    let text = values.next()?.to_str().ok()?;
    if values.next().is_some() {
        return None;
    }
    let states = headers.get_all("tracestate").iter();
    let states: Option<Vec<_>> = states.map(|value| value.to_str().ok()).collect();
    let state = states
        .filter(|states| !states.is_empty())
        .map(|states| states.join(","));
    TraceContext::of_headers(text, state.as_deref()).ok()
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
        headers.append("tracestate", "a=b,c=d".parse().unwrap());
        headers.append("tracestate", "e=f".parse().unwrap());
        let told = trace_of(&headers).unwrap();
        assert_eq!(
            (told.traceparent().as_str(), told.state.unwrap().to_string().as_str()),
            (well, "a=b,c=d,e=f")
        );
        headers.append("tracestate", "a=twice".parse().unwrap());
        assert_eq!(trace_of(&headers).unwrap().to_string(), well);
        headers.append("traceparent", well.parse().unwrap());
        assert_eq!(trace_of(&headers), None);
    }
}
