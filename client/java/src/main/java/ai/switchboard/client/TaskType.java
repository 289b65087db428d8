package ai.switchboard.client;

/** The task types that every Switchboard knows. A configuration may name more: a task type is any string. */
public final class TaskType {
  /** Long chains of thought, where quality matters more than speed. */
  public static final String REASONING = "reasoning";

  /** Writing and changing programs. */
  public static final String CODING = "coding";

  /** Reading closely and drawing conclusions. */
  public static final String ANALYSIS = "analysis";

  /** Saying the same in fewer words. */
  public static final String SUMMARIZATION = "summarization";

  /** Choosing one of a few labels. */
  public static final String CLASSIFICATION = "classification";

  /** Everything else; also what a request without a task means. */
  public static final String DEFAULT = "default";

  private TaskType() {}
}
