//! Importing prices: from AWS's public price list into the catalogue's form.
//!
//! The list comes in two files that are downloaded without credentials:
//! `https://pricing.us-east-1.amazonaws.com/offers/v1.0/aws/<offer>/current/us-east-1/index.json`, of the offers
//! `AmazonBedrock` (Amazon's own and open models) and `AmazonBedrockFoundationModels` (those sold through the
//! marketplace, Claude among them).
//!
//! A row of the list is a product with attributes that are words for people, and a term with its price. What a row is the
//! price of is said in no field of its own, but in the words of its usage type, so each of them must be understood
//! (`prices/usage_type.rs`); a row with one that is not, a model that the catalogue does not name, a unit that is not
//! tokens: each is reported with its reason, and none is dropped or guessed.
//!
//! What comes out are whole models, since a catalogue file replaces models as a whole: their facts as they were, their
//! prices replaced where the list has one and kept where it has none.
mod offer;
mod table;
#[cfg(test)]
mod tests;
mod usage_type;

use offer::{Offer, Product};
use std::{collections::BTreeMap, fmt, sync::Arc};
use switchboard_catalogue::{Catalogue, Date, ModelFacts, Price};
use table::{Slot, Table};
use usage_type::Scope;

/// A price list, or a part of one.
#[derive(Clone, Debug)]
pub struct File {
    /// What it is called in messages.
    pub name: String,
    /// What it says.
    pub json: String,
}

/// What was read.
#[derive(Clone, Debug)]
pub struct Imported {
    /// A catalogue file with the models that got a price.
    pub toml: String,
    /// How many models.
    pub models: usize,
    /// How many rows of the list are in it.
    pub placed: usize,
    /// The rows that are not.
    pub left_out: Vec<LeftOut>,
    /// How many rows are prices of other regions.
    pub elsewhere: usize,
}

/// A row that has no place in the catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Its key in the list.
    pub sku: String,
    /// What it says it is.
    pub usage_type: String,
    /// Why it has no place.
    pub why: String,
}

/// Why nothing was read.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It is not a price list.
    #[error("{file} is no price list of AWS in JSON: {problem}")]
    NotAPriceList {
        /// Its name.
        file: String,
        /// What is wrong.
        problem: String,
    },
    /// The catalogue to be extended is not valid.
    #[error("the catalogue is not valid: {0}")]
    Catalogue(String),
    /// No row has a place.
    #[error(
        "no price was found for region {region} ({left_out} rows have no place, {elsewhere} are of other \
             regions): download the region's index.json of AmazonBedrock or AmazonBedrockFoundationModels"
    )]
    Nothing {
        /// What was looked for.
        region: String,
        /// How many rows have no place.
        left_out: usize,
        /// How many are of other regions.
        elsewhere: usize,
    },
}

/// Reads the prices of calls from `region` out of price lists, into the models of a catalogue's text.
///
/// # Errors
/// When a file is no price list, the catalogue is not valid, or no row has a place.
pub fn import(catalogue: &str, files: &[File], region: &str) -> Result<Imported, ImportError> {
    let models = Catalogue::parse(catalogue).map_err(|error| ImportError::Catalogue(error.to_string()))?;
    let offers = files.iter().map(Offer::read).collect::<Result<Vec<_>, _>>()?;
    let mut import = Import::new(&models, region);
    for offer in &offers {
        import.read(offer);
    }
    import.finish(catalogue, &offers)
}

/// What is being read.
struct Import<'a> {
    names: BTreeMap<String, &'a Arc<ModelFacts>>,
    region: &'a str,
    table: Table<'a>,
    left_out: Vec<LeftOut>,
    elsewhere: usize,
    rows: usize,
}

// === impl Import ===

impl<'a> Import<'a> {
    fn new(models: &'a Catalogue, region: &'a str) -> Self {
        let names = models.models().flat_map(|facts| {
            facts.price_list.iter().chain([&facts.id]).map(move |name| (name.to_lowercase(), facts))
        });
        Self {
            names: names.collect(),
            region,
            table: Table::default(),
            left_out: Vec::new(),
            elsewhere: 0,
            rows: 0,
        }
    }

    fn read(&mut self, offer: &Offer) {
        for (sku, product) in &offer.products {
            self.rows += 1;
            match product.region() {
                Some(region) if region != self.region => self.elsewhere += 1,
                _ => {
                    if let Err(why) = self.place(offer, sku, product) {
                        self.left_out.push(LeftOut {
                            sku: sku.clone(),
                            usage_type: product.usage_type().to_owned(),
                            why,
                        });
                    }
                }
            }
        }
    }

    fn place(&mut self, offer: &Offer, sku: &str, product: &Product) -> Result<(), String> {
        product.region().ok_or("it names no region")?;
        product.check_feature()?;
        let usage = usage_type::read(product.usage_type())?;
        let tier = product.tier(usage.tier)?;
        let name = product.model().ok_or("it names no model")?;
        let facts = *self.names.get(&name.to_lowercase()).ok_or_else(|| {
            format!("no model of the catalogue is called \"{name}\": add it to a model's price_list")
        })?;
        let price = offer.price(sku, usage.kind)?;
        let above = if usage.long { long_prompt(facts)? } else { 0 };
        let profiles = profiles(&usage.scope, facts, self.region)?;
        self.table.add(Slot { facts, tier, above, kind: usage.kind }, &profiles, price, sku);
        Ok(())
    }

    fn finish(mut self, catalogue: &str, offers: &[Offer]) -> Result<Imported, ImportError> {
        let usage_types: BTreeMap<&str, &str> = offers
            .iter()
            .flat_map(|offer| &offer.products)
            .map(|(sku, product)| (sku.as_str(), product.usage_type()))
            .collect();
        let unfinished = self.table.settle();
        self.left_out.extend(unfinished.into_iter().map(|(sku, why)| LeftOut {
            usage_type: usage_types.get(sku.as_str()).copied().unwrap_or_default().to_owned(),
            sku,
            why,
        }));
        let (models, left_out) = (self.table.models(), self.left_out);
        let placed = self.rows - self.elsewhere - left_out.len();
        if models == 0 {
            let (region, left_out) = (self.region.to_owned(), left_out.len());
            return Err(ImportError::Nothing { region, left_out, elsewhere: self.elsewhere });
        }
        let source = source(offers, self.region);
        let as_of = offers.iter().map(|offer| offer.published).min();
        let toml = self.table.write(catalogue, &source, as_of).map_err(ImportError::Catalogue)?;
        Ok(Imported { toml, models, placed, left_out, elsewhere: self.elsewhere })
    }
}

fn source(offers: &[Offer], region: &str) -> String {
    let lists = offers.iter().map(|offer| format!("{} of {}", offer.offer_code, offer.published));
    format!("AWS's price list ({}) for {region}", lists.collect::<Vec<_>>().join(", "))
}

/// The list says "long context" without saying how long; the catalogue must know.
fn long_prompt(facts: &ModelFacts) -> Result<u32, String> {
    let above = facts.prices.iter().map(|price| price.above_input_tokens).find(|above| *above > 0);
    above.ok_or_else(|| {
        format!("from how many tokens on {} charges for a long prompt is not in the catalogue", facts.id)
    })
}

/// For which ids of a model a row holds, by what stands before the id; `true` where only for want of a better row.
fn profiles(scope: &Scope, facts: &ModelFacts, region: &str) -> Result<Vec<(String, bool)>, String> {
    let known = |names: &[&str], gives_way| -> Vec<(String, bool)> {
        let listed = names.iter().filter(|name| facts.profiles.iter().any(|profile| profile == *name));
        listed.map(|name| ((*name).to_owned(), gives_way)).collect()
    };
    let found = match scope {
        Scope::Global => known(&["global"], false),
        Scope::Geography(Some(name)) => known(&[name], false),
        Scope::Geography(None) => known(geographies(region), false),
        Scope::Region => {
            let has_bare = |price: &Price| price.profiles.iter().any(String::is_empty);
            let bare = facts.on_demand || facts.prices.iter().any(has_bare);
            let bare = bare.then(|| (String::new(), false));
            bare.into_iter().chain(known(geographies(region), true)).collect()
        }
    };
    if found.is_empty() {
        return Err(format!("the catalogue has no id by which {} is called {scope}", facts.id));
    }
    Ok(found)
}

/// The geographies whose inference profiles are called from a region.
fn geographies(region: &str) -> &'static [&'static str] {
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

// === impl LeftOut ===

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let usage_type = if self.usage_type.is_empty() { "no usage type" } else { &self.usage_type };
        write!(f, "{} ({usage_type}): {}", self.sku, self.why)
    }
}

/// The day of a time as price lists write it: `2026-11-20T19:54:33Z`.
fn day(time: &str) -> Result<Date, String> {
    Date::try_from(time.get(..10).unwrap_or(time).to_owned())
}
