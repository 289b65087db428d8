//! Credentials: loaded when a call needs them, renewed well before they expire, by one call at a time.
//!
//! While one call renews them the others go on with those that still hold; only when none hold do all wait. Nothing is
//! spawned: a call that leaves while it loads leaves the loading to the next.
use super::{super::source::Provider, keys::Keys, sign::Proof};
use crate::failure::{Failure, FailureKind};
use aws_credential_types::provider::{ProvideCredentials as _, token::ProvideToken as _};
use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, SystemTime},
};
use tokio::{sync::Mutex, time::timeout};

/// How long before their end credentials are renewed, if they hold for twice as long. AWS's own sources have new ones by
/// then.
const AHEAD: Duration = Duration::from_secs(5 * 60);
/// How long before their end they are not used any more: a request must still arrive. The SDK's figure.
const MARGIN: Duration = Duration::from_secs(10);
/// When those without an end are looked at again. The SDK's figure.
const ENDLESS: Duration = Duration::from_secs(15 * 60);
/// How long a call waits for new ones while the old ones hold, and after a failure, how long none tries again.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a call waits when none hold. Its own clocks are usually shorter.
const LOAD: Duration = Duration::from_secs(20);

/// A provider, and what it gave last.
pub(super) struct Credentials {
    provider: Option<Provider>,
    known: RwLock<Option<Known>>,
    loading: Mutex<()>,
}

#[derive(Clone)]
struct Known {
    proof: Arc<Proof>,
    renew_at: SystemTime,
    /// Absent: never.
    expires: Option<SystemTime>,
}

// === impl Credentials ===

impl Credentials {
    pub(super) fn new(provider: Option<Provider>) -> Self {
        Self { provider, known: RwLock::default(), loading: Mutex::default() }
    }

    /// Credentials that hold at `now`.
    pub(super) async fn get(&self, now: SystemTime) -> Result<Arc<Proof>, Failure> {
        let Some(known) = self.known(now) else { return self.load(now).await };
        if now < known.renew_at {
            return Ok(known.proof);
        }
        match self.loading.try_lock() {
            Ok(_turn) => Ok(self.renew(known, now).await),
            Err(_another_does) => Ok(known.proof),
        }
    }

    /// None hold: waits for new ones, or for those that another call brings.
    async fn load(&self, now: SystemTime) -> Result<Arc<Proof>, Failure> {
        let _turn = self.loading.lock().await;
        if let Some(known) = self.known(now) {
            return Ok(known.proof);
        }
        let loaded = self.ask_provider(LOAD, now).await;
        // The kind that the SDK's failure to load them has.
        let loaded = loaded.map_err(|words| Failure::new(FailureKind::Unreachable, words))?;
        Ok(self.remember(loaded))
    }

    async fn renew(&self, known: Known, now: SystemTime) -> Arc<Proof> {
        match self.ask_provider(PATIENCE, now).await {
            Ok(loaded) => self.remember(loaded),
            Err(problem) => {
                tracing::warn!(problem, "the credentials could not be renewed: going on with the old ones");
                self.remember(Known { renew_at: now + PATIENCE, ..known })
            }
        }
    }

    async fn ask_provider(&self, patience: Duration, now: SystemTime) -> Result<Known, String> {
        let provider = self.provider.as_ref().ok_or("no credentials: no source is configured")?;
        match timeout(patience, proof(provider)).await {
            Ok(Ok((proof, expires))) => Ok(Known::new(proof, expires, now)),
            Ok(Err(error)) => Err(format!("no credentials: {error}")),
            Err(_elapsed) => Err("no credentials: their source did not answer in time".to_owned()),
        }
    }

    fn known(&self, now: SystemTime) -> Option<Known> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().filter(|known| known.hold_at(now)).cloned()
    }

    fn remember(&self, known: Known) -> Arc<Proof> {
        let proof = Arc::clone(&known.proof);
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some(known);
        proof
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials") // never a key
    }
}

/// What the provider has now, and until when. Errors have their own words only: those of their causes may name accounts
/// and roles.
async fn proof(provider: &Provider) -> Result<(Proof, Option<SystemTime>), String> {
    let bearer = |key: &str| Proof::bearer(key).ok_or("the bearer key cannot stand in a header");
    match provider {
        Provider::Keys(keys) => {
            let keys = keys.provide_credentials().await.map_err(|error| error.to_string())?;
            let expires = keys.expiry();
            let keys = Keys::new(keys).map_err(|_| "the session token cannot stand in a header")?;
            Ok((Proof::Keys(keys), expires))
        }
        Provider::Token(tokens) => {
            let token = tokens.provide_token().await.map_err(|error| error.to_string())?;
            Ok((bearer(token.token())?, token.expiration()))
        }
        Provider::Key(key) => Ok((bearer(key.token())?, None)),
    }
}

// === impl Known ===

impl Known {
    fn new(proof: Proof, expires: Option<SystemTime>, now: SystemTime) -> Self {
        let renew_at = match expires {
            Some(end) => {
                let life = end.duration_since(now).unwrap_or_default();
                end - AHEAD.min(life / 2)
            }
            None => now + ENDLESS,
        };
        Self { proof: Arc::new(proof), renew_at, expires }
    }

    fn hold_at(&self, now: SystemTime) -> bool {
        self.expires.is_none_or(|end| now + MARGIN < end)
    }
}
