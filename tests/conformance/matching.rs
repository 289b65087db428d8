//! Compares a reply with the expectation of a scenario.
//!
//! Every expected member must be present and equal; other members are ignored. Lists are compared item by
//! item. A matcher, which is an object with one member, can replace a value:
//!
//! | matcher | matches |
//! |---|---|
//! | `{"$exists": true}` | any value that is present |
//! | `{"$absent": true}` | an absent value |
//! | `{"$starts": "a"}`, `{"$holds": "a"}` | text that starts with it, or contains it |
//! | `{"$length": 3}` | lists with that number of items, text with that number of bytes |
//! | `{"$some": […]}` | lists with matching items in this order |
//! | `{"$first": …}`, `{"$last": …}` | lists whose first or last item matches |
//! | `{"$every": …}` | lists whose items all match |
//! | `{"$atLeast": 3}` | numbers that are not smaller |
//! | `{"$in": […]}` | values that are equal to one of them |
//! | `{"$all": […]}` | values that match all of them |
use serde_json::Value;

/// Returns where and how the reply differs.
pub(crate) fn check(expected: &Value, actual: &Value) -> Result<(), String> {
    compare(expected, Some(actual), "reply")
}

fn compare(expected: &Value, actual: Option<&Value>, path: &str) -> Result<(), String> {
    if let Some((name, wanted)) = matcher(expected) {
        let holds = apply(name, wanted, actual, path)?;
        return if holds { Ok(()) } else { Err(differs(expected, actual, path)) };
    }
    match (expected, actual) {
        (Value::Object(expected), Some(Value::Object(actual))) => {
            let mut members = expected.iter();
            members.try_for_each(|(name, value)| compare(value, actual.get(name), &format!("{path}.{name}")))
        }
        (Value::Array(expected), Some(Value::Array(items))) if expected.len() == items.len() => {
            let mut pairs = expected.iter().zip(items).enumerate();
            pairs.try_for_each(|(at, (expected, item))| {
                compare(expected, Some(item), &format!("{path}[{at}]"))
            })
        }
        (Value::Number(expected), Some(Value::Number(actual))) if expected.as_f64() == actual.as_f64() => {
            Ok(())
        }
        (expected, Some(actual)) if expected == actual => Ok(()),
        _ => Err(differs(expected, actual, path)),
    }
}

fn matcher(value: &Value) -> Option<(&str, &Value)> {
    let members = value.as_object().filter(|members| members.len() == 1)?;
    let (name, wanted) = members.iter().next()?;
    name.starts_with('$').then_some((name.as_str(), wanted))
}

fn apply(name: &str, wanted: &Value, actual: Option<&Value>, path: &str) -> Result<bool, String> {
    let Some(actual) = actual else { return Ok(name == "$absent") };
    let matches = |wanted: &Value, item: &Value| compare(wanted, Some(item), path).is_ok();
    let items = || actual.as_array().map_or(&[][..], Vec::as_slice);
    let wanted_items = || wanted.as_array().ok_or(format!("{name} needs a list"));
    let text = || actual.as_str().unwrap_or_default();
    let wanted_text = || wanted.as_str().ok_or(format!("{name} needs a text"));
    Ok(match name {
        "$exists" => true,
        "$absent" => false,
        "$starts" => text().starts_with(wanted_text()?),
        "$holds" => text().contains(wanted_text()?),
        "$length" => {
            let length = actual.as_str().map(str::len).or(actual.as_array().map(Vec::len));
            length.map(Value::from).as_ref() == Some(wanted)
        }
        "$some" => {
            let mut rest = items().iter();
            wanted_items()?.iter().all(|wanted| rest.any(|item| matches(wanted, item)))
        }
        "$first" => items().first().is_some_and(|item| matches(wanted, item)),
        "$last" => items().last().is_some_and(|item| matches(wanted, item)),
        "$every" => items().iter().all(|item| matches(wanted, item)),
        "$atLeast" => actual.as_f64() >= wanted.as_f64() && actual.is_number(),
        "$in" => wanted_items()?.contains(actual),
        "$all" => {
            wanted_items()?.iter().try_for_each(|wanted| compare(wanted, Some(actual), path))?;
            true
        }
        _ => return Err(format!("{path}: unknown matcher {name}")),
    })
}

fn differs(expected: &Value, actual: Option<&Value>, path: &str) -> String {
    let actual = actual.map_or("nothing".to_owned(), |actual| shortened(&actual.to_string()));
    format!("{path}: expected {}, found {actual}", shortened(&expected.to_string()))
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(600) {
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], text.len()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn expected_members_must_match_and_others_are_ignored() {
        let reply = json!({"text": "Grüße", "events": [{"a": 1}, {"b": {"c": 2}}], "error": {"code": "X"}});
        for expected in [
            json!({}),
            json!({"text": "Grüße"}),
            json!({"events": [{}, {"b": {"c": 2.0}}]}),
            json!({"text": {"$starts": "Gr"}, "none": {"$absent": true}, "error": {"$exists": true}}),
            json!({"text": {"$holds": "ü"}, "events": {"$length": 2}}),
            json!({"events": {"$some": [{"a": 1}, {"b": {}}]}}),
            json!({"events": {"$first": {"a": {"$atLeast": 1}}}}),
            json!({"events": {"$all": [{"$last": {"b": {}}}, {"$length": 2}]}}),
            json!({"error": {"code": {"$in": ["W", "X"]}}}),
        ] {
            assert_eq!(check(&expected, &reply), Ok(()), "{expected}");
        }
        for expected in [
            json!({"text": "Gruß"}),
            json!({"events": [{}]}),
            json!({"events": {"$some": [{"b": {}}, {"a": 1}]}}),
            json!({"error": {"$absent": true}}),
            json!({"none": {"$exists": true}}),
            json!({"none": {"$starts": ""}}),
            json!({"text": {"$length": 5}}),
            json!({"events": {"$every": {"a": 1}}}),
            json!({"text": {"$atLeast": 0}}),
            json!({"text": {"$unknown": 0}}),
        ] {
            assert!(check(&expected, &reply).is_err(), "{expected}");
        }
    }
}
