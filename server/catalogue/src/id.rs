//! Model ids: finds the model behind the identifiers that Bedrock accepts.
//!
//! An identifier is a model id (`amazon.nova-lite-v1:0`), an inference profile id, which is a model id with a
//! geography prefix (`us.amazon.nova-lite-v1:0`), or an ARN. Only ARNs of foundation models and of Bedrock's
//! own inference profiles end in one of these ids; all other ARNs hide their model.
use crate::geography::GEOGRAPHIES;

/// Returns the model id or inference profile id, taken out of an ARN if necessary. `None`: the ARN hides its
/// model.
pub(crate) fn named_model(model_id: &str) -> Option<&str> {
    if !model_id.starts_with("arn:") {
        return Some(model_id);
    }
    let resource = model_id.splitn(6, ':').nth(5)?;
    let (kind, name) = resource.split_once('/')?;
    matches!(kind, "foundation-model" | "inference-profile").then_some(name)
}

/// Splits an id into a prefix that may be a geography, and the rest.
pub(crate) fn split_geography(name: &str) -> Option<(&str, &str)> {
    let (geography, rest) = name.split_once('.')?;
    let plausible = (2..=8).contains(&geography.len())
        && geography.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    plausible.then_some((geography, rest))
}

/// Returns the model id without ARN and without a known geography prefix. An ARN that hides its model is
/// returned unchanged.
#[must_use]
pub fn base_id(model_id: &str) -> &str {
    let name = named_model(model_id).unwrap_or(model_id);
    match split_geography(name) {
        Some((geography, rest)) if GEOGRAPHIES.contains(&geography) => rest,
        _ => name,
    }
}

/// Returns the geography prefix of a model id. `None`: the id has no known prefix.
#[must_use]
pub fn geography(model_id: &str) -> Option<&str> {
    let (geography, _) = split_geography(named_model(model_id)?)?;
    GEOGRAPHIES.contains(&geography).then_some(geography)
}

/// Returns a model id that is safe to display: an ARN without its account.
#[must_use]
pub fn shown(model_id: &str) -> &str {
    match model_id.strip_prefix("arn:") {
        Some(arn) => arn.splitn(5, ':').nth(4).unwrap_or("[unreadable ARN]"),
        None => model_id,
    }
}
