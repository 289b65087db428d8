//! When credentials are loaded, and by whom. Their clock is the caller's; only waits are tokio's, which stands still.
use crate::{
    bedrock::{
        direct::{credentials::Credentials, keys, sign::Proof},
        source::Provider,
    },
    failure::FailureKind,
};
use aws_credential_types::{
    Credentials as Keys,
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

/// Gives keys that hold for a while, takes a second for it, and fails when it is told to.
#[derive(Clone, Debug, Default)]
struct Source {
    asked: Arc<AtomicUsize>,
    /// Absent: it fails.
    until: Arc<Mutex<Option<Option<SystemTime>>>>,
    hangs: Arc<Mutex<bool>>,
}

impl Source {
    fn gives(&self, until: Option<Option<SystemTime>>) {
        *self.until.lock().expect("is whole") = until;
    }

    fn asked(&self) -> usize {
        self.asked.load(SeqCst)
    }

    fn credentials(&self) -> Arc<Credentials> {
        let provider = Provider::Keys(SharedCredentialsProvider::new(self.clone()));
        Arc::new(Credentials::new(Some(provider)))
    }

    async fn give(&self) -> Result {
        self.asked.fetch_add(1, SeqCst);
        sleep(Duration::from_secs(if *self.hangs.lock().expect("is whole") { 600 } else { 1 })).await;
        let until = *self.until.lock().expect("is whole");
        let until = until.ok_or_else(|| CredentialsError::provider_error("is ill"))?;
        Ok(Keys::new(format!("KEY-{}", self.asked()), "SECRET", None, until, "test"))
    }
}

impl ProvideCredentials for Source {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.give())
    }
}

fn name(proof: &Proof) -> String {
    let Proof::Keys(keys) = proof else { panic!("is {proof:?}") };
    keys.id().to_owned()
}

#[tokio::test(start_paused = true)]
async fn they_are_renewed_five_minutes_before_their_end() {
    let (source, now) = (Source::default(), SystemTime::UNIX_EPOCH + HOUR);
    let credentials = source.credentials();
    source.gives(Some(Some(now + HOUR)));
    for (later, expected) in [(0, "KEY-1"), (30, "KEY-1"), (54, "KEY-1"), (55, "KEY-2"), (56, "KEY-2")] {
        if later == 55 {
            source.gives(Some(Some(now + 2 * HOUR)));
        }
        let proof = credentials.get(now + later * MINUTE).await.expect("hold");
        assert_eq!(name(&proof), expected, "after {later} minutes");
    }
}

#[tokio::test(start_paused = true)]
async fn those_without_an_end_are_looked_at_again_now_and_then() {
    let (source, now) = (Source::default(), SystemTime::UNIX_EPOCH + HOUR);
    let credentials = source.credentials();
    source.gives(Some(None));
    credentials.get(now).await.expect("hold");
    credentials.get(now + 14 * MINUTE).await.expect("hold");
    assert_eq!(source.asked(), 1);
    source.gives(None);
    let proof = credentials.get(now + 15 * MINUTE).await.expect("the old ones still hold");
    assert_eq!((name(&proof).as_str(), source.asked()), ("KEY-1", 2));
}

#[tokio::test(start_paused = true)]
async fn calls_that_come_together_load_them_once() {
    let (source, now) = (Source::default(), SystemTime::UNIX_EPOCH + HOUR);
    let credentials = source.credentials();
    source.gives(Some(Some(now + HOUR)));
    let calls = futures_util::future::join_all((0..50).map(|_| credentials.get(now))).await;
    assert!(calls.into_iter().all(|call| name(&call.expect("hold")) == "KEY-1"));
    assert_eq!(source.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn while_one_call_renews_them_the_others_do_not_wait() {
    let (source, now) = (Source::default(), SystemTime::UNIX_EPOCH + HOUR);
    let credentials = source.credentials();
    source.gives(Some(Some(now + HOUR)));
    credentials.get(now).await.expect("hold");
    source.gives(Some(Some(now + 2 * HOUR)));
    let late = now + 57 * MINUTE;
    let began = Instant::now();
    let timed = async || (credentials.get(late).await, began.elapsed());
    let ((renewed, long), (old, at_once)) = tokio::join!(timed(), timed());
    let names = [name(&renewed.expect("hold")), name(&old.expect("hold"))];
    assert_eq!(
        (names, long, at_once),
        (["KEY-2", "KEY-1"].map(Into::into), Duration::from_secs(1), Duration::ZERO)
    );
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_fails_leaves_the_old_ones_until_their_end() {
    let (source, now) = (Source::default(), SystemTime::UNIX_EPOCH + HOUR);
    let credentials = source.credentials();
    source.gives(Some(Some(now + HOUR)));
    credentials.get(now).await.expect("hold");
    source.gives(None);
    let late = now + 58 * MINUTE;
    for (seconds, asked) in [(0, 2), (1, 2), (4, 2), (5, 3)] {
        credentials.get(late + Duration::from_secs(seconds)).await.expect("the old ones still hold");
        assert_eq!(source.asked(), asked, "after {seconds} s");
    }
    let failure = credentials.get(now + HOUR - Duration::from_secs(10)).await.expect_err("hold no more");
    assert_eq!(failure.kind, FailureKind::Unreachable);
    source.gives(Some(Some(now + 3 * HOUR)));
    credentials.get(now + HOUR).await.expect("the source is well again");
}

#[tokio::test(start_paused = true)]
async fn a_source_that_hangs_holds_a_call_for_a_while_only() {
    let (source, now) = (Source::default(), SystemTime::UNIX_EPOCH + HOUR);
    let credentials = source.credentials();
    source.gives(Some(Some(now + HOUR)));
    credentials.get(now).await.expect("hold");
    *source.hangs.lock().expect("is whole") = true;
    for (at, expected) in [(now + 58 * MINUTE, 5), (now + HOUR, 20)] {
        let began = Instant::now();
        let held = credentials.get(at).await;
        assert_eq!((held.is_ok(), began.elapsed().as_secs()), (expected == 5, expected));
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_leaves_while_it_loads_leaves_it_to_the_next() {
    let (source, now) = (Source::default(), SystemTime::UNIX_EPOCH + HOUR);
    let credentials = source.credentials();
    source.gives(Some(Some(now + HOUR)));
    let left = tokio::time::timeout(Duration::from_millis(500), credentials.get(now)).await;
    assert!(left.is_err(), "it takes a second");
    credentials.get(now).await.expect("hold");
    assert_eq!(source.asked(), 2);
}

#[test]
fn they_do_not_show_themselves() {
    let secret = Proof::bearer("secret-key").expect("is a header");
    assert!(!format!("{secret:?}").contains("secret-key"));
    let keys = Keys::new("AKID", "SECRET", Some("TOKEN".to_owned()), None, "test");
    let keys = Proof::Keys(keys::Keys::new(keys).expect("can stand in a header"));
    assert!(!format!("{keys:?}").contains("SECRET") && !format!("{keys:?}").contains("TOKEN"));
    assert_eq!(format!("{:?}", Credentials::new(None)), "Credentials");
}
