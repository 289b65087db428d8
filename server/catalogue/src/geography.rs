//! Geographies of inference profiles, and the AWS regions that belong to them. Data residency and prices both
//! depend on this table.

/// Known geography prefixes. An unknown prefix is accepted only if the rest of the id is a model of the
/// catalogue.
pub(crate) const GEOGRAPHIES: [&str; 8] = ["us", "eu", "apac", "global", "jp", "au", "us-gov", "in"];

/// Returns the geographies whose inference profiles can be called from a region, the smallest first. Empty:
/// the region belongs to no geography.
#[must_use]
pub fn geographies_of_region(region: &str) -> &'static [&'static str] {
    match region {
        _ if region.starts_with("us-gov-") => &["us-gov"],
        _ if region.starts_with("us-") => &["us"],
        _ if region.starts_with("eu-") => &["eu"],
        "ap-northeast-1" | "ap-northeast-3" => &["jp", "apac"],
        "ap-southeast-2" | "ap-southeast-4" => &["au", "apac"],
        "ap-south-1" | "ap-south-2" => &["in", "apac"],
        _ if region.starts_with("ap-") => &["apac"],
        _ => &[],
    }
}
