//! The pace: how long a model usually takes, so that a call's time can be split over its attempts.
use std::time::Duration;

/// How much of a new sample counts: an eighth, as in TCP's estimate of round trips, from which the rest is taken too.
const GAIN: f64 = 1.0 / 8.0;

/// How fast the least time is forgotten: a model that has become slower for good is believed after some hundred answers.
const FORGET: f64 = 1.0 / 64.0;

/// How long answers of one kind take.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace(Option<Learned>);

#[derive(Clone, Copy, Debug)]
struct Learned {
    mean: f64,
    deviation: f64,
    least: f64,
}

// === impl Pace ===

impl Pace {
    /// An answer took so long.
    pub(crate) fn learn(&mut self, took: Duration) {
        let took = took.as_secs_f64();
        self.0 = Some(match self.0 {
            None => Learned { mean: took, deviation: took / 2.0, least: took },
            Some(Learned { mean, deviation, least }) => Learned {
                mean: mean + GAIN * (took - mean),
                deviation: deviation + GAIN * ((took - mean).abs() - deviation),
                least: if took < least { took } else { least + FORGET * (took - least) },
            },
        });
    }

    /// Most answers take no longer. Absent: nothing is known yet.
    pub(crate) fn usual(&self) -> Option<Duration> {
        self.0.map(|learned| Duration::from_secs_f64(learned.mean + 2.0 * learned.deviation))
    }

    /// With less time than this none has ever come.
    pub(crate) fn least(&self) -> Option<Duration> {
        self.0.map(|learned| Duration::from_secs_f64(learned.least))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learned(samples: impl IntoIterator<Item = u64>) -> Pace {
        let mut pace = Pace::default();
        samples.into_iter().for_each(|millis| pace.learn(Duration::from_millis(millis)));
        pace
    }

    #[test]
    fn nothing_is_known_before_the_first_answer() {
        assert_eq!((learned([]).usual(), learned([]).least()), (None, None));
    }

    #[test]
    fn a_steady_model_is_trusted_closely_and_a_fickle_one_is_not() {
        let steady = learned([400; 100]).usual().expect("is known");
        let fickle = learned([100, 700].into_iter().cycle().take(100)).usual().expect("is known");
        assert!((400..410).contains(&steady.as_millis()), "{steady:?}");
        assert!((800..1200).contains(&fickle.as_millis()), "{fickle:?}");
    }

    #[test]
    fn the_least_follows_a_faster_model_at_once_and_a_slower_one_in_time() {
        assert_eq!(learned([400, 900, 100]).least(), Some(Duration::from_millis(100)));
        let slower = learned(std::iter::once(100).chain([1000; 300])).least().expect("is known");
        assert!(slower > Duration::from_millis(950), "{slower:?}");
    }
}
