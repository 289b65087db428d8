//! Series that are told of with every call: the attributes of each are put together and looked up once.
//!
//! Sorting and hashing a dozen sets of attributes was a tenth of a call's instructions. A key says the same in a few
//! words: indices and words that come from the configuration and from us, never from callers, so there is a bound to them.
use opentelemetry::{
    KeyValue,
    metrics::{BoundCounter, BoundHistogram, Counter, Histogram},
};
use std::{
    collections::HashMap,
    fmt,
    hash::Hash,
    sync::{PoisonError, RwLock},
};

/// What can be bound to its attributes.
pub(super) trait Instrument {
    type Value;
    type Bound;

    fn bind(&self, attributes: &[KeyValue]) -> Self::Bound;
    fn tell(bound: &Self::Bound, value: Self::Value);
}

/// An instrument, and its series by what tells them apart.
pub(super) struct Series<I: Instrument, K> {
    pub(super) instrument: I,
    known: RwLock<HashMap<K, I::Bound>>,
}

// === impl Series ===

impl<I: Instrument, K: Hash + Eq> Series<I, K> {
    pub(super) fn new(instrument: I) -> Self {
        Self { instrument, known: RwLock::default() }
    }

    /// Tells the series of `key`; its `attributes` are asked for with its first value.
    pub(super) fn tell(&self, key: K, value: I::Value, attributes: impl FnOnce() -> Vec<KeyValue>) {
        if let Some(bound) = self.known.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return I::tell(bound, value);
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        I::tell(known.entry(key).or_insert_with(|| self.instrument.bind(&attributes())), value);
    }
}

impl<I: Instrument + fmt::Debug, K> fmt::Debug for Series<I, K> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Series").field("instrument", &self.instrument).finish_non_exhaustive()
    }
}

// === impl Instrument ===

impl<T> Instrument for Counter<T> {
    type Value = T;
    type Bound = BoundCounter<T>;

    fn bind(&self, attributes: &[KeyValue]) -> BoundCounter<T> {
        self.bind(attributes)
    }

    fn tell(bound: &BoundCounter<T>, value: T) {
        bound.add(value);
    }
}

impl<T> Instrument for Histogram<T> {
    type Value = T;
    type Bound = BoundHistogram<T>;

    fn bind(&self, attributes: &[KeyValue]) -> BoundHistogram<T> {
        self.bind(attributes)
    }

    fn tell(bound: &BoundHistogram<T>, value: T) {
        bound.record(value);
    }
}
