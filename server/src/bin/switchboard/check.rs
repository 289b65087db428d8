//! `switchboard check`: what would be wrong with a configuration.
use crate::result::Result;
use clap::Args;
use std::path::PathBuf;
use switchboard_server::{
    bootstrap::{catalogue, check_residency, read_config, unknown_models},
    deployment::Registry,
    snapshot::Snapshot,
};

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The TOML file
    file: PathBuf,
    /// Region of models that name none, if the file sets none
    #[arg(long, env = "AWS_REGION")]
    region: Option<String>,
}

impl Check {
    pub(crate) fn run(self) -> Result<()> {
        let Self { file, region } = self;
        let config = read_config(&file)?;
        let catalogue = catalogue(&config, Some(&file))?;
        for unknown in unknown_models(&config, &catalogue) {
            println!("note: {unknown}");
        }
        match config.bedrock.region.clone().or(region) {
            Some(region) => {
                check_residency(&Snapshot::build(&config, &catalogue, &region, &Registry::default()))?;
            }
            None => println!("note: no region is set, so the geography of requests was not checked"),
        }
        let (tasks, models) = (counted(config.tasks.len(), "task"), counted(config.models.len(), "model"));
        println!("{}: valid, {tasks} on {models}", file.display());
        Ok(())
    }
}

fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}
