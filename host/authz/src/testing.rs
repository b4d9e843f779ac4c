//! Tools and questions for the tests of this crate.
#![allow(clippy::unwrap_used)]

use crate::schema::Tools;
use fusebox_core::component::FunctionShape;
use fusebox_core::ids::Digest;
use fusebox_engine::ports::sandbox::Input;
use std::any::Any;

/// A function with those parameters.
pub(crate) fn function(name: &str, params: &[(&str, &str)]) -> FunctionShape {
    let params = params.iter().map(|(name, ty)| ((*name).to_owned(), (*ty).to_owned()));
    FunctionShape {
        name: name.to_owned(),
        interface: None,
        params: params.collect(),
        result: None,
        error_cases: None,
    }
}

/// A bank, and a search that has nothing of it.
pub(crate) fn bank() -> Tools {
    let transfer = function(
        "transfer",
        &[("amount", "u64"), ("to-iban", "string"), ("note", "option<string>")],
    );
    let search = function("query", &[("text", "string")]);
    Tools::from([
        ("bank".to_owned(), vec![transfer, function("balance", &[])]),
        ("search".to_owned(), vec![search]),
    ])
}

/// Arguments as JSON.
pub(crate) struct JsonInput(pub(crate) &'static str);

impl Input for JsonInput {
    fn fingerprint(&self) -> Digest {
        Digest([0; 32])
    }

    fn json(&self) -> Result<String, String> {
        Ok(self.0.to_owned())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
