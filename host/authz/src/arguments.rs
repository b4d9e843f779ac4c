//! Arguments of functions as Cedar has them: their types for the schema, their values for a decision. Both follow one table, which
//! `docs/authorization.md` shows.

use crate::wit::{self, Type};
use cedar_policy::RestrictedExpression as Value;
use fusebox_core::component::FunctionShape;
use serde_json::{Map, Value as Json};
use std::fmt::Write as _;

/// The parameters of a function, by name.
#[derive(Debug)]
pub(crate) struct Parameters(Vec<(String, Type)>);

/// Largest and smallest `decimal` of Cedar: a 64-bit integer with four digits after the point.
const DECIMAL: f64 = 922_337_203_685_477.0;

impl Parameters {
    /// The parameters of a function. A type that cannot be read, which no component has, leaves its parameter out of what rules see.
    pub(crate) fn of(shape: &FunctionShape) -> Self {
        let read = |(name, text): &(String, String)| match wit::read(text) {
            Ok(ty) => Some((name.clone(), ty)),
            Err(error) => {
                tracing::error!(
                    function = shape.name,
                    parameter = name,
                    error,
                    "rules cannot look at a parameter"
                );
                None
            }
        };
        Self(shape.params.iter().filter_map(read).collect())
    }

    /// The type of `context.input`.
    pub(crate) fn schema(&self) -> String {
        record_type(&self.0)
    }

    /// The value of `context.input`; `json` is an object with a property for each parameter, spelled as in WIT.
    ///
    /// # Errors
    /// A value that rules cannot look at, with its path.
    pub(crate) fn value(&self, json: &Json) -> Result<Value, String> {
        record(&self.0, json, "input")
    }
}

/// A name of WIT as an attribute.
fn attribute(name: &str) -> String {
    name.replace('-', "_")
}

fn record_type(fields: &[(String, Type)]) -> String {
    let mut text = "{".to_owned();
    for (name, ty) in fields {
        let (optional, ty) = match ty {
            Type::Option(some) => ("?", &**some),
            ty => ("", ty),
        };
        if let Some(ty) = cedar_type(ty) {
            let _ = write!(text, " \"{}\"{optional}: {ty},", attribute(name));
        }
    }
    text.push_str(" }");
    text
}

/// The type in a Cedar schema; `None` for maps, whose keys no schema can name.
fn cedar_type(ty: &Type) -> Option<String> {
    Some(match ty {
        Type::Bool => "Bool".to_owned(),
        Type::Integer => "Long".to_owned(),
        Type::Float => "decimal".to_owned(),
        Type::Text => "String".to_owned(),
        Type::Flags => "Set<String>".to_owned(),
        Type::List(item) => format!("Set<{}>", cedar_type(item)?),
        Type::Map => return None,
        Type::Record(fields) => record_type(fields),
        Type::Tuple(items) => record_type(&positions(items)),
        Type::Variant(cases) => record_type(&case_fields(cases)),
        Type::Option(some) => record_type(&[("some".to_owned(), optional(some))]),
        Type::Result(result) => record_type(&result_fields(&result.0, &result.1)),
    })
}

fn optional(ty: &Type) -> Type {
    Type::Option(Box::new(ty.clone()))
}

/// A tuple as a record: `_0`, `_1` and so on.
fn positions(items: &[Type]) -> Vec<(String, Type)> {
    let named = items.iter().enumerate().map(|(at, ty)| (format!("_{at}"), ty.clone()));
    named.collect()
}

/// A variant as a record: the name of its case, and what the case carries under that name.
fn case_fields(cases: &[(String, Option<Type>)]) -> Vec<(String, Type)> {
    let carried = cases
        .iter()
        .filter_map(|(name, ty)| Some((case_attribute(name), optional(ty.as_ref()?))));
    std::iter::once(("case".to_owned(), Type::Text))
        .chain(carried)
        .collect()
}

fn case_attribute(name: &str) -> String {
    if name == "case" {
        "case_".to_owned()
    } else {
        name.to_owned()
    }
}

/// A `result` as a record with `ok` or `err`; a side without a value is `true`.
fn result_fields(ok: &Option<Type>, err: &Option<Type>) -> Vec<(String, Type)> {
    let side = |ty: &Option<Type>| optional(ty.as_ref().unwrap_or(&Type::Bool));
    vec![("ok".to_owned(), side(ok)), ("err".to_owned(), side(err))]
}

fn record(fields: &[(String, Type)], json: &Json, path: &str) -> Result<Value, String> {
    let object = json.as_object().ok_or_else(|| unlike(path))?;
    let mut pairs = Vec::with_capacity(fields.len());
    for (name, ty) in fields {
        let path = format!("{path}.{name}");
        let ty = match (ty, object.get(name)) {
            (Type::Option(_), None | Some(Json::Null)) => continue,
            (Type::Option(some), Some(_)) => some,
            (ty, Some(_)) => ty,
            (_, None) => return Err(unlike(&path)),
        };
        // What the schema leaves out is left out here too.
        if cedar_type(ty).is_none() {
            continue;
        }
        let given = object.get(name).unwrap_or(&Json::Null);
        pairs.push((attribute(name), value(ty, unwrapped(ty, given), &path)?));
    }
    Value::new_record(pairs).map_err(|error| format!("`{path}`: {error}"))
}

/// An option that is nested in an option is written `{"some": v}`.
fn unwrapped<'a>(ty: &Type, json: &'a Json) -> &'a Json {
    match (ty, json) {
        (Type::Option(_), Json::Object(object)) if object.len() == 1 => object.get("some").unwrap_or(json),
        _ => json,
    }
}

fn value(ty: &Type, json: &Json, path: &str) -> Result<Value, String> {
    let unlike = || unlike(path);
    Ok(match ty {
        Type::Bool => Value::new_bool(json.as_bool().ok_or_else(unlike)?),
        Type::Integer => Value::new_long(long(json).ok_or_else(unlike)?),
        Type::Float => Value::new_decimal(decimal(json, path)?),
        Type::Text => Value::new_string(json.as_str().ok_or_else(unlike)?.to_owned()),
        Type::Flags => set(&Type::Text, json, path)?,
        Type::List(item) => set(item, json, path)?,
        Type::Map => return Err(unlike()),
        Type::Record(fields) => record(fields, json, path)?,
        Type::Tuple(items) => {
            let given = json.as_array().ok_or_else(unlike)?;
            let named = given
                .iter()
                .enumerate()
                .map(|(at, item)| (format!("_{at}"), item.clone()));
            record(&positions(items), &Json::Object(named.collect()), path)?
        }
        Type::Variant(cases) => variant(cases, json, path)?,
        Type::Option(some) => {
            let inner = match json {
                Json::Null => Map::new(),
                json => Map::from_iter([("some".to_owned(), json.clone())]),
            };
            record(&[("some".to_owned(), optional(some))], &Json::Object(inner), path)?
        }
        Type::Result(result) => {
            let mut given = json.as_object().ok_or_else(unlike)?.clone();
            for side in given.values_mut().filter(|side| side.is_null()) {
                *side = Json::Bool(true);
            }
            record(&result_fields(&result.0, &result.1), &Json::Object(given), path)?
        }
    })
}

/// A case is text when it carries nothing, else an object of one property.
fn variant(cases: &[(String, Option<Type>)], json: &Json, path: &str) -> Result<Value, String> {
    let (case, carried) = match json {
        Json::String(case) => (case, None),
        Json::Object(object) => {
            let (case, carried) = object.iter().next().ok_or_else(|| unlike(path))?;
            (case, Some(carried))
        }
        _ => return Err(unlike(path)),
    };
    let mut fields = Map::from_iter([("case".to_owned(), Json::String(case.clone()))]);
    if let Some(carried) = carried {
        fields.insert(case_attribute(case), carried.clone());
    }
    record(&case_fields(cases), &Json::Object(fields), path)
}

fn set(item: &Type, json: &Json, path: &str) -> Result<Value, String> {
    let items = json.as_array().ok_or_else(|| unlike(path))?;
    let values = items
        .iter()
        .enumerate()
        .map(|(at, json)| value(item, json, &format!("{path}[{at}]")));
    Ok(Value::new_set(values.collect::<Result<Vec<_>, _>>()?))
}

/// Integers that Cedar has no room for are the largest that it has: no comparison with a limit is won by being too large.
fn long(json: &Json) -> Option<i64> {
    json.as_i64().or_else(|| json.as_u64().map(|_| i64::MAX))
}

/// A float with four digits after the point, rounded away from zero: a value that is above a limit stays above it.
fn decimal(json: &Json, path: &str) -> Result<String, String> {
    let number = json
        .as_f64()
        .ok_or_else(|| format!("`{path}` is {json}, which rules cannot compare with anything"))?;
    let scaled = number.clamp(-DECIMAL, DECIMAL) * 10_000.0;
    let rounded = if (scaled - scaled.round()).abs() < f64::EPSILON * scaled.abs() * 4.0 {
        // What is a decimal already, as far as a float can tell.
        scaled.round()
    } else if scaled < 0.0 {
        scaled.floor()
    } else {
        scaled.ceil()
    };
    Ok(format!("{:.4}", rounded / 10_000.0))
}

fn unlike(path: &str) -> String {
    format!("`{path}` is not what its type says")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use serde_json::json;

    fn parameters(params: &[(&str, &str)]) -> Parameters {
        let params = params.iter().map(|(name, ty)| ((*name).to_owned(), (*ty).to_owned()));
        Parameters::of(&FunctionShape {
            name: "f".to_owned(),
            interface: None,
            params: params.collect(),
            result: None,
            error_cases: None,
        })
    }

    /// Whether Cedar finds the condition true of the arguments.
    fn holds(params: &[(&str, &str)], input: Json, condition: &str) -> bool {
        let input = parameters(params).value(&input).unwrap();
        let context = cedar_policy::Context::from_pairs([("input".to_owned(), input)]).unwrap();
        let policy = format!("permit(principal, action, resource) when {{ {condition} }};");
        let policies: cedar_policy::PolicySet = policy.parse().unwrap();
        let uid = |text: &str| text.parse().unwrap();
        let request = cedar_policy::Request::new(uid("U::\"a\""), uid("Action::\"a\""), uid("R::\"a\""), context, None);
        let answer = cedar_policy::Authorizer::new().is_authorized(
            &request.unwrap(),
            &policies,
            &cedar_policy::Entities::empty(),
        );
        assert_eq!(answer.diagnostics().errors().count(), 0, "{condition}");
        answer.decision() == cedar_policy::Decision::Allow
    }

    #[test]
    fn values_and_types_of_every_form_agree() {
        let params = [
            ("amount", "u64"),
            ("to-iban", "string"),
            ("note", "option<string>"),
            ("tags", "list<string>"),
            ("rate", "f64"),
            ("way", "variant { fast, slow(record { days: u8 }), case(u8) }"),
            ("pair", "tuple<u8, string>"),
            ("deep", "option<option<u8>>"),
            ("may", "list<option<u8>>"),
            ("end", "result<_, string>"),
            ("rights", "flags { read, write }"),
            ("extra", "map<string, u8>"),
        ];
        let input = json!({
            "amount": 5000, "to-iban": "DE", "note": null, "tags": ["a", "b"], "rate": 0.25, "way": {"slow": {"days": 3}},
            "pair": [1, "x"], "deep": {"some": 7}, "may": [1, null], "end": {"ok": null}, "rights": ["read"], "extra": {"k": 1},
        });
        let conditions = [
            "context.input.amount > 4999 && context.input.amount < 5001",
            "context.input.to_iban == \"DE\" && !(context.input has note)",
            "context.input.tags.contains(\"a\") && context.input.tags.containsAll([\"a\", \"b\"])",
            "context.input.rate.lessThan(decimal(\"0.2501\"))",
            "context.input.way.case == \"slow\" && context.input.way.slow.days == 3",
            "context.input.pair._0 == 1 && context.input.pair._1 == \"x\"",
            "context.input.deep.some == 7",
            "context.input.may.contains({some: 1}) && context.input.may.contains({})",
            "context.input.end.ok && !(context.input.end has err)",
            "context.input.rights == [\"read\"]",
            "!(context.input has extra)",
        ];
        for condition in conditions {
            assert!(holds(&params, input.clone(), condition), "{condition}");
        }
        let schema = parameters(&params).schema();
        for part in [
            "\"amount\": Long",
            "\"to_iban\": String",
            "\"note\"?: String",
            "\"tags\": Set<String>",
            "\"rate\": decimal",
            "\"way\": { \"case\": String, \"slow\"?: { \"days\": Long, }, \"case_\"?: Long, }",
            "\"pair\": { \"_0\": Long, \"_1\": String, }",
            "\"deep\"?: { \"some\"?: Long, }",
            "\"may\": Set<{ \"some\"?: Long, }>",
            "\"end\": { \"ok\"?: Bool, \"err\"?: String, }",
            "\"rights\": Set<String>",
        ] {
            assert!(schema.contains(part), "{part} in {schema}");
        }
        assert!(!schema.contains("extra"));
    }

    #[test]
    fn a_number_that_cedar_has_no_room_for_never_falls_below_a_limit() {
        let amount = [("amount", "u64")];
        assert!(holds(
            &amount,
            json!({"amount": u64::MAX}),
            "context.input.amount > 1000000"
        ));
        let rate = [("rate", "f64")];
        let above = "context.input.rate.greaterThan(decimal(\"1000.0\"))";
        assert!(holds(&rate, json!({"rate": 1_000.000_001}), above));
        assert!(!holds(&rate, json!({"rate": 1000.0}), above));
        assert!(holds(&rate, json!({"rate": 1e300}), above));
        assert!(holds(
            &rate,
            json!({"rate": 0.1}),
            "context.input.rate == decimal(\"0.1\")"
        ));
        let below = "context.input.rate.lessThan(decimal(\"-1000.0\"))";
        assert!(holds(&rate, json!({"rate": -1_000.000_001}), below));
        let refused = parameters(&rate).value(&json!({"rate": "NaN"})).unwrap_err();
        assert!(refused.contains("input.rate"), "{refused}");
    }
}
