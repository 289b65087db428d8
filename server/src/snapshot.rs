//! Snapshots: everything that one version of the configuration determines.
//!
//! A call keeps the snapshot with which it started, through fallbacks, hedges, restarts and its record, so
//! that a new configuration never changes a running call. What was learned of deployments and tasks lives
//! longer than a snapshot: it is carried over by identity, see [`crate::deployment`].
use crate::{
    catalogue::Catalogue,
    config::{self, Config},
    deployment::Registry,
    route::Routes,
};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use tokio::sync::watch;

/// One version of the configuration, ready to serve.
#[derive(Debug)]
pub struct Snapshot {
    /// The tasks and their candidates.
    pub routes: Routes,
    /// When and how often failed models are tried again.
    pub retry: config::Retry,
    /// Digest of the values of all settings and of the catalogue: a comment does not change it, any setting
    /// does.
    pub version: String,
}

/// Where calls get the current snapshot from.
pub type Snapshots = watch::Receiver<Arc<Snapshot>>;

// === impl Snapshot ===

impl Snapshot {
    /// The snapshot of a checked configuration. Models without a region are called in `default_region`.
    #[must_use]
    pub fn build(config: &Config, catalogue: &Catalogue, default_region: &str, registry: &Registry) -> Self {
        Self {
            routes: Routes::build(config, catalogue, default_region, registry),
            retry: config.retry,
            version: version(config, catalogue, default_region),
        }
    }

    /// A source of this snapshot alone, for servers whose configuration does not change.
    #[must_use]
    pub fn fixed(self) -> Snapshots {
        watch::Sender::new(Arc::new(self)).subscribe()
    }
}

/// The canonical JSON text of the values: maps are sorted, and positions in the file are left out.
fn version(config: &Config, catalogue: &Catalogue, default_region: &str) -> String {
    let values = serde_json::to_vec(&(config, catalogue, default_region));
    let digest = Sha256::digest(values.unwrap_or_else(|error| error.to_string().into_bytes())); // a test shows that it cannot fail
    hex::encode(&digest[..6])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(toml: &str) -> String {
        let config = Config::parse(toml).expect("is valid");
        Snapshot::build(&config, &Catalogue::built_in(), "us-east-1", &Registry::default()).version
    }

    const SMALL: &str = "[models.a]\nid = \"us.a\"\n[tasks.default]\nmodels = [\"a\"]\n";

    #[test]
    fn a_comment_does_not_change_the_version() {
        let commented = format!("# A comment\n\n{}", SMALL.replace("id =", "# another one\nid    ="));
        assert_eq!(version(SMALL), version(&commented));
    }

    /// The values differ from the defaults.
    #[test]
    fn any_setting_changes_the_version() {
        let settings = [
            "server.max_calls_per_connection = 7",
            "admission.max_calls = 7",
            "bedrock.connect_timeout = \"7s\"",
            "routing.max_fallback_share = 0.7",
            "deadline.reader = \"7s\"",
            "retry.rounds = 3",
            "breaker.min_attempts = 7",
            "hedging.budget = 7",
            "feedback.max_answers = 7",
            "telemetry.capture_content = true",
            "models.b.id = \"us.b\"",
            "models.b = { id = \"us.b\", ladder = [{ region = \"eu-west-1\" }] }",
            "tasks.other.models = [\"a\"]",
        ];
        let mut versions = vec![version(SMALL)];
        for setting in settings {
            versions.push(version(&format!("{setting}\n{SMALL}")));
        }
        let all = versions.len();
        versions.sort();
        versions.dedup();
        assert_eq!(versions.len(), all, "two settings give the same version");
    }

    #[test]
    fn state_is_carried_over_by_identity_and_not_by_position() {
        let registry = Registry::default();
        let build = |toml: &str| {
            let config = Config::parse(toml).expect("is valid");
            Snapshot::build(&config, &Catalogue::built_in(), "us-east-1", &registry)
        };
        let two = "[models.b]\nid = \"us.b\"\n[tasks.default]\nmodels = [\"b\"]\n";
        let before = build(two);
        let opened = |snapshot: &Snapshot, name: &str| {
            let mut deployments = snapshot.routes.deployments();
            deployments.find(|it| it.name == name).expect("is there").breaker_state()
        };
        let deployment = Arc::clone(before.routes.deployments().next().expect("is there"));
        for _ in 0..20 {
            let permit = deployment.acquire(crate::rpc::Method::Converse).expect("is closed");
            permit.failed(&crate::failure::Failure::new(crate::failure::FailureKind::Internal, ""));
        }
        // A model that comes first by name, a renamed model, and an unchanged one.
        let after = build(
            "[models.a]\nid = \"us.a\"\n[models.renamed]\nid = \"us.b\"\n\
             [tasks.default]\nmodels = [\"a\", \"renamed\"]\n",
        );
        use switchboard_proto::v1::BreakerState;
        assert_eq!(opened(&before, "b"), BreakerState::Open);
        assert_eq!(opened(&after, "a"), BreakerState::Closed);
        assert_eq!(opened(&after, "renamed"), BreakerState::Open);
        drop((before, after, deployment));
        assert_eq!(opened(&build(two), "b"), BreakerState::Closed, "what nothing holds is forgotten");
    }
}
