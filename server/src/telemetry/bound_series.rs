//! Metric series that are recorded with every call: the attributes of each are assembled and looked up once.
//!
//! Sorting and hashing a dozen sets of attributes took a tenth of the instructions of a call. A key of a few
//! words says the same: ids and words that come from the configuration and from us, never from callers, so
//! the number of keys is bounded.
use opentelemetry::{
    KeyValue,
    metrics::{BoundCounter, BoundHistogram, Counter, Histogram},
};
use parking_lot::RwLock;
use std::{collections::HashMap, fmt, hash::Hash, sync::Arc};

/// An instrument that can be bound to attributes.
pub(super) trait Instrument {
    type Value;
    type Bound;

    fn bind(&self, attributes: &[KeyValue]) -> Self::Bound;
    fn record(bound: &Self::Bound, value: Self::Value);
}

/// An instrument, and its series by what distinguishes them.
pub(super) struct BoundSeries<I: Instrument, K> {
    pub(super) instrument: I,
    bound: RwLock<HashMap<K, Arc<I::Bound>>>,
}

// === impl BoundSeries ===

impl<I: Instrument, K: Hash + Eq> BoundSeries<I, K> {
    pub(super) fn new(instrument: I) -> Self {
        Self { instrument, bound: RwLock::default() }
    }

    /// Records a value in the series of `key`. `attributes` is called for its first value.
    pub(super) fn record(&self, key: K, value: I::Value, attributes: impl FnOnce() -> Vec<KeyValue>) {
        if let Some(bound) = self.bound.read().get(&key) {
            return I::record(bound, value);
        }
        I::record(&self.bind(key, attributes), value);
    }

    /// The series of `key`, to record many values in.
    pub(super) fn bind(&self, key: K, attributes: impl FnOnce() -> Vec<KeyValue>) -> Arc<I::Bound> {
        if let Some(bound) = self.bound.read().get(&key) {
            return Arc::clone(bound);
        }
        let mut bound = self.bound.write();
        Arc::clone(bound.entry(key).or_insert_with(|| Arc::new(self.instrument.bind(&attributes()))))
    }
}

impl<I: Instrument + fmt::Debug, K> fmt::Debug for BoundSeries<I, K> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("BoundSeries").field("instrument", &self.instrument).finish_non_exhaustive()
    }
}

// === impl Instrument ===

impl<T> Instrument for Counter<T> {
    type Value = T;
    type Bound = BoundCounter<T>;

    fn bind(&self, attributes: &[KeyValue]) -> BoundCounter<T> {
        self.bind(attributes)
    }

    fn record(bound: &BoundCounter<T>, value: T) {
        bound.add(value);
    }
}

impl<T> Instrument for Histogram<T> {
    type Value = T;
    type Bound = BoundHistogram<T>;

    fn bind(&self, attributes: &[KeyValue]) -> BoundHistogram<T> {
        self.bind(attributes)
    }

    fn record(bound: &BoundHistogram<T>, value: T) {
        bound.record(value);
    }
}
