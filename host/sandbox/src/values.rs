//! JSON to WIT values and back, exactly.

mod budget;
mod decode;
mod encode;
mod misfit;
mod numbers;
mod reader;
mod writer;

use crate::fingerprint::fingerprint;
use crate::shape::Callable;
use crate::shape::wit_type::WitType;
use decode::Decoder;
pub(crate) use encode::{EncodeError, Returned, encode, encode_arguments};
use fusebox_core::ids::Digest;
use fusebox_engine::ports::sandbox::Input;
pub(crate) use misfit::Misfit;
use std::any::Any;
use std::sync::Arc;
use wasmtime::component::Val;

/// Decoded arguments of one function.
pub(crate) struct Arguments {
    function: Arc<Callable>,
    values: Vec<Val>,
    held: u64,
}

impl Arguments {
    /// Decodes a JSON object with a property for each parameter; empty text means none. What is decoded takes
    /// `host_memory` bytes at most.
    ///
    /// # Errors
    /// What does not fit, with its path: `query.filters[2].max: 300 does not fit u8`.
    pub(crate) fn decode(function: Arc<Callable>, json: &str, host_memory: u64) -> Result<Self, String> {
        match Decoder::arguments(json, &function.params, host_memory) {
            Ok((values, held)) => Ok(Self { function, values, held }),
            Err(misfit) => Err(misfit.to_string()),
        }
    }

    /// The function that these are arguments of.
    pub(crate) fn function(&self) -> &Arc<Callable> {
        &self.function
    }

    /// One value for each parameter, in their order.
    pub(crate) fn values(&self) -> &[Val] {
        &self.values
    }

    /// Bytes of the host's memory that the values take.
    pub(crate) fn held(&self) -> u64 {
        self.held
    }
}

/// Decodes one value, such as the result of a function; of a function that returns nothing, `null`. What is decoded takes `host_memory` bytes
/// at most.
///
/// # Errors
/// What does not fit, with its path.
pub(crate) fn decode(json: &str, ty: Option<&WitType>, host_memory: u64) -> Result<Option<Val>, Box<Misfit>> {
    Decoder::single(json, ty, host_memory)
}

impl Input for Arguments {
    fn fingerprint(&self) -> Digest {
        fingerprint(&self.function.params, &self.values)
    }

    fn json(&self) -> Result<String, String> {
        encode_arguments(&self.function.params, &self.values, u64::MAX).map_err(|error| error.to_string())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
