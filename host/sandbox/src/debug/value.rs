//! A value of a guest for a person.

use fusebox_engine::ports::debugger::Value;
use wasmtime::Val;

/// Type, bits, and what they say.
pub(super) fn of(value: &Val) -> Value {
    let (kind, text, bits) = match value {
        Val::I32(value) => ("i32", value.to_string(), Some(u128::from(value.cast_unsigned()))),
        Val::I64(value) => ("i64", value.to_string(), Some(u128::from(value.cast_unsigned()))),
        Val::F32(bits) => ("f32", f32::from_bits(*bits).to_string(), Some(u128::from(*bits))),
        Val::F64(bits) => ("f64", f64::from_bits(*bits).to_string(), Some(u128::from(*bits))),
        Val::V128(value) => ("v128", format!("{:#034x}", value.as_u128()), Some(value.as_u128())),
        Val::FuncRef(None) | Val::ExternRef(None) | Val::AnyRef(None) | Val::ExnRef(None) | Val::ContRef(None) => {
            ("ref", "null".to_owned(), None)
        }
        Val::FuncRef(Some(_))
        | Val::ExternRef(Some(_))
        | Val::AnyRef(Some(_))
        | Val::ExnRef(Some(_))
        | Val::ContRef(Some(_)) => ("ref", "set".to_owned(), None),
    };
    Value {
        kind: kind.to_owned(),
        value: text,
        bits,
    }
}
