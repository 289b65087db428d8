package ai.switchboard.conformance;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonObject;
import io.opentelemetry.context.Scope;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.List;

/**
 * Java driver of the conformance suite: reads a call per line from standard input and writes its result as a
 * line to standard output. Mode {@code layer} uses {@code ai.switchboard.client}; mode {@code plain} uses
 * only generated stubs and gRPC.
 */
public final class Driver {
  private static final Gson JSON = new GsonBuilder().disableHtmlEscaping().create();

  private Driver() {}

  /** Runs until the input ends. */
  public static void main(String[] arguments) throws IOException {
    List<String> given = List.of(arguments);
    String target = after(given, "--target");
    String mode = after(given, "--mode");
    PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
    System.setOut(System.err); // nothing else goes to standard output
    var in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    try (Calls calls = calls(target, mode)) {
      for (String line = in.readLine(); line != null; line = in.readLine()) {
        out.print(JSON.toJson(answer(calls, JSON.fromJson(line, Question.class))) + "\n");
        out.flush();
      }
    }
  }

  private static String after(List<String> arguments, String name) {
    int at = arguments.indexOf(name);
    if (at < 0 || at + 1 == arguments.size()) {
      throw new IllegalArgumentException("usage: --target HOST:PORT --mode layer|plain");
    }
    return arguments.get(at + 1);
  }

  private static Calls calls(String target, String mode) {
    return switch (mode) {
      case "layer" -> new LayerCalls(target);
      case "plain" -> new PlainCalls(target);
      default -> throw new IllegalArgumentException("--mode " + mode + ": use layer or plain");
    };
  }

  private static JsonObject answer(Calls calls, Question question) {
    Reply reply = new Reply();
    try (Scope span = question.span().makeCurrent()) {
      switch (question.rpc()) {
        case "Converse" -> calls.converse(question, reply);
        case "ConverseStream" -> calls.converseStream(question, reply);
        case "CountTokens" -> calls.countTokens(question, reply);
        case "ListTasks" -> calls.listTasks(question, reply);
        case "ExplainRoute" -> calls.explainRoute(question, reply);
        case "RecordFeedback" -> calls.recordFeedback(question, reply);
        default -> reply.fail("UNIMPLEMENTED", "the driver has no rpc " + question.rpc());
      }
    } catch (RuntimeException failure) {
      calls.report(failure, reply);
    } catch (IOException invalid) {
      reply.fail("INVALID_ARGUMENT", "invalid request: " + invalid.getMessage());
    }
    return reply.json();
  }
}
