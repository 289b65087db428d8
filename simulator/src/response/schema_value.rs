//! A value that satisfies a JSON schema, filled from the user's words where they fit.

use serde_json::{Map, Number, Value, json};

use crate::prompt::list;

/// Schemas may refer to themselves; below this depth only what is required is written.
const DEEP: usize = 6;

struct Maker<'a> {
    root: &'a Value,
    words: &'a str,
    random: &'a mut fastrand::Rng,
}

/// An instance of `schema`.
pub(super) fn of(schema: &Value, words: &str, random: &mut fastrand::Rng) -> Value {
    Maker { root: schema, words, random }.value(schema, "value", 0)
}

// === impl Maker ===

impl Maker<'_> {
    fn value(&mut self, schema: &Value, name: &str, depth: usize) -> Value {
        if let Some(target) = schema["$ref"].as_str() {
            let target = target.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer)).cloned();
            return if depth > 2 * DEEP {
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
        if let Some(option) = self.option(schema, depth) {
            return self.value(&option, name, depth + 1);
        }
        match kind(schema) {
            "object" => self.object(schema, depth),
            "array" => self.array(schema, name, depth),
            "integer" => Value::from(self.number(schema, 1.0).round() as i64),
            "number" => Number::from_f64(self.number(schema, 0.5)).map_or(json!(1), Value::Number),
            "boolean" => Value::Bool(self.random.bool()),
            "null" => Value::Null,
            _ => Value::String(self.text(schema, name)),
        }
    }

    /// The first alternative, or when already deep the one that ends soonest.
    fn option(&self, schema: &Value, depth: usize) -> Option<Value> {
        let options = ["anyOf", "oneOf", "allOf"].into_iter().map(|member| list(schema, member));
        let options = options.into_iter().find(|options| !options.is_empty())?;
        let ends = |option: &&Value| matches!(option["type"].as_str(), Some("null" | "string" | "integer"));
        options.iter().find(|option| depth > DEEP && ends(option)).or(options.first()).cloned()
    }

    fn object(&mut self, schema: &Value, depth: usize) -> Value {
        let required: Vec<&str> = list(schema, "required").iter().filter_map(Value::as_str).collect();
        let mut members = Map::new();
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            if depth < DEEP || required.contains(&name.as_str()) {
                members.insert(name.clone(), self.value(property, name, depth + 1));
            }
        }
        Value::Object(members)
    }

    fn array(&mut self, schema: &Value, name: &str, depth: usize) -> Value {
        let least = schema["minItems"].as_u64().unwrap_or(0);
        let wanted = if depth < DEEP { least.max(1) } else { least };
        let count = wanted.min(schema["maxItems"].as_u64().unwrap_or(u64::MAX));
        (0..count).map(|_| self.value(&schema["items"], name, depth + 1)).collect()
    }

    /// A number the user wrote, if it fits; otherwise the nearest bound.
    fn number(&self, schema: &Value, step: f64) -> f64 {
        let least =
            schema["minimum"].as_f64().or(schema["exclusiveMinimum"].as_f64().map(|bound| bound + step));
        let most =
            schema["maximum"].as_f64().or(schema["exclusiveMaximum"].as_f64().map(|bound| bound - step));
        let written = self.words.split(|c: char| !c.is_ascii_digit() && c != '.');
        let said = written.filter_map(|word| word.parse::<f64>().ok()).next().unwrap_or(1.0);
        let bounded = said.max(least.unwrap_or(f64::MIN)).min(most.unwrap_or(f64::MAX));
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
            _ => self.said_for(name),
        };
        let most =
            schema["maxLength"].as_u64().and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX);
        let least = schema["minLength"].as_u64().and_then(|least| usize::try_from(least).ok()).unwrap_or(0);
        let mut text: String = text.chars().take(most).collect();
        while text.chars().count() < least {
            text.push('.');
        }
        text
    }

    /// A quoted phrase, else a name the user wrote, else a placeholder that names the property.
    fn said_for(&self, name: &str) -> String {
        let quoted = self.words.split(['"', '“', '”']).nth(1).filter(|text| !text.is_empty());
        let names = self.words.split_whitespace().skip(1);
        let named = names.map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()));
        let named =
            named.filter(|word| word.chars().count() > 2).find(|word| word.starts_with(char::is_uppercase));
        quoted.or(named).map_or_else(|| format!("simulated {name}"), str::to_owned)
    }
}

fn kind(schema: &Value) -> &str {
    let listed = list(schema, "type").iter().filter_map(Value::as_str).find(|kind| *kind != "null");
    let implied = if schema.get("properties").is_some() { "object" } else { "string" };
    schema["type"].as_str().or(listed).unwrap_or(implied)
}
