package ai.switchboard.conformance;

import static org.junit.jupiter.api.Assertions.assertAll;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ai.switchboard.client.Stage;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.DisplayNameGeneration;
import org.junit.jupiter.api.DisplayNameGenerator;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Checks that the driver answers every line in both modes. The conformance suite itself checks the answers.
 */
@DisplayNameGeneration(DisplayNameGenerator.ReplaceUnderscores.class)
class DriverTest {
  private static final String LINES =
      """
      {"rpc":"Converse","request":{"messages":[{"role":"user","content":[{"text":"Zürich 🦀?"}]}]}}
      {"rpc":"ConverseStream","request":{"messages":[{"role":"user","content":[{"text":"The weather?"}]}],\
      "toolConfig":{"tools":[{"toolSpec":{"name":"get_weather","inputSchema":{"jsonText":"{\\"type\\":\\"object\\"}"}}}]}}}
      {"rpc":"ConverseStream","request":{"messages":[{"role":"user","content":[{"text":"Zürich?"}]}]},"then":"history"}
      {"rpc":"ConverseStream","request":{"messages":[{"role":"user","content":[{"text":"Go on."}]}]},"cancel_after_events":2}
      {"rpc":"Converse","request":{"taskType":"summarization","messages":[{"role":"user","content":[{"text":"Go on."}]}]},\
      "cancel_after_events":0}
      {"rpc":"Converse","request":{"taskType":"summarization","messages":[{"role":"user","content":[{"text":"Go on."}]}]},\
      "deadline_ms":1}
      {"rpc":"Converse","request":{"messages":[{"role":"robot"}]}}
      {"rpc":"CountTokens","request":{"input":{"converse":{"messages":[{"role":"user","content":[{"text":"How many?"}]}]}}}}
      {"rpc":"ListTasks","request":{}}
      {"rpc":"ExplainRoute","request":{"taskType":"coding"}}
      """;

  @ParameterizedTest
  @ValueSource(strings = {"layer", "plain"})
  void the_driver_answers_every_line(String mode) throws Exception {
    List<JsonObject> got;
    try (Stage stage = new Stage()) {
      stage.inject("us.anthropic.claude-haiku-4-5-20251001-v1:0", "{\"kind\":\"hang\"}");
      got = drive(stage.address(), mode);
    }
    boolean layer = mode.equals("layer");
    assertEquals(10, got.size());
    assertAll(
        () -> assertEquals("STOP_REASON_END_TURN", got.get(0).getAsJsonObject("response").get("stopReason").getAsString()),
        () -> assertTrue(got.get(0).get("text").getAsString().contains("Zürich")),
        () -> assertEquals(layer, got.get(0).has("message")),
        () -> assertTrue(events(got.get(1)).get(0).getAsJsonObject().has("route")),
        () -> assertTrue(events(got.get(1)).get(events(got.get(1)).size() - 1).getAsJsonObject().has("metadata")),
        () -> assertEquals(layer, got.get(1).has("tool_uses")),
        () -> assertTrue(got.get(2).has("response") && !got.get(2).has("events"), got.get(2)::toString),
        () -> assertEquals("2 CANCELLED", events(got.get(3)).size() + " " + error(got.get(3), "code")),
        () -> assertEquals("CANCELLED", error(got.get(4), "code")),
        () -> assertEquals("DEADLINE_EXCEEDED", error(got.get(5), "code")),
        () -> assertEquals("INVALID_FIELD", error(got.get(6), "reason")),
        () -> assertEquals(2, got.get(6).getAsJsonObject("error").getAsJsonArray("fields").size()),
        () -> assertTrue(got.get(7).getAsJsonObject("response").has("inputTokens")),
        () -> assertTrue(got.get(8).getAsJsonObject("response").has("tasks")),
        () -> assertTrue(got.get(9).getAsJsonObject("response").has("candidates")));
  }

  private static List<JsonObject> drive(String target, String mode) throws IOException, InterruptedException {
    String driver = Path.of("conformance").toAbsolutePath().toString();
    ProcessBuilder builder = new ProcessBuilder(driver, "--target", target, "--mode", mode);
    Process process = builder.redirectError(ProcessBuilder.Redirect.INHERIT).start();
    process.getOutputStream().write(LINES.getBytes(StandardCharsets.UTF_8));
    process.getOutputStream().close();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, process.waitFor());
    return output.lines().map(line -> JsonParser.parseString(line).getAsJsonObject()).toList();
  }

  private static JsonArray events(JsonObject reply) {
    return reply.getAsJsonArray("events");
  }

  private static String error(JsonObject reply, String member) {
    return reply.getAsJsonObject("error").get(member).getAsString();
  }
}
