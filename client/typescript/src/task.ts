/** Names of common tasks. A task type is any string that the server's configuration defines. */

/** Multi-step reasoning, where quality matters more than speed. */
export const REASONING = "reasoning";
/** Writing and changing code. */
export const CODING = "coding";
/** Analysis of documents and data. */
export const ANALYSIS = "analysis";
/** Summaries. */
export const SUMMARIZATION = "summarization";
/** Choosing one of a few labels. */
export const CLASSIFICATION = "classification";
/** Everything else. Also used for a request without a task. */
export const DEFAULT = "default";
