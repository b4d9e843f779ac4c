//! WIT types to JSON Schema for models, in the words that every provider accepts: `type`, `properties` (always
//! present), `required`, `items` (always an object), `enum`, `anyOf`, bounds, `description`; no combinator at the root.
//! Names are spelled with `_`.

use crate::shape::Callable;
use crate::shape::wit_type::{Case, Field, Integer, Name, WitType};
use fusebox_engine::ports::sandbox::{Schemas, Spelling};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Schemas of one function; `words` describe its parameters, by their names in WIT.
pub(crate) fn schemas(function: &Callable, words: &BTreeMap<String, String>) -> Schemas {
    let mut input = object(&function.params);
    for param in &function.params {
        let properties = input.get_mut("properties");
        let property = properties.and_then(|all| all.get_mut(param.name.spelled(Spelling::Snake)));
        if let (Some(Value::Object(property)), Some(words)) = (property, words.get(param.name.kebab())) {
            describe(property, words);
        }
    }
    let result = function.result.as_ref().and_then(returned);
    let wraps = result.is_some_and(|ty| !is_object(ty));
    let output = result.map(|ty| if wraps { wrapped("result", Some(ty)) } else { schema(ty) });
    Schemas {
        input,
        output,
        wrapped: wraps,
    }
}

/// Whether every value of a type is an object of its own properties.
fn is_object(ty: &WitType) -> bool {
    match ty {
        WitType::Record(_) => true,
        WitType::Map(map) => map.0 == WitType::String,
        _ => false,
    }
}

/// What a function returns when it succeeds: a failure is told apart from its result.
fn returned(result: &WitType) -> Option<&WitType> {
    match result {
        WitType::Result(result) => result.0.as_ref(),
        ty => Some(ty),
    }
}

/// The words of a person come first, then what the type itself has to say.
fn describe(schema: &mut Map<String, Value>, words: &str) {
    let description = match schema.get("description").and_then(Value::as_str) {
        Some(own) => format!("{words} ({own})"),
        None => words.to_owned(),
    };
    schema.insert("description".to_owned(), description.into());
}

fn schema(ty: &WitType) -> Value {
    match ty {
        WitType::Bool => json!({ "type": "boolean" }),
        WitType::Integer(integer) => whole(*integer),
        WitType::F32 | WitType::F64 => json!({ "anyOf": alternatives(ty) }),
        WitType::Char => json!({ "type": "string", "description": "exactly one character" }),
        WitType::String => json!({ "type": "string" }),
        WitType::Bytes => json!({ "type": "string", "description": "bytes in base64, with padding" }),
        WitType::List(item) => json!({ "type": "array", "items": schema(item) }),
        WitType::Map(map) => keyed(&map.0, &map.1),
        WitType::Record(fields) => object(fields),
        WitType::Tuple(items) => tuple(&items.iter().collect::<Vec<_>>()),
        WitType::Enum(names) => names_of(names),
        WitType::Flags(names) => {
            json!({ "type": "array", "items": names_of(names), "description": "each at most once" })
        }
        WitType::Variant(_) | WitType::Option(_) | WitType::Result(_) => any_of(alternatives(ty)),
    }
}

/// The alternatives of a type that has several forms, without nesting those of an option's inner type.
fn alternatives(ty: &WitType) -> Vec<Value> {
    match ty {
        WitType::F32 | WitType::F64 => vec![
            json!({ "type": "number" }),
            json!({ "type": "string", "enum": ["NaN", "Infinity", "-Infinity"] }),
        ],
        WitType::Option(some) => {
            let mut forms = match **some {
                WitType::Option(_) => vec![wrapped("some", Some(some))],
                _ => alternatives(some),
            };
            forms.push(json!({ "type": "null" }));
            forms
        }
        WitType::Variant(cases) => variant(cases),
        WitType::Result(result) => vec![wrapped("ok", result.0.as_ref()), wrapped("err", result.1.as_ref())],
        _ => vec![schema(ty)],
    }
}

/// `anyOf` of several forms; a single one needs none.
fn any_of(mut forms: Vec<Value>) -> Value {
    if forms.len() == 1 {
        forms.remove(0)
    } else {
        json!({ "anyOf": forms })
    }
}

fn whole(integer: Integer) -> Value {
    let (minimum, maximum) = match integer {
        Integer::S8 => (json!(i8::MIN), json!(i8::MAX)),
        Integer::U8 => (json!(u8::MIN), json!(u8::MAX)),
        Integer::S16 => (json!(i16::MIN), json!(i16::MAX)),
        Integer::U16 => (json!(u16::MIN), json!(u16::MAX)),
        Integer::S32 => (json!(i32::MIN), json!(i32::MAX)),
        Integer::U32 => (json!(u32::MIN), json!(u32::MAX)),
        Integer::S64 => (json!(i64::MIN), json!(i64::MAX)),
        Integer::U64 => (json!(u64::MIN), json!(u64::MAX)),
    };
    json!({ "type": "integer", "minimum": minimum, "maximum": maximum })
}

/// Fields that are options may be absent.
fn object(fields: &[Field]) -> Value {
    let name = |field: &Field| field.name.spelled(Spelling::Snake).to_owned();
    let properties = fields.iter().map(|field| (name(field), schema(&field.ty)));
    let properties: Map<_, _> = properties.collect();
    let required = fields.iter().filter(|field| !matches!(field.ty, WitType::Option(_)));
    let required: Vec<_> = required.map(name).collect();
    if required.is_empty() {
        return json!({ "type": "object", "properties": properties });
    }
    json!({ "type": "object", "properties": properties, "required": required })
}

/// An object with the one property that tells what its value is.
fn wrapped(name: &str, ty: Option<&WitType>) -> Value {
    let value = ty.map_or_else(|| json!({ "type": "null" }), schema);
    json!({ "type": "object", "properties": { name: value }, "required": [name] })
}

/// An object whose keys are data, which the accepted words can only describe; or a list of pairs.
fn keyed(key: &WitType, value: &WitType) -> Value {
    if *key == WitType::String {
        let description = format!("any keys; each value is {value}");
        return json!({ "type": "object", "properties": {}, "description": description });
    }
    json!({ "type": "array", "items": tuple(&[key, value]), "description": "pairs of key and value" })
}

fn tuple(items: &[&WitType]) -> Value {
    let mut forms: Vec<Value> = Vec::new();
    for form in items.iter().flat_map(|item| alternatives(item)) {
        if !forms.contains(&form) {
            forms.push(form);
        }
    }
    let order: Vec<_> = items.iter().map(ToString::to_string).collect();
    json!({
        "type": "array",
        "items": any_of(forms),
        "minItems": items.len(),
        "maxItems": items.len(),
        "description": format!("in this order: {}", order.join(", ")),
    })
}

/// Cases without a value are strings, the others objects of one property.
fn variant(cases: &[Case]) -> Vec<Value> {
    let name = |case: &Case| case.name.spelled(Spelling::Snake).to_owned();
    let bare: Vec<_> = cases.iter().filter(|case| case.ty.is_none()).map(name).collect();
    let mut forms = Vec::new();
    if !bare.is_empty() {
        forms.push(json!({ "type": "string", "enum": bare }));
    }
    let carrying = cases.iter().filter(|case| case.ty.is_some());
    forms.extend(carrying.map(|case| wrapped(&name(case), case.ty.as_ref())));
    forms
}

fn names_of(names: &[Name]) -> Value {
    let names: Vec<_> = names.iter().map(|name| name.spelled(Spelling::Snake)).collect();
    json!({ "type": "string", "enum": names })
}

#[cfg(test)]
pub(crate) mod tests;
