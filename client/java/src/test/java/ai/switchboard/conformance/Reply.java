package ai.switchboard.conformance;

import ai.switchboard.v1.ConverseStreamResponse;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Message;
import com.google.protobuf.util.JsonFormat;
import java.util.Optional;

/** One line of output while it is written. */
final class Reply {
  private final JsonObject json = new JsonObject();
  private final JsonArray events = new JsonArray();
  private final StringBuilder text = new StringBuilder();

  void response(Message response) {
    json.add("response", toJson(response));
  }

  /** Takes the next event of a stream, and its words. */
  int event(ConverseStreamResponse event) {
    events.add(toJson(event));
    if (event.hasRestart()) {
      text.setLength(0);
    }
    text.append(event.getContentBlockDelta().getDelta().getText());
    return events.size();
  }

  /** What a stream said in words. */
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

  /** Forgets the stream: what is reported is another answer. */
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

  /** The members of an error that are there only where Switchboard said them. */
  static void details(
      JsonObject error, String reason, Optional<Long> retryMs, JsonArray fields, String requestId, Optional<Integer> tried) {
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
    tried.ifPresent(it -> error.addProperty("attempts", it));
  }

  private static JsonObject toJson(Message message) {
    try {
      return JsonParser.parseString(JsonFormat.printer().print(message)).getAsJsonObject();
    } catch (InvalidProtocolBufferException unwritable) {
      throw new IllegalStateException(unwritable);
    }
  }
}
