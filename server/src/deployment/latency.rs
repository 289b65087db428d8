//! Latency estimates, by which the time of a call is split over its attempts.
use std::time::Duration;

/// Weight of a new sample, as in TCP's estimate of round trips, from which the rest of the method is taken
/// too.
const GAIN: f64 = 1.0 / 8.0;

/// Rate at which the fastest time is forgotten: after some hundred answers a model that became slower for
/// good counts as slower.
const FORGET: f64 = 1.0 / 64.0;

/// Estimate of how long answers of one kind take: an exponentially weighted moving average with its
/// deviation.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LatencyEstimate(Option<Estimate>);

/// In seconds.
#[derive(Clone, Copy, Debug)]
struct Estimate {
    mean: f64,
    deviation: f64,
    fastest: f64,
}

// === impl LatencyEstimate ===

impl LatencyEstimate {
    /// Adds a sample.
    pub(crate) fn record(&mut self, took: Duration) {
        let took = took.as_secs_f64();
        self.0 = Some(match self.0 {
            None => Estimate { mean: took, deviation: took / 2.0, fastest: took },
            Some(Estimate { mean, deviation, fastest }) => Estimate {
                mean: mean + GAIN * (took - mean),
                deviation: deviation + GAIN * ((took - mean).abs() - deviation),
                fastest: if took < fastest { took } else { fastest + FORGET * (took - fastest) },
            },
        });
    }

    /// Time within which most answers come: the mean plus two deviations. Absent: there was no answer yet.
    pub(crate) fn typical(&self) -> Option<Duration> {
        self.0.map(|estimate| Duration::from_secs_f64(estimate.mean + 2.0 * estimate.deviation))
    }

    /// Time below which no recent answer came. Absent: there was no answer yet.
    pub(crate) fn fastest(&self) -> Option<Duration> {
        self.0.map(|estimate| Duration::from_secs_f64(estimate.fastest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estimate(samples: impl IntoIterator<Item = u64>) -> LatencyEstimate {
        let mut estimate = LatencyEstimate::default();
        samples.into_iter().for_each(|millis| estimate.record(Duration::from_millis(millis)));
        estimate
    }

    #[test]
    fn nothing_is_known_before_the_first_answer() {
        assert_eq!((estimate([]).typical(), estimate([]).fastest()), (None, None));
    }

    #[test]
    fn a_steady_model_has_a_tighter_bound_than_a_fickle_one() {
        let steady = estimate([400; 100]).typical().expect("is known");
        let fickle = estimate([100, 700].into_iter().cycle().take(100)).typical().expect("is known");
        assert!((400..410).contains(&steady.as_millis()), "{steady:?}");
        assert!((800..1200).contains(&fickle.as_millis()), "{fickle:?}");
    }

    #[test]
    fn the_fastest_time_follows_a_faster_model_at_once_and_a_slower_one_gradually() {
        assert_eq!(estimate([400, 900, 100]).fastest(), Some(Duration::from_millis(100)));
        let slower = estimate(std::iter::once(100).chain([1000; 300])).fastest().expect("is known");
        assert!(slower > Duration::from_millis(950), "{slower:?}");
    }
}
