//! The W3C trace context of a call: whose trace it is part of (<https://www.w3.org/TR/trace-context/>).

mod state;

pub use state::{NoTraceState, TraceState};

use std::fmt;
use std::str::FromStr;

/// Where a span stands in a trace that goes beyond this process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TraceContext {
    /// The trace; never zero.
    pub trace: u128,
    /// The span that called; never zero.
    pub span: u64,
    /// Whether who called records the trace.
    pub sampled: bool,
    /// What the systems of the trace tell each other.
    pub state: Option<TraceState>,
}

/// A `traceparent` that is none. What a trace is named by is worth nothing when it is guessed, so the whole header is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a traceparent is `VERSION-TRACE-SPAN-FLAGS` in lower-case hexadecimal, such as 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
)]
pub struct NoTraceContext;

impl TraceContext {
    /// What the two headers of a request say. Without a `traceparent` there is no trace that a `tracestate` could be about; one that is
    /// malformed is left out alone.
    ///
    /// # Errors
    /// A `traceparent` that is none.
    pub fn of_headers(parent: &str, state: Option<&str>) -> Result<Self, NoTraceContext> {
        let state = state.and_then(|state| state.parse().ok());
        Ok(Self { state, ..read(parent)? })
    }

    /// The value of a `traceparent` header, version 00.
    #[must_use]
    pub fn traceparent(&self) -> String {
        let flags = u8::from(self.sampled);
        format!("00-{:032x}-{:016x}-{flags:02x}", self.trace, self.span)
    }

    /// The same span with what is known of its trace; nothing, if that is another trace.
    #[must_use]
    pub fn with_state_of(self, known: Option<&Self>) -> Self {
        let known = known.filter(|known| known.trace == self.trace);
        Self {
            state: known.and_then(|known| known.state.clone()),
            ..self
        }
    }

    /// The trace's id, 32 hexadecimal digits, as log lines and viewers of traces have it.
    #[must_use]
    pub fn trace_id(&self) -> TraceId {
        TraceId(self.trace)
    }
}

/// The id of a trace as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceId(u128);

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Display for TraceContext {
    /// Both headers as one text, as records have it: a blank before the `tracestate`, where there is one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.traceparent())?;
        self.state.iter().try_for_each(|state| write!(f, " {state}"))
    }
}

impl FromStr for TraceContext {
    type Err = NoTraceContext;

    /// Reads what [`Self`] is written as.
    fn from_str(text: &str) -> Result<Self, NoTraceContext> {
        match text.split_once(' ') {
            None => read(text),
            Some((parent, state)) => Ok(Self {
                state: Some(state.parse().map_err(|_| NoTraceContext)?),
                ..read(parent)?
            }),
        }
    }
}

/// Reads a `traceparent` header: version 00 to the letter, of later versions the part that they promise to keep.
fn read(text: &str) -> Result<TraceContext, NoTraceContext> {
    let (version, rest) = text.split_once('-').ok_or(NoTraceContext)?;
    let (trace, rest) = rest.split_once('-').ok_or(NoTraceContext)?;
    let (span, rest) = rest.split_once('-').ok_or(NoTraceContext)?;
    let (flags, more) = rest
        .split_once('-')
        .map_or((rest, None), |(flags, more)| (flags, Some(more)));
    let version = hex(version, 2)?;
    if version == 0xff || (version == 0 && more.is_some()) {
        return Err(NoTraceContext);
    }
    let span = u64::try_from(hex(span, 16)?).map_err(|_| NoTraceContext)?;
    let context = TraceContext {
        trace: hex(trace, 32)?,
        span,
        sampled: hex(flags, 2)? & 1 == 1,
        state: None,
    };
    if context.trace == 0 || context.span == 0 {
        return Err(NoTraceContext);
    }
    Ok(context)
}

/// Exactly so many digits; signs and capitals, which the standard library would take, are none.
fn hex(text: &str, digits: usize) -> Result<u128, NoTraceContext> {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if text.len() != digits || !text.bytes().all(is_digit) {
        return Err(NoTraceContext);
    }
    u128::from_str_radix(text, 16).map_err(|_| NoTraceContext)
}
