package ai.switchboard.conformance;

import java.io.IOException;

/** How questions are asked; what is thrown is told by {@link #tell}. */
interface Calls extends AutoCloseable {
  void converse(Question question, Reply reply) throws IOException;

  void converseStream(Question question, Reply reply) throws IOException;

  void countTokens(Question question, Reply reply) throws IOException;

  void listTasks(Question question, Reply reply) throws IOException;

  void explainRoute(Question question, Reply reply) throws IOException;

  void recordFeedback(Question question, Reply reply) throws IOException;

  void tell(RuntimeException failure, Reply reply);

  @Override
  void close();
}
