//! `cargo xtask tools`: installs the programs that lint and test need and that no toolchain brings, each in
//! the version of [`crate::pins`].
//!
//! A version is installed if its folder has the program. Builds happen in temporary folders and leave nothing
//! behind.
use crate::{
    pins::{self, Pin},
    shell::{self, Result, Shell},
};
use std::{fs, path::Path, process::Command};

#[derive(Debug)]
struct Tool {
    pin: Pin,
    /// Program of the toolchain that installs it.
    needs: &'static str,
    install: fn(&Shell, Pin, &Path) -> Result<Command>,
}

const TOOLS: [Tool; 5] = [
    Tool { pin: pins::BUF, needs: "npm", install: buf },
    Tool { pin: pins::GRPCURL, needs: "go", install: grpcurl },
    Tool { pin: pins::GRPC_HEALTH_PROBE, needs: "go", install: grpc_health_probe },
    Tool { pin: pins::CARGO_DENY, needs: "cargo", install: cargo_deny },
    Tool { pin: pins::OTELCOL, needs: "go", install: otelcol },
];

/// Installs the tools that are missing. A tool whose toolchain is missing is skipped; in CI that is an error.
pub(crate) fn tools(shell: &Shell) -> Result {
    for Tool { pin, needs, install } in &TOOLS {
        let Pin { program, version } = pin;
        let folder = pin.folder(&shell.tools);
        if folder.join("bin").join(program).is_file() {
            eprintln!("{program} {version} is installed");
        } else if shell.is_available(program, needs)? {
            shell::run(&mut install(shell, *pin, &folder)?)?;
        } else {
            eprintln!("skipped: {program} needs {needs}, which is not on PATH");
        }
    }
    Ok(())
}

fn buf(shell: &Shell, pin: Pin, folder: &Path) -> Result<Command> {
    let mut command = shell.command("npm install --global --no-audit --no-fund --loglevel=error --prefix")?;
    command.arg(folder).arg(format!("@bufbuild/buf@{}", pin.version));
    Ok(command)
}

fn grpcurl(shell: &Shell, pin: Pin, folder: &Path) -> Result<Command> {
    go_install(shell, folder, &format!("github.com/fullstorydev/grpcurl/cmd/grpcurl@v{}", pin.version))
}

fn grpc_health_probe(shell: &Shell, pin: Pin, folder: &Path) -> Result<Command> {
    go_install(shell, folder, &format!("github.com/grpc-ecosystem/grpc-health-probe@v{}", pin.version))
}

fn go_install(shell: &Shell, folder: &Path, package: &str) -> Result<Command> {
    let mut command = shell.command("go install")?;
    command.arg(package).env("GOBIN", folder.join("bin"));
    Ok(command)
}

/// Builds without most optimizations: the program runs for a second, and its own profile takes minutes
/// longer.
fn cargo_deny(shell: &Shell, pin: Pin, folder: &Path) -> Result<Command> {
    let mut command = shell.command("cargo install --locked --root")?;
    command.arg(folder).arg(format!("cargo-deny@{}", pin.version));
    command.envs([("CARGO_PROFILE_RELEASE_LTO", "off"), ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")]);
    command.env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16").env_remove("CARGO_TARGET_DIR");
    Ok(command)
}

/// Builds the collector from the modules that deploy/collector/builder.yaml pins, which takes minutes. The
/// files that the builder writes next to the program are small and describe what it contains.
///
/// `-e`: the builder tidies its module, for which Go wants the modules that only tests of its modules need.
/// Some of them cannot be downloaded, and none is compiled. Go still verifies the modules that it compiles.
fn otelcol(shell: &Shell, pin: Pin, folder: &Path) -> Result<Command> {
    let mut command = shell.command("go run")?;
    command.arg(format!("go.opentelemetry.io/collector/cmd/builder@v{}", pin.version));
    command.args(["--config", "deploy/collector/builder.yaml"]);
    fs::create_dir_all(folder)?; // the builder creates only the last folder of its path
    command.env("dist.output_path", folder.join("bin")).env("GOFLAGS", "-e");
    Ok(command)
}
