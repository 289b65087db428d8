package ai.switchboard.conformance;

import java.io.IOException;

/** Makes calls. {@link #report} writes an exception to the reply. */
interface Calls extends AutoCloseable {
  void converse(Question question, Reply reply) throws IOException;

  void converseStream(Question question, Reply reply) throws IOException;

  void countTokens(Question question, Reply reply) throws IOException;

  void listTasks(Question question, Reply reply) throws IOException;

  void explainRoute(Question question, Reply reply) throws IOException;

  void recordFeedback(Question question, Reply reply) throws IOException;

  void report(RuntimeException failure, Reply reply);

  @Override
  void close();
}
