//! Ids: which model stands in what Bedrock takes for one.
//!
//! An id is a model's (`amazon.nova-lite-v1:0`), an inference profile's, which is the same behind a geography
//! (`us.amazon.nova-lite-v1:0`), or an ARN. Of ARNs only those of foundation models and of Bedrock's own inference
//! profiles end in one of the former; all others hide what they call.

/// The geographies known so far. Others are believed only where a model is known by the rest.
const GEOGRAPHIES: [&str; 8] = ["us", "eu", "apac", "global", "jp", "au", "us-gov", "in"];

/// The model's or inference profile's id, out of an ARN if need be. Absent where an ARN hides it.
pub(super) fn named_model(model_id: &str) -> Option<&str> {
    if !model_id.starts_with("arn:") {
        return Some(model_id);
    }
    let resource = model_id.splitn(6, ':').nth(5)?;
    let (kind, name) = resource.split_once('/')?;
    matches!(kind, "foundation-model" | "inference-profile").then_some(name)
}

/// What could be a geography, and the rest.
pub(super) fn split_geography(name: &str) -> Option<(&str, &str)> {
    let (geography, rest) = name.split_once('.')?;
    let plausible = (2..=8).contains(&geography.len())
        && geography.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    plausible.then_some((geography, rest))
}

/// The id of a model, known or not, without ARN and geography, if it is one of those we know. An ARN that hides its model
/// stays as it is.
#[must_use]
pub fn base_id(model_id: &str) -> &str {
    let name = named_model(model_id).unwrap_or(model_id);
    match split_geography(name) {
        Some((geography, rest)) if GEOGRAPHIES.contains(&geography) => rest,
        _ => name,
    }
}

/// The geography in a model id. Absent: it names none that we know.
#[must_use]
pub fn geography(model_id: &str) -> Option<&str> {
    let (geography, _) = split_geography(named_model(model_id)?)?;
    GEOGRAPHIES.contains(&geography).then_some(geography)
}

/// A model id as it may be shown: an ARN without the account that is in it.
#[must_use]
pub fn shown(model_id: &str) -> &str {
    match model_id.strip_prefix("arn:") {
        Some(arn) => arn.splitn(5, ':').nth(4).unwrap_or("[unreadable ARN]"),
        None => model_id,
    }
}
