//! Start-up: from settings to the first snapshot and the connections to Bedrock. Used by every program that
//! serves.
use crate::{
    bedrock::{Bedrock, ConnectError},
    catalogue::Catalogue,
    config::Config,
    deployment::Registry,
    snapshot::Snapshot,
};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Reads a configuration.
///
/// # Errors
/// With the file's name, the line and the problem.
pub fn read_config(file: &Path) -> Result<Config, String> {
    Config::parse(&read(file)?).map_err(|error| format!("{}: {error}", file.display()))
}

/// Reads a text file.
///
/// # Errors
/// With the file's name and the problem.
pub fn read(file: &Path) -> Result<String, String> {
    fs::read_to_string(file).map_err(|error| format!("cannot read {}: {error}", file.display()))
}

/// The catalogue: the one that is compiled in, extended or replaced by the file that the configuration names.
///
/// # Errors
/// When that file cannot be read or is not valid.
pub fn catalogue(config: &Config, config_file: Option<&Path>) -> Result<Catalogue, String> {
    let Some(file) = &config.catalogue.file else { return Ok(Catalogue::built_in()) };
    let file = relative_to(config_file, file);
    let text = read(&file).map_err(|error| format!("[catalogue] file: {error}"))?;
    let own = Catalogue::parse(&text).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(if config.catalogue.replace { own } else { Catalogue::built_in().extend(own) })
}

/// A file that the configuration names: relative to the configuration's folder, unless its path is absolute.
#[must_use]
pub fn relative_to(config_file: Option<&Path>, file: &Path) -> PathBuf {
    config_file.and_then(Path::parent).unwrap_or(Path::new("")).join(file)
}

/// A warning for every model that the catalogue does not know.
#[must_use]
pub fn unknown_models(config: &Config, catalogue: &Catalogue) -> Vec<String> {
    let unknown = config.models.iter().filter_map(|(name, model)| {
        let id = model.base_model.as_deref().unwrap_or(&model.id);
        (!catalogue.resolve(id).catalogued).then(|| {
            format!(
                "[models.{name}] {id} is not in the catalogue: set base_model, or add it to a catalogue file"
            )
        })
    });
    unknown.collect()
}

/// Checks that no candidate leaves its task's geography: such a candidate would never be called.
///
/// # Errors
/// With a line for each violation.
pub fn check_residency(snapshot: &Snapshot) -> Result<(), String> {
    match snapshot.routes.residency_violations().collect::<Vec<_>>() {
        violations if violations.is_empty() => Ok(()),
        violations => Err(violations.join("\n")),
    }
}

/// The first snapshot, and Bedrock in every region that it names.
///
/// # Errors
/// See [`Bedrock::connect`].
pub async fn connect(
    config: &Config,
    catalogue: &Catalogue,
    registry: &Registry,
) -> Result<(Snapshot, Bedrock), ConnectError> {
    let default_region = Bedrock::default_region(&config.bedrock).await?;
    let snapshot = Snapshot::build(config, catalogue, &default_region, registry);
    let bedrock = Bedrock::connect(&config.bedrock, snapshot.routes.regions()).await?;
    Ok((snapshot, bedrock))
}
