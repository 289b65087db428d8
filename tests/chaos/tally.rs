//! The tally: results of the calls, by the fault of their first model.
use crate::{
    caller::{CallResult, End},
    faults::{Effect, FaultyModel},
    plan::{Phase, Stay},
};
use std::{collections::BTreeMap, fmt};

/// Minimum number of answered calls, out of 1,000 whose first model fails before content and whose second is
/// healthy.
const ANSWERED_OF_1000: u64 = 999;

/// Most errors that are reported one by one.
const MAX_ERRORS: usize = 40;

#[derive(Debug, Default)]
pub(crate) struct Tally {
    rows: BTreeMap<String, Row>,
    total: Row,
    /// Calls that one model failed and another could answer, and those of them that were answered.
    could_fall_back: u64,
    answered: u64,
    skipped: u64,
    hedged: u64,
    restarted: u64,
    errors: Vec<String>,
}

#[derive(Debug, Default)]
struct Row {
    calls: u64,
    by_first: u64,
    by_second: u64,
    cancelled: u64,
    failed: BTreeMap<String, u64>,
    /// Calls that must have met the fault, and those that show its effect.
    expected_effects: u64,
    seen_effects: u64,
}

// === impl Tally ===

impl Tally {
    pub(crate) fn add(&mut self, result: CallResult) {
        self.rows.entry(result.plan.faulty.name.clone()).or_default().add(&result);
        self.total.add(&result);
        if result.could_fall_back {
            self.could_fall_back += 1;
            self.answered += u64::from(matches!(result.end, End::ByFirst | End::BySecond));
        }
        self.skipped += u64::from(result.measures.skipped);
        self.hedged += u64::from(result.measures.hedged);
        self.restarted += u64::from(result.measures.restarted);
        self.errors.extend(result.errors);
    }

    /// The errors of a run with all guards on. Each guard must have been used.
    pub(crate) fn errors_with_guards(mut self) -> Vec<String> {
        let Self { skipped, hedged, restarted, .. } = self;
        for (guard, times) in [("skipped", skipped), ("hedged", hedged), ("restarted", restarted)] {
            if times == 0 {
                self.errors.push(format!("no call was {guard}, so nothing was tested"));
            }
        }
        self.check_fallbacks();
        self.into_errors()
    }

    /// The errors of a run without guards.
    pub(crate) fn errors(mut self, phase: Phase, faulty_models: &[FaultyModel]) -> Vec<String> {
        if phase == Phase::SecondIsHealthy {
            self.check_fallbacks();
        }
        for faulty in faulty_models.iter().filter(|faulty| faulty.effect != Effect::Nothing) {
            if self
                .rows
                .get(&faulty.name)
                .is_some_and(|row| row.expected_effects > 0 && row.seen_effects == 0)
            {
                self.errors.push(format!("{}: never had an effect, so nothing was tested", faulty.name));
            }
        }
        self.into_errors()
    }

    fn check_fallbacks(&mut self) {
        let Self { answered, could_fall_back, .. } = self;
        if *answered * 1000 < *could_fall_back * ANSWERED_OF_1000 {
            self.errors
                .push(format!("only {answered} of {could_fall_back} calls were answered by another model"));
        }
    }

    /// The errors of the calls, shortened.
    pub(crate) fn into_errors(mut self) -> Vec<String> {
        let more = self.errors.len().saturating_sub(MAX_ERRORS);
        self.errors.truncate(MAX_ERRORS);
        if more > 0 {
            self.errors.push(format!("… and {more} more"));
        }
        self.errors
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:40} calls  first second cancel  failed", "fault of the first model")?;
        for (name, row) in &self.rows {
            writeln!(f, "{name:40} {row}")?;
        }
        writeln!(f, "{:40} {}", "total", self.total)?;
        write!(
            f,
            "first model failed before content, and another could answer: {} calls, of which {} were answered\n\
             {} calls skipped a model, {} were hedged, {} restarted",
            self.could_fall_back, self.answered, self.skipped, self.hedged, self.restarted
        )
    }
}

// === impl Row ===

impl Row {
    fn add(&mut self, result: &CallResult) {
        let CallResult { plan, end, attempt_failed, has_unknown, .. } = result;
        self.calls += 1;
        match end {
            End::ByFirst => self.by_first += 1,
            End::BySecond => self.by_second += 1,
            End::Cancelled => self.cancelled += 1,
            End::Failed(reason) => *self.failed.entry(reason.clone()).or_default() += 1,
            End::Hung => *self.failed.entry("HUNG".to_owned()).or_default() += 1,
        }
        if plan.stay == Stay::ToTheEnd && (plan.streamed || plan.faulty.affects_unary()) {
            self.expected_effects += 1;
            self.seen_effects += u64::from(match plan.faulty.effect {
                Effect::Failure => *attempt_failed,
                Effect::Unknown => *has_unknown,
                Effect::Nothing => true,
            });
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { calls, by_first, by_second, cancelled, failed, .. } = self;
        write!(f, "{calls:5} {by_first:6} {by_second:6} {cancelled:6}  ")?;
        let failed: Vec<_> = failed.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
        f.write_str(&failed.join(", "))
    }
}
