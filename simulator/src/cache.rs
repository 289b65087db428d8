//! Prompt caching: what was read before a cache point is remembered until its time is up.
//!
//! A prefix is known by the hash of everything up to the cache point and by the model. Reading it renews its time, as
//! Bedrock does. Prefixes shorter than the model's minimum are not kept and cost nothing extra.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::digest::Digest;
use crate::error::Refusal;
use crate::models::Model;
use crate::prompt::Part;

/// The prefixes remembered, each with the moment it is forgotten.
#[derive(Debug, Default)]
pub(crate) struct PromptCache {
    prefixes: Mutex<HashMap<Prefix, Instant>>,
}

/// How the input tokens of a call divide.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct CacheUse {
    pub(crate) read: usize,
    /// Tokens written for five minutes, and for one hour.
    pub(crate) written: [usize; 2],
    /// The request held a cache point the model could use.
    pub(crate) asked: bool,
}

#[derive(Debug, Eq, Hash, PartialEq)]
struct Prefix {
    model: &'static str,
    digest: u64,
}

struct Point {
    prefix: Prefix,
    tokens: usize,
    hour: bool,
}

// === impl PromptCache ===

impl PromptCache {
    /// Looks the prompt's prefixes up and remembers them.
    pub(crate) fn pass(&self, model: &'static Model, parts: &[Part<'_>]) -> Result<CacheUse, Refusal> {
        if !parts.iter().any(|part| matches!(part, Part::CachePoint { .. })) {
            return Ok(CacheUse::default());
        }
        let Some(minimum) = model.cache_min else { return Err(unsupported()) };
        let points: Vec<Point> = points(model, parts).into_iter().filter(|at| at.tokens >= minimum).collect();
        Ok(self.remember(points))
    }

    fn remember(&self, points: Vec<Point>) -> CacheUse {
        let mut prefixes = self.prefixes.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        prefixes.retain(|_, until| *until > now);
        let known = |point: &Point| prefixes.contains_key(&point.prefix);
        let read = points.iter().filter(|point| known(point)).map(|point| point.tokens).max().unwrap_or(0);
        let mut used = CacheUse { read, asked: true, ..CacheUse::default() };
        let mut upto = read;
        for point in points {
            used.written[usize::from(point.hour)] += point.tokens.saturating_sub(upto);
            upto = upto.max(point.tokens);
            let minutes = if point.hour { 60 } else { 5 };
            prefixes.insert(point.prefix, now + Duration::from_secs(60 * minutes));
        }
        used
    }
}

// === impl CacheUse ===

impl CacheUse {
    pub(crate) fn total(&self) -> usize {
        self.read + self.written.iter().sum::<usize>()
    }

    /// Adds the members of `usage` that speak of the cache.
    pub(crate) fn report(&self, usage: &mut Value) {
        if !self.asked {
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

fn points(model: &'static Model, parts: &[Part<'_>]) -> Vec<Point> {
    let (mut digest, mut total, mut points) = (Digest::new(0), 0, Vec::new());
    for part in parts {
        match part {
            Part::Content { value, tokens } => {
                digest.add(value);
                total += tokens;
            }
            Part::CachePoint { ttl } => {
                let prefix = Prefix { model: &model.id, digest: digest.value() };
                points.push(Point { prefix, tokens: total, hour: *ttl == "1h" });
            }
        }
    }
    points
}

fn unsupported() -> Refusal {
    Refusal::named("AccessDeniedException").saying(
        "You invoked an unsupported model or your request did not allow prompt caching. See the documentation for more information.",
    )
}
