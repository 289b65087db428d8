//! `switchboard prices`: AWS's price lists in the catalogue's format.
use crate::result::Result;
use clap::Subcommand;
use std::{
    io::Write as _,
    path::{Path, PathBuf},
};
use switchboard_prices as prices;
use switchboard_server::{bootstrap::read, catalogue::Catalogue};

#[derive(Debug, Subcommand)]
pub(crate) enum Prices {
    /// Print a catalogue file with the prices of AWS's price lists, and on standard error each row that does
    /// not fit it
    ///
    /// The lists are public:
    /// `https://pricing.us-east-1.amazonaws.com/offers/v1.0/aws/OFFER/current/REGION/index.json`, with
    /// AmazonBedrock and AmazonBedrockFoundationModels as OFFER. Save the output in a file and name it in the
    /// configuration under `[catalogue] file`.
    Import {
        /// The price lists, in JSON
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// The region from which models are called
        #[arg(long, default_value = "us-east-1")]
        region: String,
        /// The catalogue whose models get the prices [default: the one compiled in]
        #[arg(long, value_name = "FILE")]
        catalogue: Option<PathBuf>,
    },
}

impl Prices {
    pub(crate) fn run(self) -> Result<()> {
        let Self::Import { files, region, catalogue } = self;
        import(&files, &region, catalogue.as_deref())
    }
}

fn import(files: &[PathBuf], region: &str, catalogue: Option<&Path>) -> Result<()> {
    let lists =
        files.iter().map(|file| Ok(prices::File { name: file.display().to_string(), json: read(file)? }));
    let lists = lists.collect::<Result<Vec<_>>>()?;
    let catalogue = catalogue.map(read).transpose()?;
    let catalogue = catalogue.as_deref().unwrap_or(Catalogue::built_in_text());
    let imported = prices::import(catalogue, &lists, region)?;
    let prices::Imported { toml, models, rows, skipped, other_regions } = imported;
    for row in &skipped {
        eprintln!("skipped: {row}");
    }
    eprintln!(
        "imported {rows} prices of {models} models in {region}; skipped {} rows, and {other_regions} of other regions",
        skipped.len()
    );
    std::io::stdout().write_all(toml.as_bytes())?;
    Ok(())
}
