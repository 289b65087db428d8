//! Prompt caching: the prompt prefix before a cache point is cached until its time to live (TTL) expires.
//!
//! A prefix is identified by the model and a digest of everything before the cache point. As in Bedrock,
//! reading a prefix renews its TTL. Prefixes shorter than the model's minimum are not cached and cost nothing
//! extra.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::digest::Digest;
use crate::error::ServiceError;
use crate::models::Model;
use crate::prompt::Part;

/// TTL of a cache point without `"ttl": "1h"`.
const DEFAULT_TTL: Duration = Duration::from_secs(5 * 60);
const ONE_HOUR_TTL: Duration = Duration::from_secs(60 * 60);

/// The cached prefixes, each with its expiry.
#[derive(Debug, Default)]
pub(crate) struct PromptCache {
    prefixes: Mutex<HashMap<Prefix, Instant>>,
}

/// Input tokens of a call that were read from the cache and written to it.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct CacheUsage {
    pub(crate) read: usize,
    /// Tokens written with a TTL of five minutes, and with a TTL of one hour.
    pub(crate) written: [usize; 2],
    /// True if the request contains a cache point.
    pub(crate) requested: bool,
}

#[derive(Debug, Eq, Hash, PartialEq)]
struct Prefix {
    model: &'static str,
    digest: u64,
}

struct CachePoint {
    prefix: Prefix,
    /// Tokens of the prefix.
    tokens: usize,
    /// True for a TTL of one hour.
    one_hour: bool,
}

// === impl PromptCache ===

impl PromptCache {
    /// Looks up the prefixes of the prompt and caches them. Returns an error if the model has no prompt
    /// caching.
    pub(crate) fn look_up(
        &self,
        model: &'static Model,
        parts: &[Part<'_>],
    ) -> Result<CacheUsage, ServiceError> {
        if !parts.iter().any(|part| matches!(part, Part::CachePoint { .. })) {
            return Ok(CacheUsage::default());
        }
        let Some(minimum) = model.cache_min else { return Err(unsupported()) };
        let points = cache_points(model, parts).into_iter().filter(|point| point.tokens >= minimum).collect();
        Ok(self.read_and_write(points))
    }

    fn read_and_write(&self, points: Vec<CachePoint>) -> CacheUsage {
        let mut prefixes = self.prefixes.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        prefixes.retain(|_, expiry| *expiry > now);
        let is_cached = |point: &CachePoint| prefixes.contains_key(&point.prefix);
        let read = points.iter().filter(|point| is_cached(point)).map(|point| point.tokens).max();
        let mut usage = CacheUsage { read: read.unwrap_or(0), requested: true, ..CacheUsage::default() };
        let mut counted = usage.read;
        for point in points {
            usage.written[usize::from(point.one_hour)] += point.tokens.saturating_sub(counted);
            counted = counted.max(point.tokens);
            let ttl = if point.one_hour { ONE_HOUR_TTL } else { DEFAULT_TTL };
            prefixes.insert(point.prefix, now + ttl);
        }
        usage
    }
}

// === impl CacheUsage ===

impl CacheUsage {
    pub(crate) fn total(&self) -> usize {
        self.read + self.written.iter().sum::<usize>()
    }

    /// Adds the cache members to `usage`, if the request contains a cache point.
    pub(crate) fn add_to(&self, usage: &mut Value) {
        if !self.requested {
            return;
        }
        usage["cacheReadInputTokens"] = json!(self.read);
        usage["cacheWriteInputTokens"] = json!(self.written.iter().sum::<usize>());
        let written = [("1h", self.written[1]), ("5m", self.written[0])];
        let details = written.iter().filter(|(_, tokens)| *tokens > 0);
        usage["cacheDetails"] =
            details.map(|(ttl, tokens)| json!({ "ttl": ttl, "inputTokens": tokens })).collect();
    }
}

fn cache_points(model: &'static Model, parts: &[Part<'_>]) -> Vec<CachePoint> {
    let (mut digest, mut total, mut points) = (Digest::new(0), 0, Vec::new());
    for part in parts {
        match part {
            Part::Content { value, tokens } => {
                digest.add(value);
                total += tokens;
            }
            Part::CachePoint { ttl } => {
                let prefix = Prefix { model: &model.id, digest: digest.value() };
                points.push(CachePoint { prefix, tokens: total, one_hour: *ttl == "1h" });
            }
        }
    }
    points
}

fn unsupported() -> ServiceError {
    ServiceError::named("AccessDeniedException").with_message(
        "You invoked an unsupported model or your request did not allow prompt caching. See the documentation for more information.",
    )
}
