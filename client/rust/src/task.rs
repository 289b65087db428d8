//! Names of common tasks. A task type is any string that the server's configuration defines.

/// Multi-step reasoning, where quality matters more than speed.
pub const REASONING: &str = "reasoning";
/// Writing and changing code.
pub const CODING: &str = "coding";
/// Analysis of documents and data.
pub const ANALYSIS: &str = "analysis";
/// Summaries.
pub const SUMMARIZATION: &str = "summarization";
/// Choosing one of a few labels.
pub const CLASSIFICATION: &str = "classification";
/// Everything else. Also used for a request without a task.
pub const DEFAULT: &str = "default";
