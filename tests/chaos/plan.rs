//! What callers do: whom they ask, what, and whether they have the patience to hear the end. All of it from the seed.
use crate::faults::Ill;
use fastrand::Rng;
use std::{fmt, time::Duration};

/// What callers ask. The kinds of answer differ, and so do their lengths.
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

/// The name of the second model of the first phase.
pub(crate) const WELL_MODEL: &str = "second";

/// The seconds of the ills, as steps from the first, where both models are ill.
const STEPS: [usize; 3] = [1, 7, 30];

/// Whether the second model is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    SecondIsWell,
    BothAreIll,
}

/// One call.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) number: u32,
    pub(crate) task: String,
    /// The fault of the first model.
    pub(crate) ill: Ill,
    /// The fault that this call brings with it, if its model is the weather.
    pub(crate) weather: Option<Ill>,
    pub(crate) question: &'static str,
    pub(crate) streamed: bool,
    pub(crate) patience: Patience,
    /// The caller has a connection of its own, and closes it.
    pub(crate) alone: bool,
}

/// How long a caller stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    ToTheEnd,
    /// Then it is gone.
    Leaves(Duration),
    /// Then it is gone.
    LeavesAfterEvents(u32),
    /// It says at once how much time it gives.
    Deadline(Duration),
}

// === impl Plan ===

impl Plan {
    /// The calls take turns with the ills; all else is left to chance.
    pub(crate) fn new(seed: u64, number: u32, phase: Phase, ills: &[Ill]) -> Self {
        let mut random = random(seed, number);
        let position = number as usize % ills.len();
        let ill = ills[position].clone();
        let task = match phase {
            Phase::SecondIsWell => one_ill(&ill),
            Phase::BothAreIll => two_ills(&ill, second(position, random.choice(STEPS).unwrap_or(1), ills)),
        };
        Self {
            number,
            task,
            weather: random.choice(ills).filter(|_| ill.is_weather()).cloned(),
            ill,
            question: random.choice(QUESTIONS).unwrap_or_default(),
            streamed: random.u32(..100) < 65,
            patience: Patience::chosen(&mut random),
            alone: random.u32(..100) < 4,
        }
    }

    /// A call that takes no time: most are well, some need the second model, break off, or are left.
    pub(crate) fn quick(seed: u64, number: u32, ills: &[Ill]) -> Self {
        let mut random = random(seed, number);
        let name = match random.u32(..100) {
            0..4 => "throttle",
            4..6 => "cut at 1",
            6..8 => "cut at 5",
            8..10 => "frame InternalServerException at 5",
            _ => "well",
        };
        let ill = ills.iter().find(|ill| ill.name == name).expect("is an ill").clone();
        let leaves = random.u32(..100) < 4;
        Self {
            number,
            task: one_ill(&ill),
            weather: None,
            ill,
            question: random.choice(QUESTIONS).unwrap_or_default(),
            streamed: random.bool(),
            patience: if leaves { Patience::LeavesAfterEvents(2) } else { Patience::ToTheEnd },
            alone: false,
        }
    }
}

/// Numbers in sequence make poor seeds, so they are spread first.
fn random(seed: u64, number: u32) -> Rng {
    let spread = (u64::from(number) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Rng::with_seed(Rng::with_seed(seed ^ spread).u64(..))
}

/// Tasks and their models: each ill before the well one, and pairs of ills.
pub(crate) fn tasks(ills: &[Ill]) -> Vec<(String, [String; 2])> {
    let mut tasks = Vec::new();
    for (position, ill) in ills.iter().enumerate() {
        tasks.push((one_ill(ill), [ill.name.clone(), WELL_MODEL.to_owned()]));
        for step in STEPS {
            let second = second(position, step, ills);
            tasks.push((two_ills(ill, second), [ill.name.clone(), second.name.clone()]));
        }
    }
    tasks
}

fn one_ill(ill: &Ill) -> String {
    ill.name.clone()
}

fn two_ills(first: &Ill, second: &Ill) -> String {
    format!("{}, then {}", first.name, second.name)
}

fn second(first: usize, step: usize, ills: &[Ill]) -> &Ill {
    &ills[(first + step) % ills.len()]
}

// === impl Patience ===

impl Patience {
    /// Most stay. The times are such that an answer of some hundred milliseconds is left, or runs out, at any point.
    fn chosen(random: &mut Rng) -> Self {
        match random.u32(..100) {
            0..76 => Self::ToTheEnd,
            76..84 => Self::Leaves(Duration::from_micros(random.u64(..150_000))),
            84..92 => Self::LeavesAfterEvents(random.u32(1..25)),
            _ => Self::Deadline(Duration::from_millis(random.u64(1..400))),
        }
    }

    /// When a caller is gone whatever it has heard. Nobody can count the events of a whole answer: there a millisecond
    /// stands for each.
    pub(crate) fn leaves_after(self, streamed: bool) -> Option<Duration> {
        match self {
            Self::Leaves(time) => Some(time),
            Self::LeavesAfterEvents(events) if !streamed => Some(Duration::from_millis(events.into())),
            _ => None,
        }
    }
}

// === impl Phase ===

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SecondIsWell => "The second model is well",
            Self::BothAreIll => "Both models are ill",
        })
    }
}
