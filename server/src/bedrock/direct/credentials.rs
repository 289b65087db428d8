//! Cache of credentials. They are loaded when a call needs them and renewed well before they expire, by one
//! call at a time.
//!
//! While one call renews them, the others use the old ones if those are still valid; otherwise all wait. No
//! task is spawned. If the call that loads them is cancelled, the next call loads them.
use super::{auth::RequestAuth, sigv4::SigV4Signer};
use crate::{
    bedrock::aws_config::Provider,
    failure::{Failure, FailureKind},
};
use aws_credential_types::provider::{ProvideCredentials as _, token::ProvideToken as _};
use parking_lot::RwLock;
use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::{sync::Mutex, time::timeout};

/// Maximum time before their expiry at which credentials are renewed. AWS's own sources have new ones by
/// then. Those that are valid for less than twice as long are renewed after half of their lifetime.
const MAX_RENEWAL_LEAD: Duration = Duration::from_secs(5 * 60);

/// Minimum remaining lifetime of credentials that are used: the request must arrive before they expire. The
/// SDK uses the same value.
const MIN_REMAINING_LIFETIME: Duration = Duration::from_secs(10);

/// Interval at which credentials that never expire are loaded again. The SDK uses the same value.
const RELOAD_INTERVAL: Duration = Duration::from_secs(15 * 60);

/// Maximum time that a call waits for a renewal while the old credentials are still valid.
const MAX_RENEWAL_WAIT: Duration = Duration::from_secs(5);

/// Minimum time between a failed renewal and the next one.
const MIN_RENEWAL_PAUSE: Duration = Duration::from_secs(5);

/// Maximum time that a call waits for credentials if none are valid. The timeouts of the call are usually
/// shorter.
const MAX_LOAD_WAIT: Duration = Duration::from_secs(20);

/// A provider and the credentials that it returned last.
pub(super) struct CredentialCache {
    /// Absent: the configuration has no source of credentials.
    provider: Option<Provider>,
    /// Absent: nothing was loaded yet.
    cached: RwLock<Option<Cached>>,
    /// Held by the call that loads.
    loading: Mutex<()>,
}

#[derive(Clone)]
struct Cached {
    auth: Arc<RequestAuth>,
    renew_at: SystemTime,
    /// Absent: they never expire.
    expires_at: Option<SystemTime>,
}

// === impl CredentialCache ===

impl CredentialCache {
    pub(super) fn new(provider: Option<Provider>) -> Self {
        Self { provider, cached: RwLock::default(), loading: Mutex::default() }
    }

    /// Credentials that are valid at `now`.
    pub(super) async fn get(&self, now: SystemTime) -> Result<Arc<RequestAuth>, Failure> {
        let Some(cached) = self.valid_at(now) else { return self.load(now).await };
        if now < cached.renew_at {
            return Ok(cached.auth);
        }
        match self.loading.try_lock() {
            Ok(_guard) => Ok(self.renew(cached, now).await),
            Err(_another_call_renews) => Ok(cached.auth),
        }
    }

    /// Loads credentials, or waits until another call has loaded them.
    async fn load(&self, now: SystemTime) -> Result<Arc<RequestAuth>, Failure> {
        let _guard = self.loading.lock().await;
        if let Some(cached) = self.valid_at(now) {
            return Ok(cached.auth);
        }
        let loaded = self.load_from_provider(MAX_LOAD_WAIT, now).await;
        // The SDK's own failure to load credentials has this kind too.
        let loaded = loaded.map_err(|message| Failure::new(FailureKind::Unreachable, message))?;
        Ok(self.store(loaded))
    }

    /// Replaces credentials that are still valid, or keeps them if that fails.
    async fn renew(&self, cached: Cached, now: SystemTime) -> Arc<RequestAuth> {
        match self.load_from_provider(MAX_RENEWAL_WAIT, now).await {
            Ok(loaded) => self.store(loaded),
            Err(problem) => {
                tracing::warn!(problem, "the credentials could not be renewed; the old ones are still valid");
                self.store(Cached { renew_at: now + MIN_RENEWAL_PAUSE, ..cached })
            }
        }
    }

    async fn load_from_provider(&self, max_wait: Duration, now: SystemTime) -> Result<Cached, String> {
        let provider = self.provider.as_ref().ok_or("no credentials: no source is configured")?;
        match timeout(max_wait, request_auth(provider)).await {
            Ok(Ok((auth, expires_at))) => Ok(Cached::new(auth, expires_at, now)),
            Ok(Err(error)) => Err(format!("no credentials: {error}")),
            Err(_elapsed) => Err(format!("no credentials: their source did not respond within {max_wait:?}")),
        }
    }

    fn valid_at(&self, now: SystemTime) -> Option<Cached> {
        let cached = self.cached.read();
        cached.as_ref().filter(|cached| cached.is_valid_at(now)).cloned()
    }

    fn store(&self, cached: Cached) -> Arc<RequestAuth> {
        let auth = Arc::clone(&cached.auth);
        *self.cached.write() = Some(cached);
        auth
    }
}

impl fmt::Debug for CredentialCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CredentialCache") // without keys and tokens
    }
}

/// Loads credentials and their expiry. An error has only its own message: those of its causes may name
/// accounts and roles.
async fn request_auth(provider: &Provider) -> Result<(RequestAuth, Option<SystemTime>), String> {
    let bearer = |token: &str| {
        RequestAuth::bearer(token).ok_or("the bearer token has characters that a header cannot hold")
    };
    match provider {
        Provider::SigV4(keys) => {
            let keys = keys.provide_credentials().await.map_err(|error| error.to_string())?;
            let expires_at = keys.expiry();
            let signer = SigV4Signer::new(keys)
                .map_err(|_| "the session token has characters that a header cannot hold")?;
            Ok((RequestAuth::SigV4(signer), expires_at))
        }
        Provider::SsoToken(tokens) => {
            let token = tokens.provide_token().await.map_err(|error| error.to_string())?;
            Ok((bearer(token.token())?, token.expiration()))
        }
        Provider::ApiKey(key) => Ok((bearer(key.token())?, None)),
    }
}

// === impl Cached ===

impl Cached {
    fn new(auth: RequestAuth, expires_at: Option<SystemTime>, now: SystemTime) -> Self {
        let renew_at = match expires_at {
            Some(end) => {
                let lifetime = end.duration_since(now).unwrap_or_default();
                end - MAX_RENEWAL_LEAD.min(lifetime / 2)
            }
            None => now + RELOAD_INTERVAL,
        };
        Self { auth: Arc::new(auth), renew_at, expires_at }
    }

    fn is_valid_at(&self, now: SystemTime) -> bool {
        self.expires_at.is_none_or(|end| now + MIN_REMAINING_LIFETIME < end)
    }
}
