//! Data residency: the geography in which a model processes requests.
//!
//! The id of an inference profile names the geography (`eu.`, `global.`). A bare model id, or an ARN that
//! hides its model, is processed in the region that is called. A fallback must not send a request out of the
//! geography of the task's first model, unless the task allows it.
use crate::catalogue::{geographies_of_region, geography};

/// Returns the geography in which `model_id` processes requests if it is called in `region`.
#[must_use]
pub fn residence<'a>(model_id: &'a str, region: &'a str) -> &'a str {
    geography(model_id).unwrap_or_else(|| home_of(region))
}

/// True if requests that are processed in `inner` stay in `outer`.
#[must_use]
pub fn is_within(inner: &str, outer: &str) -> bool {
    match outer {
        "global" => inner != "us-gov",
        "apac" => matches!(inner, "apac" | "jp" | "au" | "in"),
        _ => inner == outer,
    }
}

/// Returns the smallest geography of a region. A region without one is its own geography.
fn home_of(region: &str) -> &str {
    geographies_of_region(region).first().copied().unwrap_or(region)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_or_else_the_region_determines_the_geography() {
        for (model_id, region, expected) in [
            ("eu.anthropic.claude-haiku-4-5-20251001-v1:0", "eu-west-1", "eu"),
            ("global.anthropic.claude-opus-4-8", "eu-west-1", "global"),
            ("amazon.nova-lite-v1:0", "eu-west-1", "eu"),
            ("amazon.nova-lite-v1:0", "ap-northeast-1", "jp"),
            ("amazon.nova-lite-v1:0", "ca-central-1", "ca-central-1"),
            (
                "arn:aws:bedrock:us-east-1:111122223333:inference-profile/us.amazon.nova-lite-v1:0",
                "eu-west-1",
                "us",
            ),
            ("arn:aws:bedrock:us-gov-west-1:111122223333:provisioned-model/x", "us-gov-west-1", "us-gov"),
        ] {
            assert_eq!(residence(model_id, region), expected, "{model_id}");
        }
    }

    #[test]
    fn a_wider_geography_contains_the_narrower_one() {
        for (inner, outer, expected) in [
            ("eu", "eu", true),
            ("eu", "global", true),
            ("global", "eu", false),
            ("us", "eu", false),
            ("jp", "apac", true),
            ("apac", "jp", false),
            ("us-gov", "global", false),
        ] {
            assert_eq!(is_within(inner, outer), expected, "{inner} in {outer}");
        }
    }
}
