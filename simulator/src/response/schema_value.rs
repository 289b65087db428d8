//! Generates a JSON value that satisfies a JSON schema, from the user's text where it fits.

use serde_json::{Map, Number, Value, json};

use crate::prompt::list;

/// Depth below which only required members are generated, because a schema may be recursive.
const MAX_OPTIONAL_DEPTH: usize = 6;

struct Generator<'a> {
    root: &'a Value,
    prompt: &'a str,
    random: &'a mut fastrand::Rng,
}

/// Returns a value of `schema`.
pub(super) fn generate(schema: &Value, prompt: &str, random: &mut fastrand::Rng) -> Value {
    Generator { root: schema, prompt, random }.value(schema, "value", 0)
}

// === impl Generator ===

impl Generator<'_> {
    fn value(&mut self, schema: &Value, name: &str, depth: usize) -> Value {
        if let Some(target) = schema["$ref"].as_str() {
            let target = target.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer)).cloned();
            return if depth > 2 * MAX_OPTIONAL_DEPTH {
                Value::Null
            } else {
                self.value(&target.unwrap_or(Value::Null), name, depth + 1)
            };
        }
        if let Some(constant) = schema.get("const") {
            return constant.clone();
        }
        if let Some(value) = self.random.choice(list(schema, "enum")) {
            return value.clone();
        }
        if let Some(alternative) = self.alternative(schema, depth) {
            return self.value(&alternative, name, depth + 1);
        }
        match schema_type(schema) {
            "object" => self.object(schema, depth),
            "array" => self.array(schema, name, depth),
            "integer" => Value::from(self.number(schema, 1.0).round() as i64),
            "number" => Number::from_f64(self.number(schema, 0.5)).map_or(json!(1), Value::Number),
            "boolean" => Value::Bool(self.random.bool()),
            "null" => Value::Null,
            _ => Value::String(self.text(schema, name)),
        }
    }

    /// Returns the first alternative, or a scalar one beyond the optional depth. Absent: no alternatives.
    fn alternative(&self, schema: &Value, depth: usize) -> Option<Value> {
        let lists = ["anyOf", "oneOf", "allOf"].into_iter().map(|member| list(schema, member));
        let alternatives = lists.into_iter().find(|alternatives| !alternatives.is_empty())?;
        let is_scalar =
            |schema: &&Value| matches!(schema["type"].as_str(), Some("null" | "string" | "integer"));
        let scalar = alternatives.iter().find(|schema| depth > MAX_OPTIONAL_DEPTH && is_scalar(schema));
        scalar.or(alternatives.first()).cloned()
    }

    fn object(&mut self, schema: &Value, depth: usize) -> Value {
        let required: Vec<&str> = list(schema, "required").iter().filter_map(Value::as_str).collect();
        let mut members = Map::new();
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            if depth < MAX_OPTIONAL_DEPTH || required.contains(&name.as_str()) {
                members.insert(name.clone(), self.value(property, name, depth + 1));
            }
        }
        Value::Object(members)
    }

    fn array(&mut self, schema: &Value, name: &str, depth: usize) -> Value {
        let min = schema["minItems"].as_u64().unwrap_or(0);
        let count = if depth < MAX_OPTIONAL_DEPTH { min.max(1) } else { min };
        let count = count.min(schema["maxItems"].as_u64().unwrap_or(u64::MAX));
        (0..count).map(|_| self.value(&schema["items"], name, depth + 1)).collect()
    }

    /// Returns the first number of the user's text, or else 1, moved into the bounds of the schema.
    fn number(&self, schema: &Value, step: f64) -> f64 {
        let min =
            schema["minimum"].as_f64().or(schema["exclusiveMinimum"].as_f64().map(|bound| bound + step));
        let max =
            schema["maximum"].as_f64().or(schema["exclusiveMaximum"].as_f64().map(|bound| bound - step));
        let numbers = self.prompt.split(|c: char| !c.is_ascii_digit() && c != '.');
        let number = numbers.filter_map(|text| text.parse::<f64>().ok()).next().unwrap_or(1.0);
        let bounded = number.max(min.unwrap_or(f64::MIN)).min(max.unwrap_or(f64::MAX));
        match schema["multipleOf"].as_f64().filter(|unit| *unit > 0.0) {
            Some(unit) => (bounded / unit).ceil() * unit,
            None => bounded,
        }
    }

    fn text(&self, schema: &Value, name: &str) -> String {
        let text = match schema["format"].as_str() {
            Some("date") => "2026-01-15".to_owned(),
            Some("date-time") => "2026-01-15T09:30:00Z".to_owned(),
            Some("time") => "09:30:00".to_owned(),
            Some("email") => "someone@example.com".to_owned(),
            Some("uri") => "https://example.com/".to_owned(),
            Some("uuid") => "00000000-0000-4000-8000-000000000000".to_owned(),
            _ => self.text_from_prompt(name),
        };
        let max =
            schema["maxLength"].as_u64().and_then(|max| usize::try_from(max).ok()).unwrap_or(usize::MAX);
        let min = schema["minLength"].as_u64().and_then(|min| usize::try_from(min).ok()).unwrap_or(0);
        let mut text: String = text.chars().take(max).collect();
        while text.chars().count() < min {
            text.push('.');
        }
        text
    }

    /// Returns a quoted phrase of the user's text, or else a capitalized word, or else a placeholder with the
    /// property's name.
    fn text_from_prompt(&self, name: &str) -> String {
        let quoted = self.prompt.split(['"', '“', '”']).nth(1).filter(|text| !text.is_empty());
        let words = self.prompt.split_whitespace().skip(1);
        let words = words.map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()));
        let capitalized =
            words.filter(|word| word.chars().count() > 2).find(|word| word.starts_with(char::is_uppercase));
        quoted.or(capitalized).map_or_else(|| format!("simulated {name}"), str::to_owned)
    }
}

fn schema_type(schema: &Value) -> &str {
    let listed = list(schema, "type").iter().filter_map(Value::as_str).find(|name| *name != "null");
    let implied = if schema.get("properties").is_some() { "object" } else { "string" };
    schema["type"].as_str().or(listed).unwrap_or(implied)
}
