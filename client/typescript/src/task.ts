/** The task types that every Switchboard knows. A configuration may name more: a task type is any string. */

/** Long chains of thought, where quality matters more than speed. */
export const REASONING = "reasoning";
/** Writing and changing programs. */
export const CODING = "coding";
/** Reading closely and drawing conclusions. */
export const ANALYSIS = "analysis";
/** Saying the same in fewer words. */
export const SUMMARIZATION = "summarization";
/** Choosing one of a few labels. */
export const CLASSIFICATION = "classification";
/** Everything else; also what a request without a task means. */
export const DEFAULT = "default";
