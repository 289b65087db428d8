//! The tally: what became of the calls, by the ill of their first model.
use crate::{
    caller::{Called, End},
    faults::{Ill, Shows},
    plan::{Patience, Phase},
};
use std::{collections::BTreeMap, fmt};

/// Of a thousand calls whose first model fails before content while the second is well, so many must be answered.
const RESCUED_OF_1000: u64 = 999;

/// More complaints than this say nothing new.
const MAX_COMPLAINTS: usize = 40;

#[derive(Debug, Default)]
pub(crate) struct Tally {
    rows: BTreeMap<String, Row>,
    total: Row,
    /// Calls that one model could not answer but another could, and those of them that were answered.
    could_be_rescued: u64,
    rescued: u64,
    passed_over: u64,
    hedged: u64,
    restarted: u64,
    complaints: Vec<String>,
}

#[derive(Debug, Default)]
struct Row {
    calls: u64,
    by_first: u64,
    by_second: u64,
    left: u64,
    failed: BTreeMap<String, u64>,
    /// Calls that must have met the fault, and those in which it showed.
    must_show: u64,
    shown: u64,
}

// === impl Tally ===

impl Tally {
    pub(crate) fn add(&mut self, called: Called) {
        self.rows.entry(called.plan.ill.name.clone()).or_default().add(&called);
        self.total.add(&called);
        if called.could_be_rescued {
            self.could_be_rescued += 1;
            self.rescued += u64::from(matches!(called.end, End::ByFirst | End::BySecond));
        }
        self.passed_over += u64::from(called.rescue.passed_over);
        self.hedged += u64::from(called.rescue.hedged);
        self.restarted += u64::from(called.rescue.restarted);
        self.complaints.extend(called.complaints);
    }

    /// The same where everything is on that a task can have: then all of it must have been of use.
    pub(crate) fn complaints_of_guarded(mut self) -> Vec<String> {
        let Self { passed_over, hedged, restarted, .. } = self;
        for (what, times) in [("passed over", passed_over), ("hedged", hedged), ("restarted", restarted)] {
            if times == 0 {
                self.complaints.push(format!("no call was {what}, so nothing was tested"));
            }
        }
        self.check_rescues();
        self.into_complaints()
    }

    /// What of this must not be.
    pub(crate) fn complaints(mut self, phase: Phase, ills: &[Ill]) -> Vec<String> {
        if phase == Phase::SecondIsWell {
            self.check_rescues();
        }
        for ill in ills.iter().filter(|ill| ill.shows != Shows::Nothing) {
            if self.rows.get(&ill.name).is_some_and(|row| row.must_show > 0 && row.shown == 0) {
                self.complaints.push(format!("{}: never showed, so nothing was tested", ill.name));
            }
        }
        self.into_complaints()
    }

    fn check_rescues(&mut self) {
        let Self { rescued, could_be_rescued, .. } = self;
        if *rescued * 1000 < *could_be_rescued * RESCUED_OF_1000 {
            self.complaints.push(format!("only {rescued} of {could_be_rescued} calls were rescued"));
        }
    }

    /// What the calls themselves complained of.
    pub(crate) fn into_complaints(mut self) -> Vec<String> {
        let more = self.complaints.len().saturating_sub(MAX_COMPLAINTS);
        self.complaints.truncate(MAX_COMPLAINTS);
        if more > 0 {
            self.complaints.push(format!("… and {more} more"));
        }
        self.complaints
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:40} calls  first second   left  failed", "first model's ill")?;
        for (name, row) in &self.rows {
            writeln!(f, "{name:40} {row}")?;
        }
        writeln!(f, "{:40} {}", "total", self.total)?;
        write!(
            f,
            "first model failed before content, and another could answer: {} calls, of which {} were answered\n\
             {} calls passed a model over, {} were hedged, {} restarted",
            self.could_be_rescued, self.rescued, self.passed_over, self.hedged, self.restarted
        )
    }
}

// === impl Row ===

impl Row {
    fn add(&mut self, called: &Called) {
        let Called { plan, end, attempt_failed, has_unknown, .. } = called;
        self.calls += 1;
        match end {
            End::ByFirst => self.by_first += 1,
            End::BySecond => self.by_second += 1,
            End::Left => self.left += 1,
            End::Failed(reason) => *self.failed.entry(reason.clone()).or_default() += 1,
            End::Hung => *self.failed.entry("HUNG".to_owned()).or_default() += 1,
        }
        if plan.patience == Patience::ToTheEnd && (plan.streamed || plan.ill.concerns_whole_answers()) {
            self.must_show += 1;
            self.shown += u64::from(match plan.ill.shows {
                Shows::Failure => *attempt_failed,
                Shows::Unknown => *has_unknown,
                Shows::Nothing => true,
            });
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { calls, by_first, by_second, left, failed, .. } = self;
        write!(f, "{calls:5} {by_first:6} {by_second:6} {left:6}  ")?;
        let failed: Vec<_> = failed.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
        f.write_str(&failed.join(", "))
    }
}
