package ai.switchboard.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import org.junit.jupiter.api.DisplayNameGeneration;
import org.junit.jupiter.api.DisplayNameGenerator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Runs the README's steps. Only the address is replaced. */
@DisplayNameGeneration(DisplayNameGenerator.ReplaceUnderscores.class)
class ReadmeTest {
  /** Contains the README's blocks except the first one, which is a complete program. */
  private static final String PROGRAM =
      """
      import static ai.switchboard.client.Requests.*;
      import static ai.switchboard.client.TaskType.*;

      import ai.switchboard.client.*;
      import ai.switchboard.v1.*;
      import io.grpc.Status;
      import io.opentelemetry.api.GlobalOpenTelemetry;
      import java.nio.file.*;
      import java.time.Duration;
      import java.util.List;
      import java.util.concurrent.CompletableFuture;

      public class Rest {
        static void connecting() throws Exception {
          %s
          switchboard.close();
        }
        static void asking(Switchboard switchboard) {
          %s
        }
        static void streaming(Switchboard switchboard) {
          %s
        }
        static void tooling(Switchboard switchboard) {
          %s
        }
        static void without_waiting(Switchboard switchboard) {
          %s
        }
        static void failing(Switchboard switchboard) {
          %s
        }
        static void judging(Switchboard switchboard) {
          %s
        }
        public static void main(String[] arguments) throws Exception {
          connecting();
          try (Switchboard switchboard = Switchboard.connect("127.0.0.1:50051")) {
            asking(switchboard);
            streaming(switchboard);
            tooling(switchboard);
            without_waiting(switchboard);
            failing(switchboard);
            judging(switchboard);
          }
        }
      }
      """;

  @Test
  void the_readme_runs_as_written(@TempDir Path folder) throws Exception {
    List<String> blocks = fenced("java");
    assertEquals(8, blocks.size(), "update this test");
    try (Stage stage = new Stage()) {
      String hello = run(folder, "Hello.java", blocks.get(0).replace("127.0.0.1:50051", stage.address()));
      assertTrue(hello.contains("simulat"), hello);

      Files.writeString(folder.resolve("ca.pem"), OptionsTest.authority(folder));
      String rest = PROGRAM.formatted(blocks.subList(1, 8).toArray()).replace("127.0.0.1:50051", stage.address());
      String output = run(folder, "Rest.java", rest);

      assertTrue(output.contains("(from " + Stage.PRIMARY + ")"), output);
      assertTrue(output.contains("output_tokens:"), output);
      assertTrue(output.contains("The tool answered: {\"celsius\":21}"), output);
    }
  }

  @Test
  void the_readme_has_the_coordinates_of_the_pom() throws IOException {
    String pom = Files.readString(Path.of("pom.xml"));

    assertEquals(List.of("mvn -q -f \"$SWITCHBOARD/client/java/pom.xml\" install -DskipTests\n"), fenced("sh"));
    List<String> coordinates = fenced("xml").get(0).lines().filter(line -> line.startsWith("  ")).toList();
    assertEquals(3, coordinates.size());
    coordinates.forEach(line -> assertTrue(pom.contains("\n" + line + "\n"), line));
  }

  private static List<String> fenced(String language) throws IOException {
    Pattern block = Pattern.compile("```" + language + "\n(.*?)```", Pattern.DOTALL);
    return block.matcher(Files.readString(Path.of("README.md"))).results().map(ReadmeTest::inside).toList();
  }

  private static String inside(MatchResult block) {
    return block.group(1);
  }

  /** Runs a single-file program with the libraries of this project. It must succeed. */
  private static String run(Path folder, String name, String program) throws Exception {
    Files.writeString(folder.resolve(name), program);
    String libraries = Path.of("target", "classes").toAbsolutePath() + ":" + Files.readString(Path.of("target", "classpath"));
    String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
    ProcessBuilder builder = new ProcessBuilder(java, "-classpath", libraries, name);
    builder.environment().put("SWITCHBOARD_TOKEN", "s3cret");
    Process process = builder.directory(folder.toFile()).redirectErrorStream(true).start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, process.waitFor(), output);
    return output;
  }
}
