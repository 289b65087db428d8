//! When credentials are loaded, and by which call. Tests pass the time to the cache; waits use tokio's paused
//! clock.
use crate::{
    bedrock::{
        aws_config::Provider,
        direct::{auth::RequestAuth, credentials::CredentialCache, sigv4::SigV4Signer},
    },
    failure::FailureKind,
};
use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, Result, SharedCredentialsProvider, error::CredentialsError, future},
};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, SystemTime},
};
use tokio::time::{Instant, sleep};

const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);

/// Provider that takes a second to return keys. They are called `KEY-1`, `KEY-2` and so on.
#[derive(Clone, Debug, Default)]
struct FakeProvider {
    loads: Arc<AtomicUsize>,
    /// Expiry of the keys. Absent: the provider fails.
    expiry: Arc<Mutex<Option<Option<SystemTime>>>>,
    /// True: the provider takes ten minutes instead of a second.
    hangs: Arc<Mutex<bool>>,
}

impl FakeProvider {
    fn set_expiry(&self, expiry: Option<Option<SystemTime>>) {
        *self.expiry.lock().expect("is not poisoned") = expiry;
    }

    /// How often keys were requested.
    fn loads(&self) -> usize {
        self.loads.load(SeqCst)
    }

    fn cache(&self) -> Arc<CredentialCache> {
        let provider = Provider::SigV4(SharedCredentialsProvider::new(self.clone()));
        Arc::new(CredentialCache::new(Some(provider)))
    }

    async fn load(&self) -> Result {
        self.loads.fetch_add(1, SeqCst);
        let seconds = if *self.hangs.lock().expect("is not poisoned") { 600 } else { 1 };
        sleep(Duration::from_secs(seconds)).await;
        let expiry = *self.expiry.lock().expect("is not poisoned");
        let expiry = expiry.ok_or_else(|| CredentialsError::provider_error("fails"))?;
        Ok(Credentials::new(format!("KEY-{}", self.loads()), "SECRET", None, expiry, "test"))
    }
}

impl ProvideCredentials for FakeProvider {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.load())
    }
}

fn name(auth: &RequestAuth) -> String {
    let RequestAuth::SigV4(signer) = auth else { panic!("is {auth:?}") };
    signer.access_key_id().to_owned()
}

#[tokio::test(start_paused = true)]
async fn credentials_are_renewed_five_minutes_before_they_expire() {
    let (provider, now) = (FakeProvider::default(), SystemTime::UNIX_EPOCH + HOUR);
    let cache = provider.cache();
    provider.set_expiry(Some(Some(now + HOUR)));
    for (later, expected) in [(0, "KEY-1"), (30, "KEY-1"), (54, "KEY-1"), (55, "KEY-2"), (56, "KEY-2")] {
        if later == 55 {
            provider.set_expiry(Some(Some(now + 2 * HOUR)));
        }
        let auth = cache.get(now + later * MINUTE).await.expect("are valid");
        assert_eq!(name(&auth), expected, "after {later} minutes");
    }
}

#[tokio::test(start_paused = true)]
async fn credentials_without_an_expiry_are_loaded_again_every_fifteen_minutes() {
    let (provider, now) = (FakeProvider::default(), SystemTime::UNIX_EPOCH + HOUR);
    let cache = provider.cache();
    provider.set_expiry(Some(None));
    cache.get(now).await.expect("are valid");
    cache.get(now + 14 * MINUTE).await.expect("are valid");
    assert_eq!(provider.loads(), 1);
    provider.set_expiry(None);
    let auth = cache.get(now + 15 * MINUTE).await.expect("the old ones are still valid");
    assert_eq!((name(&auth).as_str(), provider.loads()), ("KEY-1", 2));
}

#[tokio::test(start_paused = true)]
async fn calls_at_the_same_time_load_the_credentials_once() {
    let (provider, now) = (FakeProvider::default(), SystemTime::UNIX_EPOCH + HOUR);
    let cache = provider.cache();
    provider.set_expiry(Some(Some(now + HOUR)));
    let calls = futures_util::future::join_all((0..50).map(|_| cache.get(now))).await;
    assert!(calls.into_iter().all(|call| name(&call.expect("are valid")) == "KEY-1"));
    assert_eq!(provider.loads(), 1);
}

#[tokio::test(start_paused = true)]
async fn only_one_call_waits_for_a_renewal() {
    let (provider, now) = (FakeProvider::default(), SystemTime::UNIX_EPOCH + HOUR);
    let cache = provider.cache();
    provider.set_expiry(Some(Some(now + HOUR)));
    cache.get(now).await.expect("are valid");
    provider.set_expiry(Some(Some(now + 2 * HOUR)));
    let late = now + 57 * MINUTE;
    let start = Instant::now();
    let timed = async || (cache.get(late).await, start.elapsed());
    let ((renewed, first_wait), (old, second_wait)) = tokio::join!(timed(), timed());
    let names = [name(&renewed.expect("are valid")), name(&old.expect("are valid"))];
    assert_eq!(
        (names, first_wait, second_wait),
        (["KEY-2", "KEY-1"].map(Into::into), Duration::from_secs(1), Duration::ZERO)
    );
}

#[tokio::test(start_paused = true)]
async fn after_a_failed_renewal_the_old_credentials_are_used_until_they_expire() {
    let (provider, now) = (FakeProvider::default(), SystemTime::UNIX_EPOCH + HOUR);
    let cache = provider.cache();
    provider.set_expiry(Some(Some(now + HOUR)));
    cache.get(now).await.expect("are valid");
    provider.set_expiry(None);
    let late = now + 58 * MINUTE;
    for (seconds, loads) in [(0, 2), (1, 2), (4, 2), (5, 3)] {
        cache.get(late + Duration::from_secs(seconds)).await.expect("the old ones are still valid");
        assert_eq!(provider.loads(), loads, "after {seconds} s");
    }
    let failure = cache.get(now + HOUR - Duration::from_secs(10)).await.expect_err("are about to expire");
    assert_eq!(failure.kind, FailureKind::Unreachable);
    provider.set_expiry(Some(Some(now + 3 * HOUR)));
    cache.get(now + HOUR).await.expect("the provider works again");
}

#[tokio::test(start_paused = true)]
async fn the_wait_for_a_provider_that_hangs_is_limited() {
    let (provider, now) = (FakeProvider::default(), SystemTime::UNIX_EPOCH + HOUR);
    let cache = provider.cache();
    provider.set_expiry(Some(Some(now + HOUR)));
    cache.get(now).await.expect("are valid");
    *provider.hangs.lock().expect("is not poisoned") = true;
    for (at, expected) in [(now + 58 * MINUTE, 5), (now + HOUR, 20)] {
        let start = Instant::now();
        let result = cache.get(at).await;
        assert_eq!((result.is_ok(), start.elapsed().as_secs()), (expected == 5, expected));
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_call_was_cancelled_while_loading_the_next_call_loads() {
    let (provider, now) = (FakeProvider::default(), SystemTime::UNIX_EPOCH + HOUR);
    let cache = provider.cache();
    provider.set_expiry(Some(Some(now + HOUR)));
    let cancelled = tokio::time::timeout(Duration::from_millis(500), cache.get(now)).await;
    assert!(cancelled.is_err(), "loading takes a second");
    cache.get(now).await.expect("are valid");
    assert_eq!(provider.loads(), 2);
}

#[test]
fn debug_output_has_no_secrets() {
    let bearer = RequestAuth::bearer("secret-key").expect("is valid in a header");
    assert!(!format!("{bearer:?}").contains("secret-key"));
    let keys = Credentials::new("AKID", "SECRET", Some("TOKEN".to_owned()), None, "test");
    let signed = RequestAuth::SigV4(SigV4Signer::new(keys).expect("is valid in a header"));
    assert!(!format!("{signed:?}").contains("SECRET") && !format!("{signed:?}").contains("TOKEN"));
    assert_eq!(format!("{:?}", CredentialCache::new(None)), "CredentialCache");
}
