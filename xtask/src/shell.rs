//! Runs commands: each is shown first and runs in the root of the checkout, with the pinned tools ahead of
//! `PATH`.
use crate::pins;
use std::{
    env,
    error::Error,
    ffi::{OsStr, OsString},
    io::ErrorKind,
    path::PathBuf,
    process::{Command, Stdio},
};

pub(crate) type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// Facts about the machine that commands need, read once in main.rs.
#[derive(Debug, Default)]
pub(crate) struct Shell {
    /// Root of the checkout.
    pub(crate) root: PathBuf,
    /// Folder of the installed tools.
    pub(crate) tools: PathBuf,
    /// Folders that are searched for programs, those of the pinned tools first.
    pub(crate) path: Vec<PathBuf>,
    /// Variables that no command may inherit, see [`describes_xtask`].
    pub(crate) hidden_variables: Vec<OsString>,
    /// True if a missing toolchain is an error.
    pub(crate) ci: bool,
}

/// True if Cargo set this variable to describe xtask itself. Build scripts of other packages, ring's for one,
/// watch some of these variables: inherited, they would make `cargo xtask test` and `cargo test` undo each
/// other's builds.
pub(crate) fn describes_xtask(variable: &OsStr) -> bool {
    let name = variable.to_string_lossy();
    ["CARGO_MANIFEST_", "CARGO_PKG_", "CARGO_CRATE_", "CARGO_BIN_"]
        .iter()
        .any(|start| name.starts_with(start))
}

// === impl Shell ===

impl Shell {
    /// Makes a command from words separated by spaces. Words that contain spaces are added with `arg`.
    pub(crate) fn command(&self, words: &str) -> Result<Command> {
        let mut words = words.split_whitespace();
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words).current_dir(&self.root).env("PATH", env::join_paths(&self.path)?);
        for variable in &self.hidden_variables {
            command.env_remove(variable);
        }
        Ok(command)
    }

    /// Runs a command to its end. Fails if it cannot start or exits with a status other than 0.
    pub(crate) fn run(&self, words: &str) -> Result {
        run(&mut self.command(words)?)
    }

    /// Runs a command to its end and returns what it prints. Its errors are shown.
    pub(crate) fn capture(&self, words: &str) -> Result<String> {
        let command = &mut self.command(words)?;
        eprintln!("$ {}", show(command));
        let output = command.stderr(Stdio::inherit()).output();
        let output = output.map_err(|error| cannot_start(command, &error))?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(format!("{}: {}", show(command), output.status).into())
        }
    }

    /// Returns what a command prints, without the last newline; `None` if it fails. The command is not shown,
    /// because it changes nothing.
    pub(crate) fn output(&self, words: &str) -> Result<Option<String>> {
        let command = &mut self.command(words)?;
        let output = command.stderr(Stdio::null()).output().map_err(|error| cannot_start(command, &error))?;
        let text = || String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
        Ok(output.status.success().then(text))
    }

    /// True if the program is installed.
    pub(crate) fn has(&self, program: &str) -> bool {
        self.path.iter().any(|folder| folder.join(program).is_file())
    }

    /// True if `program`, which `what` needs, is installed. Returns an error in CI if it is not: a developer
    /// may work without the toolchain of some language, but in CI its tests would be skipped unnoticed.
    pub(crate) fn is_available(&self, what: &str, program: &str) -> Result<bool> {
        match (self.has(program), self.ci) {
            (true, _) => Ok(true),
            (false, true) => Err(format!("{what} needs {program}, which is not on PATH").into()),
            (false, false) => Ok(false),
        }
    }
}

/// Shows a command and runs it to its end.
pub(crate) fn run(command: &mut Command) -> Result {
    let shown = show(command);
    eprintln!("$ {shown}");
    let status = command.status().map_err(|error| cannot_start(command, &error))?;
    if status.success() { Ok(()) } else { Err(format!("{shown}: {status}").into()) }
}

fn cannot_start(command: &Command, error: &std::io::Error) -> String {
    let program = command.get_program().to_string_lossy();
    match error.kind() {
        ErrorKind::NotFound if pins::installs(&program) => {
            format!("{program} is not installed: run `cargo xtask tools`")
        }
        ErrorKind::NotFound => format!("{program} is not on PATH"),
        _ => format!("{program}: {error}"),
    }
}

/// The command as it would be typed in a shell.
fn show(command: &Command) -> String {
    let words = [command.get_program()].into_iter().chain(command.get_args());
    words.map(quote).collect::<Vec<_>>().join(" ")
}

fn quote(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=+./:,@^~".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, path::Path};

    fn shell(path: &[&Path], ci: bool) -> Shell {
        Shell {
            root: env::temp_dir(),
            path: path.iter().map(|folder| folder.to_path_buf()).collect(),
            hidden_variables: vec!["CARGO_PKG_NAME".into()],
            ci,
            ..Shell::default()
        }
    }

    #[test]
    fn a_command_is_shown_as_it_would_be_typed() {
        let mut command = Command::new("cargo");
        command.args(["test", "--", "it's here", "", "a=b"]);
        assert_eq!(show(&command), r"cargo test -- 'it'\''s here' '' a=b");
    }

    #[test]
    fn a_missing_toolchain_is_an_error_only_in_ci() {
        let developer = shell(&[], false);
        let ci = shell(&[], true);
        assert!(!developer.is_available("the Java suite", "mvn").unwrap());
        let error = ci.is_available("the Java suite", "mvn").unwrap_err();
        assert_eq!(error.to_string(), "the Java suite needs mvn, which is not on PATH");
    }

    #[test]
    fn a_missing_tool_names_the_command_that_installs_it() {
        let error = shell(&[], false).run("buf lint").unwrap_err();
        assert_eq!(error.to_string(), "buf is not installed: run `cargo xtask tools`");
        let error = shell(&[], false).run("mvn test").unwrap_err();
        assert_eq!(error.to_string(), "mvn is not on PATH");
    }

    #[cfg(unix)]
    #[test]
    fn a_pinned_tool_comes_before_one_on_path() {
        use std::os::unix::fs::PermissionsExt;

        let folder = env::temp_dir().join(format!("switchboard-xtask-{}", std::process::id()));
        let [pinned, other] = ["pinned", "other"].map(|name| folder.join(name));
        for bin in [&pinned, &other] {
            let program = bin.join("greet");
            fs::create_dir_all(bin).unwrap();
            fs::write(&program, "#!/bin/sh\necho \"$0\" \"$CARGO_PKG_NAME\"\n").unwrap();
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        }

        let shell = shell(&[&pinned, &other], false);

        assert!(shell.has("greet"));
        assert_eq!(shell.output("greet").unwrap(), Some(pinned.join("greet").display().to_string()));
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn only_variables_that_describe_xtask_are_hidden_from_commands() {
        let kept = ["CARGO_TARGET_DIR", "CARGO_HOME", "RUSTFLAGS", "CI"];
        let hidden = ["CARGO_MANIFEST_DIR", "CARGO_PKG_NAME", "CARGO_CRATE_NAME", "CARGO_BIN_NAME"];
        assert!(!kept.iter().any(|name| describes_xtask(OsStr::new(name))));
        assert!(hidden.iter().all(|name| describes_xtask(OsStr::new(name))));
    }
}
