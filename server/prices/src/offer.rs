//! One file of the price list, as far as we read it.
use super::{File, ImportError, day, usage_type::Kind};
use serde::Deserialize;
use std::collections::BTreeMap;
use switchboard_catalogue::{Date, ServiceTier, units::PicoUsd};

/// A file.
#[derive(Debug)]
pub(super) struct Offer {
    pub(super) offer_code: String,
    pub(super) published: Date,
    /// By SKU.
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

/// What is sold.
#[derive(Debug, Deserialize)]
pub(super) struct Product {
    #[serde(default)]
    attributes: BTreeMap<String, Option<String>>,
}

/// For how much, by SKU and offer.
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

/// What ends the name of a model that is sold through the marketplace.
const EDITION: &str = " (Amazon Bedrock Edition)";

// === impl Offer ===

impl Offer {
    pub(super) fn read(file: &File) -> Result<Self, ImportError> {
        let wrong = |problem| ImportError::NotAPriceList { file: file.name.clone(), problem };
        let RawOffer { offer_code, publication_date, products, terms } =
            serde_json::from_str(&file.json).map_err(|error| wrong(error.to_string()))?;
        if !offer_code.starts_with("AmazonBedrock") {
            return Err(wrong(format!(
                "its offer is \"{offer_code}\": use AmazonBedrock or AmazonBedrockFoundationModels"
            )));
        }
        let published =
            day(&publication_date).map_err(|problem| wrong(format!("publicationDate {problem}")))?;
        Ok(Self { offer_code, published, products, terms })
    }

    /// What one token costs.
    pub(super) fn price(&self, sku: &str, kind: Kind) -> Result<PicoUsd, String> {
        let terms = self.terms.on_demand.get(sku).into_iter().flat_map(BTreeMap::values);
        let mut dimensions = terms.flat_map(|term| term.price_dimensions.values());
        let dimension = dimensions.next().ok_or("it has no on-demand price")?;
        if dimensions.next().is_some() {
            return Err("it has several prices, for which the catalogue has no form".to_owned());
        }
        let tokens = self.tokens(&dimension.unit)?;
        let usd = dimension.price_per_unit.get("USD").ok_or("its price is not in US dollars")?;
        let price = per_token(usd, tokens)?;
        if price == PicoUsd(0) && matches!(kind, Kind::Input | Kind::Output) {
            return Err("its price is zero".to_owned());
        }
        Ok(price)
    }

    /// How many tokens a unit is. What is sold through the marketplace has units that say nothing; of tokens there, it is
    /// always a million.
    fn tokens(&self, unit: &str) -> Result<u128, String> {
        match unit.to_lowercase().as_str() {
            "1k tokens" => Ok(1_000),
            "1m tokens" => Ok(1_000_000),
            "units" if self.offer_code == "AmazonBedrockFoundationModels" => Ok(1_000_000),
            _ => Err(format!("its unit is \"{unit}\", not tokens")),
        }
    }
}

/// Dollars for so many tokens as a price for one.
fn per_token(usd: &str, tokens: u128) -> Result<PicoUsd, String> {
    let wrong = || format!("\"{usd}\" is no price");
    let (dollars, decimals) = usd.split_once('.').unwrap_or((usd, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(dollars) || !digits(decimals) {
        return Err(wrong());
    }
    let finer = || format!("\"{usd}\" is finer than a picodollar for a token");
    let decimals = decimals.trim_end_matches('0');
    if decimals.len() > 12 {
        return Err(finer());
    }
    let pico: u128 = format!("{dollars}{decimals:0<12}").parse().map_err(|_| wrong())?;
    if !pico.is_multiple_of(tokens) {
        return Err(finer());
    }
    u64::try_from(pico / tokens).map(PicoUsd).map_err(|_| wrong())
}

// === impl Product ===

impl Product {
    pub(super) fn region(&self) -> Option<&str> {
        self.attribute("regionCode")
    }

    pub(super) fn usage_type(&self) -> &str {
        self.attribute("usagetype").unwrap_or_default()
    }

    /// What the list calls the model.
    pub(super) fn model(&self) -> Option<&str> {
        let sold = self.attribute("servicename").and_then(|name| name.strip_suffix(EDITION));
        self.attribute("model").or_else(|| self.attribute("titanModel")).or(sold)
    }

    /// The tier; usage types and attributes say it in three ways, and sometimes only in one.
    pub(super) fn tier(&self, of_usage_type: Option<ServiceTier>) -> Result<ServiceTier, String> {
        let attribute = match self.attribute("service_tier").map(str::to_lowercase).as_deref() {
            None => None,
            Some("standard" | "default") => Some(ServiceTier::Default),
            Some(word) => Some(ServiceTier::named(word).ok_or_else(|| format!("its tier is \"{word}\""))?),
        };
        let inference = self.attribute("inferenceType").map(str::to_lowercase).unwrap_or_default();
        let last = inference.rsplit(' ').next().and_then(ServiceTier::named);
        let mut said = [of_usage_type, attribute, last].into_iter().flatten();
        let first = said.next().unwrap_or_default();
        match said.find(|other| *other != first) {
            Some(other) => Err(format!("it says both tiers, \"{}\" and \"{}\"", first.word(), other.word())),
            None => Ok(first),
        }
    }

    /// What is no inference that is paid as it happens.
    pub(super) fn check_feature(&self) -> Result<(), String> {
        let feature = self.attribute("feature").unwrap_or_default();
        let squeezed = feature.to_lowercase().replace(' ', "");
        let other = ["batch", "provisioned", "customization", "reserved", "training"];
        match other.iter().any(|word| squeezed.contains(word)) {
            true => Err(format!("it is for \"{feature}\"")),
            false => Ok(()),
        }
    }

    fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.get(name)?.as_deref().map(str::trim).filter(|value| !value.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_for_thousands_and_millions_of_tokens_become_prices_for_one() {
        for (usd, tokens, expected) in [
            ("0.0000350000", 1_000, 35_000),
            ("3.3000000000", 1_000_000, 3_300_000),
            ("0.00000875", 1_000, 8_750),
            ("27.5", 1_000_000, 27_500_000),
            ("0.0000000000", 1_000, 0),
            ("0.000000001", 1_000, 1),
        ] {
            assert_eq!(per_token(usd, tokens), Ok(PicoUsd(expected)), "{usd}");
        }
    }

    #[test]
    fn what_would_have_to_be_rounded_is_refused() {
        for usd in ["0.0000000001", "0.0000000000001"] {
            assert!(per_token(usd, 1_000).expect_err(usd).contains("finer"));
        }
        for usd in ["", "-1", "1e3", ".5", "x", "99999999999999999999999999999999999999999"] {
            assert!(per_token(usd, 1_000).expect_err(usd).contains("no price"), "{usd}");
        }
    }
}
