//! JSON to values and back as one writes it first: a tree of JSON in between, and only the types that the component has.

use anyhow::{Context as _, Result, bail};
use serde_json::{Map, Value};
use wasmtime::component::{Type, Val};

/// The value of that type.
///
/// # Errors
/// That the JSON is not of the type, or that the component never has such a type.
pub(super) fn to_val(ty: &Type, json: &Value) -> Result<Val> {
    let unfit = || format!("{json} is not of its type");
    Ok(match ty {
        Type::S32 => Val::S32(json.as_i64().with_context(unfit)?.try_into()?),
        Type::String => Val::String(json.as_str().with_context(unfit)?.to_owned()),
        Type::List(list) => {
            let item = list.ty();
            let items = json.as_array().with_context(unfit)?;
            Val::List(items.iter().map(|json| to_val(&item, json)).collect::<Result<_>>()?)
        }
        Type::Record(record) => {
            let object = json.as_object().with_context(unfit)?;
            let field = |name: &str| object.get(name).unwrap_or(&Value::Null);
            let fields = record.fields();
            let fields = fields.map(|of| Ok((of.name.to_owned(), to_val(&of.ty, field(of.name))?)));
            Val::Record(fields.collect::<Result<_>>()?)
        }
        _ => bail!("the component has no other types"),
    })
}

/// The JSON of a value.
///
/// # Errors
/// That the component never returns such a value.
pub(super) fn from_val(val: &Val) -> Result<Value> {
    Ok(match val {
        Val::S32(number) => Value::from(*number),
        Val::String(text) => Value::from(text.as_str()),
        Val::List(items) => Value::Array(items.iter().map(from_val).collect::<Result<_>>()?),
        Val::Record(fields) => {
            let fields = fields.iter().map(|(name, val)| Ok((name.clone(), from_val(val)?)));
            Value::Object(fields.collect::<Result<Map<_, _>>>()?)
        }
        _ => bail!("the component returns nothing else"),
    })
}
