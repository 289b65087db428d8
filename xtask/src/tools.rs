//! `cargo xtask tools`: programs that are neither Rust crates of ours nor toolchains, each pinned.
//!
//! Each version has a folder of its own, so "is it there?" is a question to the file system, and a checkout of last
//! month finds what it pinned. Builds happen in temporary folders: nothing of them stays.
use crate::shell::{self, Result, Shell};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

#[derive(Debug)]
struct Tool {
    name: &'static str,
    version: &'static str,
    /// The toolchain that installs it.
    needs: &'static str,
    install: fn(&Shell, &Tool, &Path) -> Result<Command>,
}

const TOOLS: [Tool; 5] = [
    Tool { name: "buf", version: "1.75.0", needs: "npm", install: buf },
    Tool { name: "grpcurl", version: "1.9.4", needs: "go", install: grpcurl },
    Tool { name: "grpc-health-probe", version: "0.4.61", needs: "go", install: grpc_health_probe },
    Tool { name: "cargo-deny", version: "0.20.2", needs: "cargo", install: cargo_deny },
    Tool { name: "otelcol", version: "0.155.0", needs: "go", install: otelcol },
];

/// Installs what is missing. A tool whose toolchain is missing is left out, or an error in CI.
pub(crate) fn tools(shell: &Shell) -> Result {
    for tool in &TOOLS {
        let folder = tool.folder(&shell.tools);
        if folder.join("bin").join(tool.name).is_file() {
            eprintln!("{} {} is there", tool.name, tool.version);
        } else if shell.can(tool.name, tool.needs)? {
            shell::run(&mut (tool.install)(shell, tool, &folder)?)?;
        } else {
            eprintln!("skipped: {} needs {}, which is not on PATH", tool.name, tool.needs);
        }
    }
    Ok(())
}

/// Where the programs are, whether or not they are installed yet.
pub(crate) fn folders(tools: &Path) -> impl Iterator<Item = PathBuf> {
    TOOLS.iter().map(|tool| tool.folder(tools).join("bin"))
}

/// Whether `cargo xtask tools` is the way to get this program.
pub(crate) fn installs(program: &str) -> bool {
    TOOLS.iter().any(|tool| tool.name == program)
}

fn buf(shell: &Shell, tool: &Tool, folder: &Path) -> Result<Command> {
    let mut command = shell.command("npm install --global --no-audit --no-fund --loglevel=error --prefix")?;
    command.arg(folder).arg(format!("@bufbuild/buf@{}", tool.version));
    Ok(command)
}

fn grpcurl(shell: &Shell, tool: &Tool, folder: &Path) -> Result<Command> {
    go_install(shell, folder, &format!("github.com/fullstorydev/grpcurl/cmd/grpcurl@v{}", tool.version))
}

fn grpc_health_probe(shell: &Shell, tool: &Tool, folder: &Path) -> Result<Command> {
    go_install(shell, folder, &format!("github.com/grpc-ecosystem/grpc-health-probe@v{}", tool.version))
}

fn go_install(shell: &Shell, folder: &Path, package: &str) -> Result<Command> {
    let mut command = shell.command("go install")?;
    command.arg(package).env("GOBIN", folder.join("bin"));
    Ok(command)
}

/// Compiled for a quick build: it runs for a second, and its own profile compiles for minutes longer.
fn cargo_deny(shell: &Shell, tool: &Tool, folder: &Path) -> Result<Command> {
    let mut command = shell.command("cargo install --locked --root")?;
    command.arg(folder).arg(format!("cargo-deny@{}", tool.version));
    command.envs([("CARGO_PROFILE_RELEASE_LTO", "off"), ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")]);
    command.env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16").env_remove("CARGO_TARGET_DIR");
    Ok(command)
}

/// Built from the modules that deploy/collector/builder.yaml pins, which takes minutes. What the builder writes beside
/// the program is small, and tells what is in it.
///
/// `-e`: the builder tidies its module, for which Go wants the modules that only tests of its modules need. Not all of
/// them can be had, and none is compiled; what is compiled is still verified.
fn otelcol(shell: &Shell, tool: &Tool, folder: &Path) -> Result<Command> {
    let mut command = shell.command("go run")?;
    command.arg(format!("go.opentelemetry.io/collector/cmd/builder@v{}", tool.version));
    command.args(["--config", "deploy/collector/builder.yaml"]);
    fs::create_dir_all(folder)?; // the builder makes only the last folder of its path
    command.env("dist.output_path", folder.join("bin")).env("GOFLAGS", "-e");
    Ok(command)
}

// === impl Tool ===

impl Tool {
    fn folder(&self, tools: &Path) -> PathBuf {
        tools.join(format!("{}-{}", self.name, self.version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_version_is_a_new_folder() {
        let tool = Tool { version: "1.0.0", ..TOOLS[0] };
        assert_eq!(tool.folder(Path::new("/tools")), Path::new("/tools/buf-1.0.0"));
    }

    #[test]
    fn the_collector_is_of_the_version_in_its_manifest() {
        let manifest = include_str!("../../deploy/collector/builder.yaml");
        let tool = TOOLS.iter().find(|tool| tool.name == "otelcol").unwrap();
        assert!(manifest.contains(&format!("\n  version: {}\n", tool.version)));
        let components =
            manifest.lines().filter(|line| line.contains("gomod: ") && !line.contains("/confmap/"));
        assert!(components.clone().count() > 5);
        assert!(components.clone().all(|line| line.ends_with(&format!(" v{}", tool.version))));
    }
}
