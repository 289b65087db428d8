//! Versions of the programs that `cargo xtask tools` installs.
use std::path::{Path, PathBuf};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Pin {
    pub(crate) program: &'static str,
    pub(crate) version: &'static str,
}

pub(crate) const BUF: Pin = Pin { program: "buf", version: "1.75.0" };
pub(crate) const GRPCURL: Pin = Pin { program: "grpcurl", version: "1.9.4" };
pub(crate) const GRPC_HEALTH_PROBE: Pin = Pin { program: "grpc-health-probe", version: "0.4.61" };
pub(crate) const CARGO_DENY: Pin = Pin { program: "cargo-deny", version: "0.20.2" };
pub(crate) const OTELCOL: Pin = Pin { program: "otelcol", version: "0.155.0" };

const ALL: [Pin; 5] = [BUF, GRPCURL, GRPC_HEALTH_PROBE, CARGO_DENY, OTELCOL];

/// Folders of the installed programs, whether or not they exist yet.
pub(crate) fn program_folders(tools: &Path) -> impl Iterator<Item = PathBuf> {
    ALL.iter().map(|pin| pin.folder(tools).join("bin"))
}

/// True if `cargo xtask tools` installs this program.
pub(crate) fn installs(program: &str) -> bool {
    ALL.iter().any(|pin| pin.program == program)
}

// === impl Pin ===

impl Pin {
    /// Folder of this version. Every version has its own, so that an older checkout finds what it pinned.
    pub(crate) fn folder(&self, tools: &Path) -> PathBuf {
        tools.join(format!("{}-{}", self.program, self.version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_version_has_a_new_folder() {
        let pin = Pin { version: "1.0.0", ..BUF };
        assert_eq!(pin.folder(Path::new("/tools")), Path::new("/tools/buf-1.0.0"));
    }

    #[test]
    fn the_collector_has_the_version_of_its_manifest() {
        let manifest = include_str!("../../deploy/collector/builder.yaml");
        let version = OTELCOL.version;
        assert!(manifest.contains(&format!("\n  version: {version}\n")));
        let components =
            manifest.lines().filter(|line| line.contains("gomod: ") && !line.contains("/confmap/"));
        assert!(components.clone().count() > 5);
        assert!(components.clone().all(|line| line.ends_with(&format!(" v{version}"))));
    }
}
