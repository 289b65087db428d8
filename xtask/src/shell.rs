//! The one way to run a command: shown first, from the root of the checkout, with our tools ahead of `PATH`.
use std::{
    env,
    error::Error,
    ffi::{OsStr, OsString},
    io::ErrorKind,
    path::PathBuf,
    process::{Command, Stdio},
};

pub(crate) type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// What a command needs to know of the machine, read once in main.rs.
#[derive(Debug)]
pub(crate) struct Shell {
    pub(crate) root: PathBuf,
    pub(crate) tools: PathBuf,
    /// Where programs are looked for, our tools first.
    pub(crate) path: Vec<PathBuf>,
    /// Variables that no command may inherit, see [`is_of_xtask`].
    pub(crate) of_xtask: Vec<OsString>,
    pub(crate) ci: bool,
}

/// Whether Cargo set this variable about xtask itself. Build scripts of other packages watch some of them (ring's
/// does), so that with them `cargo xtask test` and `cargo test` would undo each other's builds.
pub(crate) fn is_of_xtask(variable: &OsStr) -> bool {
    let name = variable.to_string_lossy();
    ["CARGO_MANIFEST_", "CARGO_PKG_", "CARGO_CRATE_", "CARGO_BIN_"]
        .iter()
        .any(|start| name.starts_with(start))
}

// === impl Shell ===

impl Shell {
    /// A command from words parted by spaces; words that hold spaces are added with `arg`.
    pub(crate) fn command(&self, words: &str) -> Result<Command> {
        let mut words = words.split_whitespace();
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words).current_dir(&self.root).env("PATH", env::join_paths(&self.path)?);
        for variable in &self.of_xtask {
            command.env_remove(variable);
        }
        Ok(command)
    }

    /// Runs it to its end. Fails when it cannot start or says it failed.
    pub(crate) fn run(&self, words: &str) -> Result {
        run(&mut self.command(words)?)
    }

    /// What it prints, without the last newline; `None` when it fails. Not shown: it is a question, not a step.
    pub(crate) fn ask(&self, words: &str) -> Result<Option<String>> {
        let command = &mut self.command(words)?;
        let answer = command.stderr(Stdio::null()).output().map_err(|error| cannot_start(command, &error))?;
        let said = || String::from_utf8_lossy(&answer.stdout).trim_end().to_owned();
        Ok(answer.status.success().then(said))
    }

    pub(crate) fn has(&self, program: &str) -> bool {
        self.path.iter().any(|folder| folder.join(program).is_file())
    }

    /// Whether `what` can be done here, for which `program` is needed. A developer may do without a language; CI may
    /// not, or nobody would notice that its tests never run.
    pub(crate) fn can(&self, what: &str, program: &str) -> Result<bool> {
        match (self.has(program), self.ci) {
            (true, _) => Ok(true),
            (false, true) => Err(format!("{what} needs {program}, which is not on PATH").into()),
            (false, false) => Ok(false),
        }
    }
}

/// Shows the command and runs it to its end.
pub(crate) fn run(command: &mut Command) -> Result {
    let shown = show(command);
    eprintln!("$ {shown}");
    let status = command.status().map_err(|error| cannot_start(command, &error))?;
    if status.success() { Ok(()) } else { Err(format!("{shown}: {status}").into()) }
}

fn cannot_start(command: &Command, error: &std::io::Error) -> String {
    let program = command.get_program().to_string_lossy();
    match error.kind() {
        ErrorKind::NotFound if crate::tools::installs(&program) => {
            format!("{program} is not installed: run `cargo xtask tools`")
        }
        ErrorKind::NotFound => format!("{program} is not on PATH"),
        _ => format!("{program}: {error}"),
    }
}

/// The command as one would type it.
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
            tools: PathBuf::new(),
            path: path.iter().map(|folder| folder.to_path_buf()).collect(),
            of_xtask: vec!["CARGO_PKG_NAME".into()],
            ci,
        }
    }

    #[test]
    fn a_command_is_shown_as_one_would_type_it() {
        let mut command = Command::new("cargo");
        command.args(["test", "--", "it's here", "", "a=b"]);
        assert_eq!(show(&command), r"cargo test -- 'it'\''s here' '' a=b");
    }

    #[test]
    fn a_missing_toolchain_is_left_out_by_a_developer_and_an_error_in_ci() {
        let developer = shell(&[], false);
        let ci = shell(&[], true);
        assert!(!developer.can("the Java suite", "mvn").unwrap());
        let error = ci.can("the Java suite", "mvn").unwrap_err();
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
    fn a_tool_of_ours_comes_before_one_on_path() {
        use std::os::unix::fs::PermissionsExt;

        let folder = env::temp_dir().join(format!("switchboard-xtask-{}", std::process::id()));
        let [ours, theirs] = ["ours", "theirs"].map(|name| folder.join(name));
        for place in [&ours, &theirs] {
            let program = place.join("greet");
            fs::create_dir_all(place).unwrap();
            fs::write(&program, "#!/bin/sh\necho \"$0\" \"$CARGO_PKG_NAME\"\n").unwrap();
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        }

        let shell = shell(&[&ours, &theirs], false);

        assert!(shell.has("greet"));
        assert_eq!(shell.ask("greet").unwrap(), Some(ours.join("greet").display().to_string()));
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn only_what_cargo_says_of_xtask_is_kept_from_commands() {
        let kept = ["CARGO_TARGET_DIR", "CARGO_HOME", "RUSTFLAGS", "CI"];
        let hidden = ["CARGO_MANIFEST_DIR", "CARGO_PKG_NAME", "CARGO_CRATE_NAME", "CARGO_BIN_NAME"];
        assert!(!kept.iter().any(|name| is_of_xtask(OsStr::new(name))));
        assert!(hidden.iter().all(|name| is_of_xtask(OsStr::new(name))));
    }
}
