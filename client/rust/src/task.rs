//! The task types that every Switchboard knows. A configuration may name more: a task type is any string.

/// Long chains of thought, where quality matters more than speed.
pub const REASONING: &str = "reasoning";
/// Writing and changing programs.
pub const CODING: &str = "coding";
/// Reading closely and drawing conclusions.
pub const ANALYSIS: &str = "analysis";
/// Saying the same in fewer words.
pub const SUMMARIZATION: &str = "summarization";
/// Choosing one of a few labels.
pub const CLASSIFICATION: &str = "classification";
/// Everything else; also what a request without a task means.
pub const DEFAULT: &str = "default";
