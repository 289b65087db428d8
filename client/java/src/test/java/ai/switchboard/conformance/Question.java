package ai.switchboard.conformance;

import ai.switchboard.v1.ConverseRequest;
import ai.switchboard.v1.Message;
import com.google.gson.JsonObject;
import com.google.gson.annotations.SerializedName;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.util.JsonFormat;
import java.time.Duration;
import java.util.Optional;

/** One line of input. */
final class Question {
  private String rpc = "";
  private JsonObject request = new JsonObject();
  private String then = "";

  @SerializedName("deadline_ms")
  private Long deadlineMs;

  @SerializedName("cancel_after_events")
  private Integer cancelAfterEvents;

  String rpc() {
    return rpc;
  }

  /** The request, as the contract has it. */
  <B extends com.google.protobuf.Message.Builder> B request(B builder) throws InvalidProtocolBufferException {
    JsonFormat.parser().merge(request.toString(), builder);
    return builder;
  }

  Optional<Duration> deadline() {
    return Optional.ofNullable(deadlineMs).map(Duration::ofMillis);
  }

  boolean isCancelled() {
    return cancelAfterEvents != null;
  }

  boolean isCancelledAfter(int events) {
    return cancelAfterEvents != null && cancelAfterEvents == events;
  }

  boolean goesOn() {
    return "history".equals(then);
  }

  /** The conversation with this answer and one more question. */
  static ConverseRequest andNow(ConverseRequest request, Message answer) {
    Message.Builder question = Message.newBuilder().setRole("user");
    question.addContentBuilder().setText("and now?");
    return request.toBuilder().addMessages(answer).addMessages(question).build();
  }
}
