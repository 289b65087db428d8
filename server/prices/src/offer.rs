//! One file of the price list.
use super::usage_type::Kind;
use serde::Deserialize;
use std::collections::BTreeMap;
use switchboard_catalogue::{
    Date, ServiceTier,
    units::{PicoUsd, PriceError},
};

/// A file of the price list.
#[derive(Clone, Debug)]
pub struct File {
    /// Name for error messages.
    pub name: String,
    /// Content.
    pub json: String,
}

/// Why an import failed.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A file is not a price list.
    #[error("{file} is not an AWS price list in JSON: {problem}")]
    NotAPriceList {
        /// Name of the file.
        file: String,
        /// What is wrong.
        problem: String,
    },
    /// The catalogue that is to be extended is not valid.
    #[error("the catalogue is not valid: {0}")]
    Catalogue(String),
    /// No row could be imported.
    #[error(
        "no price was found for region {region} ({skipped} rows were skipped, {other_regions} are for other \
             regions): download the region's index.json of AmazonBedrock or AmazonBedrockFoundationModels"
    )]
    Nothing {
        /// The region.
        region: String,
        /// Number of skipped rows.
        skipped: usize,
        /// Number of rows for other regions.
        other_regions: usize,
    },
}

/// An offer: the products of one service, with their prices.
#[derive(Debug)]
pub(super) struct Offer {
    pub(super) offer_code: String,
    pub(super) published: Date,
    /// Products by SKU.
    pub(super) products: BTreeMap<String, Product>,
    terms: Terms,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawOffer {
    offer_code: String,
    publication_date: String,
    products: BTreeMap<String, Product>,
    terms: Terms,
}

/// A product: something that has a price.
#[derive(Debug, Deserialize)]
pub(super) struct Product {
    #[serde(default)]
    attributes: BTreeMap<String, Option<String>>,
}

/// Prices by SKU and offer term.
#[derive(Debug, Deserialize)]
struct Terms {
    #[serde(default, rename = "OnDemand")]
    on_demand: BTreeMap<String, BTreeMap<String, Term>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Term {
    #[serde(default)]
    price_dimensions: BTreeMap<String, Dimension>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Dimension {
    unit: String,
    price_per_unit: BTreeMap<String, String>,
}

/// End of the service name of a model that is sold through the marketplace.
const MARKETPLACE_SUFFIX: &str = " (Amazon Bedrock Edition)";

// === impl Offer ===

impl Offer {
    pub(super) fn parse(file: &File) -> Result<Self, ImportError> {
        let invalid = |problem| ImportError::NotAPriceList { file: file.name.clone(), problem };
        let RawOffer { offer_code, publication_date, products, terms } =
            serde_json::from_str(&file.json).map_err(|error| invalid(error.to_string()))?;
        if !offer_code.starts_with("AmazonBedrock") {
            return Err(invalid(format!(
                "its offer is \"{offer_code}\": use AmazonBedrock or AmazonBedrockFoundationModels"
            )));
        }
        let published =
            date(&publication_date).map_err(|problem| invalid(format!("publicationDate: {problem}")))?;
        Ok(Self { offer_code, published, products, terms })
    }

    /// Price of one token.
    pub(super) fn price(&self, sku: &str, kind: Kind) -> Result<PicoUsd, String> {
        let terms = self.terms.on_demand.get(sku).into_iter().flat_map(BTreeMap::values);
        let mut dimensions = terms.flat_map(|term| term.price_dimensions.values());
        let dimension = dimensions.next().ok_or("it has no on-demand price")?;
        if dimensions.next().is_some() {
            return Err("it has several prices, which the catalogue cannot express".to_owned());
        }
        let tokens = self.tokens(&dimension.unit)?;
        let usd = dimension.price_per_unit.get("USD").ok_or("its price is not in US dollars")?;
        let price = PicoUsd::per_token(usd, tokens).map_err(|error| match error {
            PriceError::NotANumber => format!("\"{usd}\" is not a price"),
            PriceError::TooFine => format!("\"{usd}\" is not a whole number of picodollars per token"),
        })?;
        if price == PicoUsd(0) && matches!(kind, Kind::Input | Kind::Output) {
            return Err("its price is zero".to_owned());
        }
        Ok(price)
    }

    /// Number of tokens in a unit. Products of the marketplace have the unit "Units"; for tokens it is always
    /// a million.
    fn tokens(&self, unit: &str) -> Result<u32, String> {
        match unit.to_lowercase().as_str() {
            "1k tokens" => Ok(1_000),
            "1m tokens" => Ok(1_000_000),
            "units" if self.offer_code == "AmazonBedrockFoundationModels" => Ok(1_000_000),
            _ => Err(format!("its unit is \"{unit}\", not tokens")),
        }
    }
}

// === impl Product ===

impl Product {
    pub(super) fn region(&self) -> Option<&str> {
        self.attribute("regionCode")
    }

    pub(super) fn usage_type(&self) -> &str {
        self.attribute("usagetype").unwrap_or_default()
    }

    /// Name of the model in the list.
    pub(super) fn model(&self) -> Option<&str> {
        let sold = self.attribute("servicename").and_then(|name| name.strip_suffix(MARKETPLACE_SUFFIX));
        self.attribute("model").or_else(|| self.attribute("titanModel")).or(sold)
    }

    /// Service tier. Three places can state it: the usage type and two attributes; they must not contradict
    /// each other.
    pub(super) fn tier(&self, of_usage_type: Option<ServiceTier>) -> Result<ServiceTier, String> {
        let attribute = match self.attribute("service_tier").map(str::to_lowercase).as_deref() {
            None => None,
            Some("standard" | "default") => Some(ServiceTier::Default),
            Some(name) => Some(ServiceTier::named(name).ok_or_else(|| format!("its tier is \"{name}\""))?),
        };
        let inference = self.attribute("inferenceType").map(str::to_lowercase).unwrap_or_default();
        let last = inference.rsplit(' ').next().and_then(ServiceTier::named);
        let mut stated = [of_usage_type, attribute, last].into_iter().flatten();
        let first = stated.next().unwrap_or_default();
        match stated.find(|other| *other != first) {
            Some(other) => Err(format!("it states two tiers, \"{}\" and \"{}\"", first.name(), other.name())),
            None => Ok(first),
        }
    }

    /// Refuses features other than on-demand inference.
    pub(super) fn check_feature(&self) -> Result<(), String> {
        let feature = self.attribute("feature").unwrap_or_default();
        let compact = feature.to_lowercase().replace(' ', "");
        let other = ["batch", "provisioned", "customization", "reserved", "training"];
        match other.iter().any(|word| compact.contains(word)) {
            true => Err(format!("it is for \"{feature}\"")),
            false => Ok(()),
        }
    }

    fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.get(name)?.as_deref().map(str::trim).filter(|value| !value.is_empty())
    }
}

/// Date of a timestamp of a price list, such as `2026-11-20T19:54:33Z`.
fn date(time: &str) -> Result<Date, String> {
    Date::try_from(time.get(..10).unwrap_or(time).to_owned())
}
