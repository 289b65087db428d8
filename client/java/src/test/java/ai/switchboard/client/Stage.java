package ai.switchboard.client;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Assumptions;

/** A real Switchboard with a real simulator. */
public final class Stage implements AutoCloseable {
  /** Timeout for waiting in tests. */
  static final Duration BOUND = Duration.ofSeconds(30);

  /** Models of a Switchboard without a configuration file. */
  static final String PRIMARY = "us.anthropic.claude-opus-4-8";

  static final String FALLBACK = "us.anthropic.claude-haiku-4-5-20251001-v1:0";

  private static final HttpClient HTTP = HttpClient.newHttpClient();

  private final List<Process> processes = new ArrayList<>();
  private final String simulator;
  private final String address;

  public Stage() {
    List<String> simulated = List.of(program("bedrock-sim"), "--listen", "127.0.0.1:0", "--speed", "0");
    simulator = start(simulated, Map.of(), "listens on (http://[0-9.:]+)");
    Map<String, String> environment =
        Map.of(
            "SWITCHBOARD_LISTEN", "127.0.0.1:0",
            "AWS_ENDPOINT_URL_BEDROCK_RUNTIME", simulator,
            "AWS_REGION", "us-east-1",
            "AWS_ACCESS_KEY_ID", "simulated",
            "AWS_SECRET_ACCESS_KEY", "simulated");
    address = start(List.of(program("switchboard"), "serve"), environment, "\"serving\",\"address\":\"([0-9.:]+)\"");
  }

  public String address() {
    return address;
  }

  Switchboard client() {
    return Switchboard.connect(address);
  }

  /** Injects a fault for a model; the fault is JSON of the simulator. */
  public void inject(String model, String fault) {
    String rule = "{\"model\":\"" + model + "\",\"fault\":" + fault + "}";
    HttpRequest request =
        HttpRequest.newBuilder(URI.create(simulator + "/_sim/faults"))
            .POST(HttpRequest.BodyPublishers.ofString(rule))
            .build();
    HttpResponse<String> response = send(request);
    Assertions.assertEquals(200, response.statusCode(), response.body());
  }

  /** Returns the calls that the simulator received. */
  List<JsonObject> calls() {
    HttpRequest request = HttpRequest.newBuilder(URI.create(simulator + "/_sim/calls")).build();
    JsonArray calls = JsonParser.parseString(send(request).body()).getAsJsonObject().getAsJsonArray("calls");
    return StreamSupport.stream(calls.spliterator(), false).map(JsonElement::getAsJsonObject).toList();
  }

  /** Waits until the simulator has noticed that all calls were cancelled. */
  void waitUntilAllCancelled() throws InterruptedException {
    waitUntilAllCancelled(0);
  }

  /** Waits until the calls after the first ones were cancelled. */
  void waitUntilAllCancelled(int before) throws InterruptedException {
    Predicate<JsonObject> cancelled = call -> call.get("hung_up").getAsBoolean();
    for (Instant ends = Instant.now().plus(BOUND); Instant.now().isBefore(ends); Thread.sleep(20)) {
      List<JsonObject> calls = calls();
      if (calls.size() > before && calls.stream().skip(before).allMatch(cancelled)) {
        return;
      }
    }
    Assertions.fail("not all calls were cancelled: " + calls());
  }

  @Override
  public void close() {
    processes.forEach(Process::destroyForcibly);
  }

  private static HttpResponse<String> send(HttpRequest request) {
    try {
      return HTTP.send(request, HttpResponse.BodyHandlers.ofString());
    } catch (IOException failure) {
      throw new UncheckedIOException(failure);
    } catch (InterruptedException failure) {
      throw new IllegalStateException(failure);
    }
  }

  /**
   * Returns the path of a program of this repository. If it is missing, the test is skipped, or fails in CI.
   */
  private static String program(String name) {
    Path path = folder().resolve(name).toAbsolutePath().normalize();
    String advice = path + " is missing: run `cargo build --workspace --bins`, or set SWITCHBOARD_PROGRAMS to its folder";
    if (System.getenv("CI") == null) {
      Assumptions.assumeTrue(Files.isExecutable(path), advice);
    }
    Assertions.assertTrue(Files.isExecutable(path), advice);
    return path.toString();
  }

  private static Path folder() {
    Optional<Path> named = Optional.ofNullable(System.getenv("SWITCHBOARD_PROGRAMS")).map(Path::of);
    Optional<Path> target = Optional.ofNullable(System.getenv("CARGO_TARGET_DIR")).map(Path::of);
    return named.orElseGet(() -> target.orElse(Path.of("..", "..", "target")).resolve("debug"));
  }

  /** Runs a program until the stage closes, and returns the match in its output. */
  private String start(List<String> command, Map<String, String> environment, String ready) {
    ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
    builder.environment().putAll(environment);
    Pattern pattern = Pattern.compile(ready);
    CompletableFuture<String> found = new CompletableFuture<>();
    try {
      Process process = builder.start();
      processes.add(process);
      Runtime.getRuntime().addShutdownHook(new Thread(process::destroyForcibly));
      Thread reader = new Thread(() -> read(process, pattern, found));
      reader.setDaemon(true);
      reader.start();
      return found.get(BOUND.toSeconds(), TimeUnit.SECONDS);
    } catch (Exception failure) {
      close();
      throw new IllegalStateException(command + " did not start", failure);
    }
  }

  private static void read(Process process, Pattern pattern, CompletableFuture<String> found) {
    try (BufferedReader lines = process.inputReader()) {
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        Matcher matcher = pattern.matcher(line);
        if (matcher.find()) {
          found.complete(matcher.group(1));
        }
      }
      found.completeExceptionally(new IllegalStateException("the program ended"));
    } catch (IOException failure) {
      found.completeExceptionally(failure);
    }
  }
}
