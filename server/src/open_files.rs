//! Open files: every call holds a connection to Bedrock, every caller one to us, and each is a file.
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use switchboard_server::config::Config;

/// What a process has open besides: its log, its stores, its telemetry, the runtime's own.
const BESIDES: u64 = 64;

/// Allows itself as many as the system lets it, and warns where the configuration admits more calls than that carries.
pub(crate) fn raise(config: &Config) {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => {
            let limit = maximum.unwrap_or(u64::MAX); // absent: there is none
            if let Some(warning) = too_few(limit, config.admission.max_calls.get().into()) {
                tracing::warn!("{warning}");
            }
        }
        Err(error) => tracing::warn!(%error, "the limit on open files cannot be raised"),
    }
}

/// Callers may bring a connection for each call.
fn too_few(limit: u64, max_calls: u64) -> Option<String> {
    let needed = 2 * max_calls + BESIDES;
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
    fn a_limit_that_carries_all_calls_is_no_news() {
        assert_eq!(too_few(2112, 1024), None);
        let warning = too_few(1024, 1024).expect("is too few");
        assert!(warning.contains("1024 files") && warning.contains("need 2112"), "{warning}");
    }

    #[test]
    fn what_the_system_allows_is_taken() {
        raise(&Config::default());
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
    }
}
