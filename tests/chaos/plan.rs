//! Plans of the callers: task, question, and when they cancel. Everything is derived from the seed.
use crate::faults::FaultyModel;
use fastrand::Rng;
use std::{fmt, time::Duration};

/// The questions. Their answers differ in kind and length.
pub(crate) const QUESTIONS: [&str; 12] = [
    "What is a monad?",
    "Hello, how was the harbour this morning?",
    "Summarize: the ferry was late, the fog was thick, and nobody on the pier knew when the next one would come.",
    "Classify the sentiment of \"the soup was cold\" as positive, neutral or negative.",
    "Write a function that folds a list of numbers from the right.",
    "Translate \"the lighthouse keeper counts ships\" into Norwegian.",
    "List the steps to repot a lemon tree.",
    "Why do tides follow the moon, and why twice a day?",
    "Which is older, the compass or the sextant?",
    "How to sharpen a chisel without a guide?",
    "Grüße aus Zürich: was heißt „Föhn“ auf Englisch?",
    "Give me ideas for a quiet birthday in winter 🎂.",
];

/// Name of the second model of the first phase.
pub(crate) const HEALTHY_MODEL: &str = "second";

/// Distances from the first faulty model to the second, if both models are faulty.
const STEPS: [usize; 3] = [1, 7, 30];

/// Health of the second model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    SecondIsHealthy,
    BothAreFaulty,
}

/// One call.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) number: u32,
    pub(crate) task: String,
    /// The fault of the first model.
    pub(crate) faulty: FaultyModel,
    /// The fault that this call injects. Absent: the fault of its model does not change.
    pub(crate) dynamic: Option<FaultyModel>,
    pub(crate) question: &'static str,
    pub(crate) streamed: bool,
    pub(crate) stay: Stay,
    /// True if the caller uses its own connection and closes it.
    pub(crate) own_connection: bool,
}

/// When a caller cancels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stay {
    ToTheEnd,
    /// Cancels after this time.
    CancelsAfter(Duration),
    /// Cancels after this number of events.
    CancelsAfterEvents(u32),
    /// Sets this deadline.
    Deadline(Duration),
}

// === impl Plan ===

impl Plan {
    /// The calls go through the faulty models in turn; everything else is random.
    pub(crate) fn new(seed: u64, number: u32, phase: Phase, faulty_models: &[FaultyModel]) -> Self {
        let mut random = random(seed, number);
        let position = number as usize % faulty_models.len();
        let faulty = faulty_models[position].clone();
        let task = match phase {
            Phase::SecondIsHealthy => one_faulty(&faulty),
            Phase::BothAreFaulty => {
                two_faulty(&faulty, second(position, random.choice(STEPS).unwrap_or(1), faulty_models))
            }
        };
        Self {
            number,
            task,
            dynamic: random.choice(faulty_models).filter(|_| faulty.is_dynamic()).cloned(),
            faulty,
            question: random.choice(QUESTIONS).unwrap_or_default(),
            streamed: random.u32(..100) < 65,
            stay: Stay::chosen(&mut random),
            own_connection: random.u32(..100) < 4,
        }
    }

    /// A call without delays: most complete, some need the second model, break, or are cancelled.
    pub(crate) fn quick(seed: u64, number: u32, faulty_models: &[FaultyModel]) -> Self {
        let mut random = random(seed, number);
        let name = match random.u32(..100) {
            0..4 => "throttle",
            4..6 => "cut at 1",
            6..8 => "cut at 5",
            8..10 => "frame InternalServerException at 5",
            _ => "healthy",
        };
        let faulty =
            faulty_models.iter().find(|faulty| faulty.name == name).expect("is a faulty model").clone();
        let cancels = random.u32(..100) < 4;
        Self {
            number,
            task: one_faulty(&faulty),
            dynamic: None,
            faulty,
            question: random.choice(QUESTIONS).unwrap_or_default(),
            streamed: random.bool(),
            stay: if cancels { Stay::CancelsAfterEvents(2) } else { Stay::ToTheEnd },
            own_connection: false,
        }
    }
}

/// Consecutive numbers are poor seeds, so they are hashed first.
fn random(seed: u64, number: u32) -> Rng {
    let spread = (u64::from(number) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Rng::with_seed(Rng::with_seed(seed ^ spread).u64(..))
}

/// Tasks and their models: each faulty model before the healthy one, and pairs of faulty models.
pub(crate) fn tasks(faulty_models: &[FaultyModel]) -> Vec<(String, [String; 2])> {
    let mut tasks = Vec::new();
    for (position, faulty) in faulty_models.iter().enumerate() {
        tasks.push((one_faulty(faulty), [faulty.name.clone(), HEALTHY_MODEL.to_owned()]));
        for step in STEPS {
            let second = second(position, step, faulty_models);
            tasks.push((two_faulty(faulty, second), [faulty.name.clone(), second.name.clone()]));
        }
    }
    tasks
}

fn one_faulty(faulty: &FaultyModel) -> String {
    faulty.name.clone()
}

fn two_faulty(first: &FaultyModel, second: &FaultyModel) -> String {
    format!("{}, then {}", first.name, second.name)
}

fn second(first: usize, step: usize, faulty_models: &[FaultyModel]) -> &FaultyModel {
    &faulty_models[(first + step) % faulty_models.len()]
}

// === impl Patience ===

impl Stay {
    /// Most callers stay. The times are such that an answer of about 100 ms is cancelled, or times out, at
    /// any point.
    fn chosen(random: &mut Rng) -> Self {
        match random.u32(..100) {
            0..76 => Self::ToTheEnd,
            76..84 => Self::CancelsAfter(Duration::from_micros(random.u64(..150_000))),
            84..92 => Self::CancelsAfterEvents(random.u32(1..25)),
            _ => Self::Deadline(Duration::from_millis(random.u64(1..400))),
        }
    }

    /// Time after which a caller cancels, whatever it has received. A unary answer has no events: there each
    /// of them stands for a millisecond.
    pub(crate) fn cancels_after(self, streamed: bool) -> Option<Duration> {
        match self {
            Self::CancelsAfter(time) => Some(time),
            Self::CancelsAfterEvents(events) if !streamed => Some(Duration::from_millis(events.into())),
            _ => None,
        }
    }
}

// === impl Phase ===

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SecondIsHealthy => "The second model is healthy",
            Self::BothAreFaulty => "Both models are faulty",
        })
    }
}
