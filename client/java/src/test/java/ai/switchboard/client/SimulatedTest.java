package ai.switchboard.client;

import static ai.switchboard.client.Requests.ask;
import static ai.switchboard.client.Requests.toolResult;
import static ai.switchboard.client.Requests.user;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ai.switchboard.v1.ContentBlock;
import ai.switchboard.v1.ConverseRequest;
import ai.switchboard.v1.ConverseStreamResponse;
import ai.switchboard.v1.CountTokensRequest;
import ai.switchboard.v1.ErrorReason;
import ai.switchboard.v1.Message;
import ai.switchboard.v1.StopReason;
import ai.switchboard.v1.ToolUseBlock;
import com.google.gson.JsonParser;
import com.google.protobuf.ByteString;
import io.grpc.Context;
import io.grpc.Status;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Flow;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayNameGeneration;
import org.junit.jupiter.api.DisplayNameGenerator;
import org.junit.jupiter.api.Test;

/** Against a real Switchboard and a simulated Bedrock: what callers see, and what the simulator saw. */
@DisplayNameGeneration(DisplayNameGenerator.ReplaceUnderscores.class)
class SimulatedTest {
  private static final String LONG = "Write a function that sorts words, with care: 東京, Zürich 🦀.";

  private Stage stage;
  private Switchboard switchboard;

  @BeforeEach
  void begin() {
    stage = new Stage();
    switchboard = stage.client();
  }

  @AfterEach
  void end() {
    if (switchboard != null) {
      switchboard.close();
      stage.close();
    }
  }

  @Test
  void one_line_asks_and_answers() {
    String text = switchboard.text(TaskType.SUMMARIZATION, "Summarize: Zürich, 東京 and 🦀 are well.");

    assertTrue(text.contains("Zürich"), text);
  }

  @Test
  void a_stream_is_the_same_answer_in_pieces() {
    Collected whole = Collected.from(switchboard.converse(ask(TaskType.CODING, LONG)));
    List<String> pieces = new ArrayList<>();
    try (EventStream stream = switchboard.stream(ask(TaskType.CODING, LONG))) {
      stream.text().forEach(pieces::add);
    }
    Collected collected;
    try (EventStream stream = switchboard.stream(ask(TaskType.CODING, LONG))) {
      collected = stream.collectMessage();
    }

    assertTrue(pieces.size() > 1, pieces.toString());
    assertEquals(whole.text(), String.join("", pieces));
    assertEquals(whole.message(), collected.message());
    assertEquals(StopReason.STOP_REASON_END_TURN, collected.stopReason());
    assertEquals("end_turn", collected.rawStopReason());
    assertTrue(collected.usage().orElseThrow().getOutputTokens() > 0);
    assertEquals(Stage.PRIMARY, collected.route().getModelId());
    assertTrue(collected.latency().hasFirstToken());
  }

  @Test
  void a_throttled_model_is_replaced_and_the_route_tells() {
    stage.upset(Stage.PRIMARY, "{\"kind\":\"throttle\"}");

    Collected collected = collect(ask(TaskType.CODING, "Who answers?"));

    assertTrue(collected.route().getFallbackUsed());
    assertEquals(Stage.FALLBACK, collected.route().getModelId());
    assertEquals("BEDROCK_THROTTLED", collected.route().getAttempts(0).getReason());
  }

  @Test
  void tools_are_called_and_answered_with_their_exact_arguments() {
    ConverseRequest.Builder request = ask(TaskType.REASONING, "What is the weather in Oslo?").toBuilder();
    String schema = "{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\"}},\"required\":[\"city\"]}";
    var tool = request.getToolConfigBuilder().addToolsBuilder().getToolSpecBuilder().setName("get_weather");
    tool.getInputSchemaBuilder().setJsonText(schema);

    Collected asked = collect(request.build());
    assertEquals(StopReason.STOP_REASON_TOOL_USE, asked.stopReason());
    ToolUseBlock use = asked.toolUses().get(0);
    assertEquals("Oslo", JsonParser.parseString(use.getInputJson()).getAsJsonObject().get("city").getAsString());
    request.addMessages(asked.message());
    ContentBlock result = toolResult(use.getToolUseId(), "{\"station\":9007199254740993}");
    request.addMessages(Message.newBuilder().setRole("user").addContent(result));
    Collected answered = collect(request.build());

    assertEquals(StopReason.STOP_REASON_END_TURN, answered.stopReason());
    String body = stage.calls().get(1).get("body").toString();
    assertTrue(body.contains("{\"station\":9007199254740993}") && body.contains(use.getToolUseId()), body);
  }

  @Test
  void a_collected_message_goes_back_as_history() {
    String thinking = "{\"thinking\":{\"type\":\"adaptive\"}}";
    ConverseRequest.Builder request = ask(TaskType.REASONING, "Think about rivers.").toBuilder();
    request.setAdditionalModelRequestFieldsJson(thinking);

    Collected first = collect(request.build());
    assertTrue(first.message().getContent(0).getReasoningContent().getReasoningText().hasSignature());
    request.addMessages(first.message()).addMessages(user("And lakes?"));
    Collected second = Collected.from(switchboard.converse(request.build()));

    assertFalse(second.text().isEmpty());
    assertEquals(1, second.route().getAttemptsCount(), () -> "the signed reasoning did not pass: " + second.route());
  }

  @Test
  void a_stream_that_breaks_off_is_a_typed_exception() {
    stage.upset("*", "{\"kind\":\"exception\",\"after_events\":5,\"name\":\"modelStreamErrorException\"}");
    List<String> pieces = new ArrayList<>();
    EventStream stream = switchboard.stream(ask(TaskType.CODING, LONG));

    var failure = assertThrows(SwitchboardException.class, () -> stream.text().forEach(pieces::add));

    assertFalse(pieces.isEmpty());
    assertEquals(ErrorKind.STATUS, failure.kind());
    assertEquals(Status.Code.UNAVAILABLE, failure.code());
    assertEquals(ErrorReason.ERROR_REASON_STREAM_INTERRUPTED, failure.reason());
    assertTrue(failure.requestId().isPresent());
    assertEquals(1, failure.route().orElseThrow().getAttemptsCount());
    assertEquals(failure, assertThrows(SwitchboardException.class, stream::hasNext), "it stays over");
  }

  @Test
  void a_bad_request_names_its_field_and_the_call() {
    ConverseRequest request = ConverseRequest.newBuilder().addMessages(Message.newBuilder().setRole("robot")).build();

    var failure = assertThrows(SwitchboardException.class, () -> switchboard.converse(request));

    assertEquals(Status.Code.INVALID_ARGUMENT, failure.code());
    assertEquals(ErrorReason.ERROR_REASON_INVALID_FIELD, failure.reason());
    assertEquals("messages[0].role", failure.fieldViolations().get(0).field());
    assertFalse(failure.fieldViolations().get(0).problem().isEmpty());
    assertTrue(failure.requestId().isPresent());
  }

  @Test
  void a_deadline_ends_the_call_here_and_at_the_model() throws InterruptedException {
    stage.upset("*", "{\"kind\":\"hang\"}");
    Switchboard hurried = switchboard.withDeadline(Duration.ofMillis(400));

    var failure = assertThrows(SwitchboardException.class, () -> hurried.text(TaskType.CODING, "Take your time."));

    assertEquals(Status.Code.DEADLINE_EXCEEDED, failure.code());
    stage.seesEveryoneLeave();
  }

  @Test
  void closing_a_stream_ends_the_models_work() throws InterruptedException {
    stage.upset("*", "{\"kind\":\"stall\",\"after_events\":5}");

    EventStream stream = switchboard.stream(ask(TaskType.CODING, LONG));
    try (stream) {
      assertTrue(stream.next().hasRoute());
    }

    assertEquals(ErrorKind.CANCELLED, assertThrows(SwitchboardException.class, stream::hasNext).kind());
    stage.seesEveryoneLeave();
  }

  @Test
  void the_end_of_the_context_ends_the_models_work() throws Exception {
    stage.upset("*", "{\"kind\":\"stall\",\"after_events\":5}");
    Context.CancellableContext context = Context.current().withCancellation();
    EventStream stream = context.call(() -> switchboard.stream(ask(TaskType.CODING, LONG)));
    stream.next();

    context.cancel(null);

    var failure = assertThrows(SwitchboardException.class, () -> stream.forEachRemaining(event -> {}));
    assertEquals(ErrorKind.CANCELLED, failure.kind());
    stage.seesEveryoneLeave();
  }

  @Test
  void cancelling_a_future_ends_the_models_work() throws InterruptedException {
    stage.upset("*", "{\"kind\":\"hang\"}");
    var future = switchboard.async().converse(ask(TaskType.CODING, LONG));
    while (stage.calls().isEmpty()) {
      Thread.sleep(20);
    }

    future.cancel(true);

    assertThrows(CancellationException.class, future::join);
    stage.seesEveryoneLeave();
  }

  @Test
  void a_subscriber_pulls_and_cancels() throws InterruptedException {
    Reader whole = new Reader(Integer.MAX_VALUE);
    switchboard.async().stream(ask(TaskType.CODING, LONG)).subscribe(whole);
    assertTrue(whole.done.await(Stage.BOUND.toSeconds(), TimeUnit.SECONDS));
    assertEquals(null, whole.failure);
    assertTrue(whole.collector.finish().text().contains("simulated"));

    stage.upset("*", "{\"kind\":\"stall\",\"after_events\":5}");
    int before = stage.calls().size();
    Reader part = new Reader(2);
    switchboard.async().stream(ask(TaskType.CODING, LONG)).subscribe(part);
    assertTrue(part.done.await(Stage.BOUND.toSeconds(), TimeUnit.SECONDS));

    assertEquals(2, part.seen);
    stage.seesEveryoneLeave(before);
  }

  @Test
  void the_same_calls_without_waiting() {
    AsyncSwitchboard async = switchboard.async();

    CompletableFuture<String> text = async.text(TaskType.CODING, "Zürich?");
    var failure = async.converse(ConverseRequest.getDefaultInstance()).handle((it, why) -> why).join();

    assertTrue(text.join().contains("Zürich"));
    assertTrue(failure instanceof SwitchboardException why && why.code() == Status.Code.INVALID_ARGUMENT);
    assertEquals(6, async.tasks().join().getTasksCount());
  }

  @Test
  void tokens_are_counted_and_routes_explained() {
    CountTokensRequest.Builder request = CountTokensRequest.newBuilder().setTaskType(TaskType.SUMMARIZATION);
    request.getInputBuilder().getConverseBuilder().addMessages(user("How many tokens are these?"));

    assertTrue(switchboard.countTokens(request.build()).getInputTokens() > 0);
    assertEquals(6, switchboard.tasks().getTasksCount());
    assertEquals(Stage.PRIMARY, switchboard.explain(TaskType.CODING).getCandidates(0).getModelId());
  }

  @Test
  void a_large_request_reaches_the_model() {
    ConverseRequest.Builder request = ask(TaskType.ANALYSIS, "What do these show?").toBuilder();
    ContentBlock.Builder picture = ContentBlock.newBuilder();
    picture.getImageBuilder().setFormat("png").getSourceBuilder().setBytes(ByteString.copyFrom(new byte[3 << 20]));
    request.getMessagesBuilder(0).addContent(picture).addContent(picture);

    switchboard.converse(request.build());

    assertTrue(stage.calls().get(0).get("body").toString().length() > 8 << 20);
  }

  private Collected collect(ConverseRequest request) {
    try (EventStream stream = switchboard.stream(request)) {
      return stream.collectMessage();
    }
  }

  /** Asks for one event at a time, and leaves after some. */
  private static final class Reader implements Flow.Subscriber<ConverseStreamResponse> {
    final Collector collector = new Collector();
    final CountDownLatch done = new CountDownLatch(1);
    final int enough;
    volatile int seen;
    volatile Throwable failure;
    private Flow.Subscription subscription;

    Reader(int enough) {
      this.enough = enough;
    }

    @Override
    public void onSubscribe(Flow.Subscription subscription) {
      this.subscription = subscription;
      subscription.request(1);
    }

    @Override
    public void onNext(ConverseStreamResponse event) {
      collector.push(event);
      seen = seen + 1;
      if (seen == enough) {
        subscription.cancel();
        done.countDown();
      } else {
        subscription.request(1);
      }
    }

    @Override
    public void onError(Throwable failure) {
      this.failure = failure;
      done.countDown();
    }

    @Override
    public void onComplete() {
      done.countDown();
    }
  }
}
