//! The W3C trace context of a call: whose trace it is part of (<https://www.w3.org/TR/trace-context/>).

use std::fmt;
use std::str::FromStr;

/// Where a span stands in a trace that goes beyond this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceContext {
    /// The trace; never zero.
    pub trace: u128,
    /// The span that called; never zero.
    pub span: u64,
    /// Whether who called records the trace.
    pub sampled: bool,
}

/// A `traceparent` that is none. What a trace is named by is worth nothing when it is guessed, so the whole header is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a traceparent is `VERSION-TRACE-SPAN-FLAGS` in lower-case hexadecimal, such as 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
)]
pub struct NoTraceContext;

impl TraceContext {
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
    /// The value of a `traceparent` header, version 00.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = u8::from(self.sampled);
        write!(f, "00-{:032x}-{:016x}-{flags:02x}", self.trace, self.span)
    }
}

impl FromStr for TraceContext {
    type Err = NoTraceContext;

    /// Reads a `traceparent` header: version 00 to the letter, of later versions the part that they promise to keep.
    fn from_str(text: &str) -> Result<Self, NoTraceContext> {
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
        let context = Self {
            trace: hex(trace, 32)?,
            span,
            sampled: hex(flags, 2)? & 1 == 1,
        };
        if context.trace == 0 || context.span == 0 {
            return Err(NoTraceContext);
        }
        Ok(context)
    }
}

/// Exactly so many digits; signs and capitals, which the standard library would take, are none.
fn hex(text: &str, digits: usize) -> Result<u128, NoTraceContext> {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if text.len() != digits || !text.bytes().all(is_digit) {
        return Err(NoTraceContext);
    }
    u128::from_str_radix(text, 16).map_err(|_| NoTraceContext)
}
