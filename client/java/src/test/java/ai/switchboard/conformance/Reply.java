package ai.switchboard.conformance;

import ai.switchboard.v1.ConverseStreamResponse;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Message;
import com.google.protobuf.util.JsonFormat;
import java.util.Optional;

/** One line of output. */
final class Reply {
  private final JsonObject json = new JsonObject();
  private final JsonArray events = new JsonArray();
  private final StringBuilder text = new StringBuilder();

  void response(Message response) {
    json.add("response", toJson(response));
  }

  /** Adds an event of a stream and its text. */
  int event(ConverseStreamResponse event) {
    events.add(toJson(event));
    if (event.hasRestart()) {
      text.setLength(0);
    }
    text.append(event.getContentBlockDelta().getDelta().getText());
    return events.size();
  }

  /** Sets the text of the stream. */
  void joinedText() {
    text(text.toString());
  }

  void text(String text) {
    json.addProperty("text", text);
  }

  void message(Message message) {
    json.add("message", toJson(message));
  }

  void toolUse(String id, String name, String input) {
    if (!json.has("tool_uses")) {
      json.add("tool_uses", new JsonArray());
    }
    JsonObject use = new JsonObject();
    use.addProperty("tool_use_id", id);
    use.addProperty("name", name);
    use.addProperty("input_json", input);
    json.getAsJsonArray("tool_uses").add(use);
  }

  /** Removes the events: another answer is reported. */
  void restart() {
    while (!events.isEmpty()) {
      events.remove(0);
    }
  }

  JsonObject fail(String code, String message) {
    JsonObject error = new JsonObject();
    error.addProperty("code", code);
    error.addProperty("message", message);
    json.add("error", error);
    return error;
  }

  JsonObject json() {
    if (!events.isEmpty()) {
      json.add("events", events);
    }
    return json;
  }

  /** Adds the optional members of an error. */
  static void details(
      JsonObject error, String reason, Optional<Long> retryMs, JsonArray fields, String requestId, Optional<Integer> attempts) {
    if (!reason.isEmpty()) {
      error.addProperty("reason", reason);
    }
    retryMs.ifPresent(it -> error.addProperty("retry_delay_ms", it));
    if (!fields.isEmpty()) {
      error.add("fields", fields);
    }
    if (!requestId.isEmpty()) {
      error.addProperty("request_id", requestId);
    }
    attempts.ifPresent(it -> error.addProperty("attempts", it));
  }

  private static JsonObject toJson(Message message) {
    try {
      return JsonParser.parseString(JsonFormat.printer().print(message)).getAsJsonObject();
    } catch (InvalidProtocolBufferException unwritable) {
      throw new IllegalStateException(unwritable);
    }
  }
}
