//! The limit on open files: every call holds a connection to Bedrock and every caller one to us, and each is
//! a file.
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use switchboard_server::config::Config;

/// Files that a process has open besides connections of calls: log, stores, telemetry, and the runtime's own.
const RESERVED_FILES: u64 = 64;

/// Raises the limit to the system's maximum, and warns if the configuration admits more calls than that
/// allows.
pub(crate) fn raise_open_files(config: &Config) {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => {
            let limit = maximum.unwrap_or(u64::MAX); // absent: unlimited
            if let Some(warning) = warning(limit, config.admission.max_calls.get().into()) {
                tracing::warn!("{warning}");
            }
        }
        Err(error) => tracing::warn!(%error, "the limit on open files cannot be raised"),
    }
}

/// A warning if the limit is too low: callers may use a connection for each call.
fn warning(limit: u64, max_calls: u64) -> Option<String> {
    let needed = 2 * max_calls + RESERVED_FILES;
    (limit < needed).then(|| {
        format!(
            "this process may open {limit} files, and {max_calls} calls at once may need {needed}: raise the limit \
             (LimitNOFILE, ulimit -n) or lower [admission] max_calls"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sufficient_limit_gives_no_warning() {
        assert_eq!(warning(2112, 1024), None);
        let warning = warning(1024, 1024).expect("is too low");
        assert!(warning.contains("1024 files") && warning.contains("need 2112"), "{warning}");
    }

    #[test]
    fn the_limit_is_raised_to_the_maximum() {
        raise_open_files(&Config::default());
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
    }
}
