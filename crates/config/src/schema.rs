//! The JSON Schema of `pelton.yaml`, made from the types in [`crate::wire`].
use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use serde_json::{Value, json};

use crate::wire;

/// The JSON Schema (draft 2020-12) of `pelton.yaml`, for editors. [`crate::load`] checks a file against the same
/// shape, then adds the rules that a schema can't say.
pub fn schema() -> Value {
    let mut schema: Schema = shape_as_schema();
    AsWritten.transform(&mut schema);
    schema.into()
}

/// The shape of a file whose `${...}` are expanded. No references, so that it can be walked as it is.
pub(crate) fn shape() -> Value {
    shape_as_schema().into()
}

fn shape_as_schema() -> Schema {
    SchemaSettings::draft2020_12()
        .with(|settings| settings.inline_subschemas = true)
        .with_transform(WithoutNull)
        .into_generator()
        .into_root_schema_for::<wire::File>()
}

/// A key without a value is a mistake, not a way to leave the key out.
#[derive(Debug, Clone)]
struct WithoutNull;

impl Transform for WithoutNull {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        if let Some(Value::Array(kinds)) = schema.get_mut("type") {
            kinds.retain(|kind| kind != "null");
            if let [only] = &kinds[..] {
                let only = only.clone();
                schema.insert("type".into(), only);
            }
        }
        if let Some(Value::Array(values)) = schema.get_mut("enum") {
            values.retain(|value| !value.is_null());
        }
        let Some(Value::Array(choices)) = schema.get_mut("anyOf") else { return };
        choices.retain(|choice| choice["type"] != "null");
        if let [Value::Object(only)] = &choices[..] {
            let only = only.clone();
            schema.remove("anyOf");
            for (keyword, value) in only {
                if schema.get(&keyword).is_none() {
                    schema.insert(keyword, value);
                }
            }
        }
    }
}

/// What an editor sees before `${...}` is expanded, and where a plain number will do for a text.
#[derive(Debug, Clone)]
struct AsWritten;

impl Transform for AsWritten {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        let takes_only_some_values = schema.get("enum").is_some()
            || schema.get("type").is_some_and(|kind| kind == "integer" || kind == "number" || kind == "boolean");
        if takes_only_some_values {
            let mut rule = serde_json::Map::new();
            for keyword in ["type", "format", "minimum", "maximum", "enum"] {
                if let Some(value) = schema.remove(keyword) {
                    rule.insert(keyword.into(), value);
                }
            }
            schema.insert("anyOf".into(), json!([rule, {"type": "string", "pattern": "\\$\\{.+\\}"}]));
        }
        if let Some(values) = schema.get_mut("additionalProperties").and_then(Value::as_object_mut) {
            values.insert("type".into(), json!(["string", "number", "boolean"]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_as_it_is() {
        insta::assert_json_snapshot!(schema());
    }

    /// A keyword that [`crate::read`] doesn't know would be shown to editors and not enforced.
    #[test]
    fn every_keyword_is_enforced() {
        const ENFORCED: &[&str] = &[
            "type",
            "properties",
            "additionalProperties",
            "required",
            "items",
            "minItems",
            "maxItems",
            "minLength",
            "maxLength",
            "minimum",
            "maximum",
            "enum",
            "anyOf",
        ];
        const WITHOUT_RULE: &[&str] = &["$schema", "title", "description", "default", "format"];
        fn walk(schema: &Value) {
            for (keyword, value) in schema.as_object().unwrap() {
                let keyword = keyword.as_str();
                assert!(ENFORCED.contains(&keyword) || WITHOUT_RULE.contains(&keyword), "{keyword}: {value}");
                match (keyword, value) {
                    ("properties", Value::Object(properties)) => properties.values().for_each(walk),
                    ("items", _) | ("additionalProperties", Value::Object(_)) => walk(value),
                    ("anyOf", Value::Array(choices)) => choices.iter().for_each(walk),
                    _ => {}
                }
            }
        }
        walk(&shape());
    }
}
