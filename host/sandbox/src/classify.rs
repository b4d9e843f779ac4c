//! How an attempt ended, told by the types of errors and never by their text.

use crate::deadline::Ended;
use crate::limits::Refusal;
use crate::linking::{CallFailed, Unfit};
use crate::pump::{Deadlock, WrongAnswer};
use fusebox_engine::ports::sandbox::{AttemptEnd, Limit, Stopped};
use wasmtime::component::ResourceTableError;
use wasmtime::{Error, PoolConcurrencyLimitError, Trap};
use wasmtime_wasi::I32Exit;

/// Arguments that were decoded by another component: its functions are not found in this one.
#[derive(Debug, thiserror::Error)]
#[error("the input was decoded by another component")]
pub(crate) struct Foreign;

/// The end of an attempt whose guest was stopped by `error`; `refused` is the limit that was reached before.
pub(crate) fn end(error: &Error, refused: Option<Refusal>) -> AttemptEnd {
    if let Some(ended) = error.downcast_ref::<Ended>() {
        return ended_early(*ended);
    }
    if error.is::<Stopped>() {
        return AttemptEnd::Stopped;
    }
    if let Some(exit) = error.downcast_ref::<I32Exit>() {
        return AttemptEnd::Exit { code: exit.0 };
    }
    if let Some(foreign) = error.downcast_ref::<Foreign>() {
        return AttemptEnd::Host {
            message: foreign.to_string(),
        };
    }
    if error.is::<PoolConcurrencyLimitError>() {
        return AttemptEnd::Host {
            message: "the instance pool is full; raise its size or lower `limits.concurrency`".to_owned(),
        };
    }
    if error.is::<CallFailed>() {
        return AttemptEnd::CallFailed;
    }
    if let Some(unfit) = error.downcast_ref::<Unfit>() {
        return AttemptEnd::Host {
            message: unfit.to_string(),
        };
    }
    if error.is::<WrongAnswer>() {
        return AttemptEnd::Host {
            message: WrongAnswer.to_string(),
        };
    }
    if let Some(Refusal { limit, message }) = refused {
        return AttemptEnd::Limit { limit, message };
    }
    if let Some(ResourceTableError::Full) = error.downcast_ref() {
        return AttemptEnd::Limit {
            limit: Limit::HostMemory,
            message: "the guest holds more host resources than the host keeps for one run".to_owned(),
        };
    }
    if error.is::<Deadlock>() {
        return AttemptEnd::Trap {
            trap: "deadlock".to_owned(),
        };
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => AttemptEnd::Limit {
            limit: Limit::Fuel,
            message: "the guest used up `limits.fuel`".to_owned(),
        },
        Some(trap) => AttemptEnd::Trap { trap: name(*trap) },
        None => AttemptEnd::Abi {
            message: error.root_cause().to_string(),
        },
    }
}

/// The end of an attempt that ran into its time, or was cancelled.
pub(crate) fn ended_early(ended: Ended) -> AttemptEnd {
    match ended {
        Ended::Timeout => AttemptEnd::Timeout,
        Ended::Cancelled => AttemptEnd::Cancelled,
    }
}

/// The name of a trap as output and stored letters have it.
pub(crate) fn name(trap: Trap) -> String {
    let known = match trap {
        Trap::StackOverflow => "stack-overflow",
        Trap::MemoryOutOfBounds => "memory-out-of-bounds",
        Trap::HeapMisaligned => "misaligned-atomic",
        Trap::TableOutOfBounds => "table-out-of-bounds",
        Trap::IndirectCallToNull => "call-of-null",
        Trap::BadSignature => "bad-signature",
        Trap::IntegerOverflow => "integer-overflow",
        Trap::IntegerDivisionByZero => "division-by-zero",
        Trap::BadConversionToInteger => "bad-conversion-to-integer",
        Trap::UnreachableCodeReached => "unreachable",
        Trap::NullReference => "null-reference",
        Trap::CannotEnterComponent => "cannot-enter-component",
        Trap::CannotLeaveComponent => "cannot-leave-component",
        // The runtime's own words for the rest, which guests of today's toolchains do not meet.
        other => return other.to_string().trim_start_matches("wasm trap: ").to_owned(),
    };
    known.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal() -> Refusal {
        Refusal {
            limit: Limit::Memory,
            message: "too much".to_owned(),
        }
    }

    #[test]
    fn a_trap_after_a_refusal_is_the_limit() {
        let trap = Error::from(Trap::UnreachableCodeReached);
        assert_eq!(
            end(&trap, None),
            AttemptEnd::Trap {
                trap: "unreachable".to_owned()
            }
        );
        let limit = AttemptEnd::Limit {
            limit: Limit::Memory,
            message: "too much".to_owned(),
        };
        assert_eq!(end(&trap, Some(refusal())), limit);
    }

    #[test]
    fn the_end_of_time_wins_over_what_the_guest_ran_into_before() {
        let context = Error::from(Ended::Timeout).context("in a host call");
        assert_eq!(end(&context, Some(refusal())), AttemptEnd::Timeout);
        assert_eq!(end(&Error::from(Ended::Cancelled), None), AttemptEnd::Cancelled);
    }

    #[test]
    fn an_exit_is_no_trap_and_an_unknown_error_breaks_the_abi() {
        assert_eq!(end(&Error::from(I32Exit(3)), None), AttemptEnd::Exit { code: 3 });
        let unknown = Error::msg("realloc returned nonsense");
        assert!(matches!(end(&unknown, None), AttemptEnd::Abi { message } if message.contains("nonsense")));
    }
}
