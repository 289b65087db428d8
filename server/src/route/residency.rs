//! Residency: in which part of the world a model processes what it is sent.
//!
//! An inference profile says it in its id (`eu.`, `global.`); a bare model id or an ARN that hides its model is processed
//! in the region that is called. A fallback must not carry a request out of the geography that the task's first model
//! keeps it in, unless the task says that it may.
use crate::catalogue::geography;

/// The geography that `model_id`, called in `region`, keeps a request in.
#[must_use]
pub fn residence<'a>(model_id: &'a str, region: &'a str) -> &'a str {
    geography(model_id).unwrap_or_else(|| of_region(region))
}

/// Whether what is processed in `inner` stays in `outer`.
#[must_use]
pub fn is_within(inner: &str, outer: &str) -> bool {
    match outer {
        "global" => inner != "us-gov",
        "apac" => matches!(inner, "apac" | "jp" | "au" | "in"),
        _ => inner == outer,
    }
}

/// Regions belong to the geography whose inference profiles list them. Those of none stand for themselves.
fn of_region(region: &str) -> &str {
    match region {
        "ap-northeast-1" | "ap-northeast-3" => "jp",
        "ap-southeast-2" | "ap-southeast-4" => "au",
        "ap-south-1" | "ap-south-2" => "in",
        _ if region.starts_with("us-gov-") => "us-gov",
        _ if region.starts_with("us-") => "us",
        _ if region.starts_with("eu-") => "eu",
        _ if region.starts_with("ap-") => "apac",
        _ => region,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_says_where_and_else_the_region() {
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
    fn a_wider_geography_holds_the_narrower_and_not_the_other_way_round() {
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
