package ai.switchboard.conformance;

import ai.switchboard.v1.ConverseRequest;
import ai.switchboard.v1.Message;
import com.google.gson.JsonObject;
import com.google.gson.annotations.SerializedName;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.util.JsonFormat;
import io.opentelemetry.api.trace.propagation.W3CTraceContextPropagator;
import io.opentelemetry.context.Context;
import io.opentelemetry.context.propagation.TextMapGetter;
import java.time.Duration;
import java.util.List;
import java.util.Optional;

/** One line of input. */
final class Question {
  private String rpc = "";
  private JsonObject request = new JsonObject();
  private String then = "";
  private String traceparent = "";

  @SerializedName("deadline_ms")
  private Long deadlineMs;

  @SerializedName("cancel_after_events")
  private Integer cancelAfterEvents;

  String rpc() {
    return rpc;
  }

  /** Parses the request. */
  <B extends com.google.protobuf.Message.Builder> B request(B builder) throws InvalidProtocolBufferException {
    JsonFormat.parser().merge(request.toString(), builder);
    return builder;
  }

  /** Returns the context of the caller's span. Without one, the empty context. */
  Context span() {
    TextMapGetter<String> header =
        new TextMapGetter<>() {
          @Override
          public Iterable<String> keys(String traceparent) {
            return List.of("traceparent");
          }

          @Override
          public String get(String traceparent, String key) {
            return "traceparent".equals(key) ? traceparent : null;
          }
        };
    return W3CTraceContextPropagator.getInstance().extract(Context.root(), traceparent, header);
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

  boolean sendsHistory() {
    return "history".equals(then);
  }

  /** Returns the conversation with this answer and another question. */
  static ConverseRequest andNow(ConverseRequest request, Message answer) {
    Message.Builder question = Message.newBuilder().setRole("user");
    question.addContentBuilder().setText("and now?");
    return request.toBuilder().addMessages(answer).addMessages(question).build();
  }
}
