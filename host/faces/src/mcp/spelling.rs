//! Stored results in the spelling of models: a run that another face began, or that a worker went on with, wrote `max-items`.

use serde_json::{Map, Value};

/// A result with the names that its schema has.
pub(super) fn as_schema(value: Value, schema: &Value) -> Value {
    let forms = schema.get("anyOf").and_then(Value::as_array);
    if let Some(forms) = forms {
        let form = forms.iter().find(|form| is_of(&value, form));
        return match form {
            Some(form) => as_schema(value, form),
            None => value,
        };
    }
    match value {
        Value::Object(fields) => Value::Object(object(fields, schema)),
        Value::Array(items) => match schema.get("items") {
            Some(item) => items.into_iter().map(|value| as_schema(value, item)).collect(),
            None => Value::Array(items),
        },
        Value::String(text) => Value::String(known(schema, &text).unwrap_or(text)),
        value => value,
    }
}

/// Keys that are data are in no `properties`, and stay.
fn object(fields: Map<String, Value>, schema: &Value) -> Map<String, Value> {
    let properties = schema.get("properties").and_then(Value::as_object);
    let respelled = fields.into_iter().map(|(name, value)| {
        let snake = name.replace('-', "_");
        match properties.and_then(|properties| properties.get(&snake)) {
            Some(property) => (snake, as_schema(value, property)),
            None => (name, value),
        }
    });
    respelled.collect()
}

/// The name of an enum, or of a case without a value.
fn known(schema: &Value, text: &str) -> Option<String> {
    let names = schema.get("enum")?.as_array()?;
    let snake = text.replace('-', "_");
    names.iter().any(|name| name.as_str() == Some(&snake)).then_some(snake)
}

/// Whether a value has this form, as far as its names tell.
fn is_of(value: &Value, form: &Value) -> bool {
    let kind = form.get("type").and_then(Value::as_str);
    match value {
        Value::Null => kind == Some("null"),
        Value::Bool(_) => kind == Some("boolean"),
        Value::Number(_) => matches!(kind, Some("integer" | "number")),
        Value::String(text) => kind == Some("string") && (form.get("enum").is_none() || known(form, text).is_some()),
        Value::Array(_) => kind == Some("array"),
        Value::Object(fields) => {
            let properties = form.get("properties").and_then(Value::as_object);
            let has = |name: &String| properties.is_some_and(|all| all.contains_key(&name.replace('-', "_")));
            kind == Some("object") && (properties.is_some_and(Map::is_empty) || fields.keys().all(has))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_of_the_schema_are_respelled_and_data_is_not() {
        let schema = json!({ "type": "object", "properties": {
            "max_items": { "type": "integer" },
            "sort_by": { "type": "string", "enum": ["last_seen", "name"] },
            "labels": { "type": "object", "properties": {} },
            "text": { "type": "string" },
            "owner": { "anyOf": [
                { "type": "object", "properties": { "user_id": { "type": "integer" } } },
                { "type": "object", "properties": { "team_name": { "type": "string" } } },
                { "type": "null" },
            ] },
            "rows": { "type": "array", "items": { "type": "object", "properties": { "row_id": {} } } },
        } });
        let kebab = json!({
            "max-items": 3, "sort-by": "last-seen", "labels": { "my-key": 1 }, "text": "last-seen",
            "owner": { "team-name": "a-b" }, "rows": [{ "row-id": 1 }],
        });
        let snake = json!({
            "max_items": 3, "sort_by": "last_seen", "labels": { "my-key": 1 }, "text": "last-seen",
            "owner": { "team_name": "a-b" }, "rows": [{ "row_id": 1 }],
        });
        assert_eq!(as_schema(kebab, &schema), snake);
        assert_eq!(as_schema(snake.clone(), &schema), snake);
    }
}
