//! The direct engine: the SDK's parts, put together once and not for every call.
//!
//! Regions, credentials and endpoints are found as the SDK finds them ([`Source`]), requests are signed as it signs
//! them, and go out over connections of our own. What does not change from call to call is made at the start: a call adds its path,
//! its signature and its body, which is never copied.
//!
//! Connections speak HTTP/1.1, one answer each: on the one HTTP/2 connection that the service would offer, all answers
//! would share one window, and a slow reader's would hold back the first token of the others'.
mod credentials;
mod keys;
mod line;
mod place;
mod pool;
mod sign;
#[cfg(test)]
mod tests;
mod warm;

pub(super) use line::AnswerBody;

use super::{
    ConnectError,
    engine::{Operation, Reply, ReplyBody},
    failure::{not_sent, refused, request_id, unknown_region},
    source::Source,
};
use crate::{config, failure::Failure};
use bytes::Bytes;
use credentials::Credentials;
use http_body_util::Full;
use place::Place;
use pool::Pool;
use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, PoisonError, RwLock},
    time::SystemTime,
};
use tokio::task::JoinSet;

/// One pool of connections, and what each region's requests have in common.
#[derive(Debug)]
pub(super) struct Direct {
    places: HashMap<String, Arc<Place>>,
    pool: Pool,
    credentials: RwLock<Arc<Credentials>>,
    /// Keeps connections warm; ends when this is dropped.
    _keeping: JoinSet<()>,
}

// === impl Direct ===

impl Direct {
    pub(super) async fn connect(
        settings: &config::Bedrock,
        source: &Source,
        regions: &BTreeSet<String>,
    ) -> Result<Self, ConnectError> {
        let mut places = HashMap::new();
        for region in regions {
            let place = Place::find(source, region).await?;
            places.insert(region.clone(), Arc::new(place));
        }
        let pool = Pool::new(settings.connect_timeout, places.values().map(AsRef::as_ref))?;
        let credentials = Credentials::new(source.provider());
        // Not in the time of the first call. They were there a moment ago; if they are not now, that call says so.
        let _loaded = credentials.get(SystemTime::now()).await;
        warm::open(&pool, places.values(), settings).await;
        let keeping = warm::keep(&pool, places.values(), settings);
        Ok(Self { places, pool, credentials: RwLock::new(Arc::new(credentials)), _keeping: keeping })
    }

    pub(super) async fn send(
        &self,
        region: &str,
        operation: Operation,
        model_id: &str,
        body: Bytes,
    ) -> Result<Reply, Failure> {
        let place = self.places.get(region).ok_or_else(|| unknown_region(region))?;
        let now = SystemTime::now();
        let proof = self.credentials().get(now).await?;
        let path = place.path(operation, model_id)?;
        let proof = proof.for_request(place, &path, &body, now)?;
        let request = place.request(operation, path, proof, Full::new(body))?;

        let in_use = place.in_use.one_more();
        let answer = self.pool.request(place, request).await.map_err(|error| not_sent(&*error))?;
        let (head, body) = answer.into_parts();
        if !head.status.is_success() {
            return Err(refused(&head, body).await);
        }
        let request_id = request_id(&head.headers);
        Ok(Reply { request_id, body: ReplyBody::Direct(body.counted(in_use)) })
    }

    pub(super) fn renew(&self, source: &Source) {
        let renewed = Arc::new(Credentials::new(source.provider()));
        *self.credentials.write().unwrap_or_else(PoisonError::into_inner) = renewed;
    }

    fn credentials(&self) -> Arc<Credentials> {
        Arc::clone(&self.credentials.read().unwrap_or_else(PoisonError::into_inner))
    }
}
