package ai.switchboard.client;

/** Names of common tasks. A task type is any string that the server's configuration defines. */
public final class TaskType {
  /** Multi-step reasoning, where quality matters more than speed. */
  public static final String REASONING = "reasoning";

  /** Writing and changing code. */
  public static final String CODING = "coding";

  /** Analysis of documents and data. */
  public static final String ANALYSIS = "analysis";

  /** Summaries. */
  public static final String SUMMARIZATION = "summarization";

  /** Choosing one of a few labels. */
  public static final String CLASSIFICATION = "classification";

  /** Everything else. Also used for a request without a task. */
  public static final String DEFAULT = "default";

  private TaskType() {}
}
