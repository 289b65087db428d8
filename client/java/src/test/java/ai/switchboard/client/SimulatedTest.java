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

/** Tests with a real Switchboard and a simulated Bedrock. */
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
  void text_returns_the_text_of_the_answer() {
    String text = switchboard.text(TaskType.SUMMARIZATION, "Summarize: Zürich, 東京 and 🦀 are well.");

    assertTrue(text.contains("Zürich"), text);
  }

  @Test
  void a_stream_equals_the_complete_answer() {
    Collected complete = Collected.from(switchboard.converse(ask(TaskType.CODING, LONG)));
    List<String> parts = new ArrayList<>();
    try (EventStream stream = switchboard.stream(ask(TaskType.CODING, LONG))) {
      stream.text().forEach(parts::add);
    }
    Collected collected;
    try (EventStream stream = switchboard.stream(ask(TaskType.CODING, LONG))) {
      collected = stream.collectMessage();
    }

    assertTrue(parts.size() > 1, parts.toString());
    assertEquals(complete.text(), String.join("", parts));
    assertEquals(complete.message(), collected.message());
    assertEquals(StopReason.STOP_REASON_END_TURN, collected.stopReason());
    assertEquals("end_turn", collected.rawStopReason());
    assertTrue(collected.usage().orElseThrow().getOutputTokens() > 0);
    assertEquals(Stage.PRIMARY, collected.route().getModelId());
    assertTrue(collected.latency().hasFirstToken());
  }

  @Test
  void the_route_shows_a_fallback() {
    stage.inject(Stage.PRIMARY, "{\"kind\":\"throttle\"}");

    Collected collected = collect(ask(TaskType.CODING, "Who answers?"));

    assertTrue(collected.route().getFallbackUsed());
    assertEquals(Stage.FALLBACK, collected.route().getModelId());
    assertEquals(ErrorReason.ERROR_REASON_BEDROCK_THROTTLED, collected.route().getAttempts(0).getReason());
  }

  @Test
  void tool_uses_and_results_are_exact() {
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
  void sends_a_collected_message_back_as_history() {
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
  void a_broken_stream_is_a_typed_exception() {
    stage.inject("*", "{\"kind\":\"exception\",\"after_events\":5,\"name\":\"modelStreamErrorException\"}");
    List<String> parts = new ArrayList<>();
    EventStream stream = switchboard.stream(ask(TaskType.CODING, LONG));

    var failure = assertThrows(SwitchboardException.class, () -> stream.text().forEach(parts::add));

    assertFalse(parts.isEmpty());
    assertEquals(ErrorKind.STATUS, failure.kind());
    assertEquals(Status.Code.UNAVAILABLE, failure.code());
    assertEquals(ErrorReason.ERROR_REASON_STREAM_INTERRUPTED, failure.reason());
    assertTrue(failure.requestId().isPresent());
    assertEquals(1, failure.route().orElseThrow().getAttemptsCount());
    assertEquals(failure, assertThrows(SwitchboardException.class, stream::hasNext), "throws the same exception again");
  }

  @Test
  void an_exception_names_invalid_fields() {
    ConverseRequest request = ConverseRequest.newBuilder().addMessages(Message.newBuilder().setRole("robot")).build();

    var failure = assertThrows(SwitchboardException.class, () -> switchboard.converse(request));

    assertEquals(Status.Code.INVALID_ARGUMENT, failure.code());
    assertEquals(ErrorReason.ERROR_REASON_INVALID_FIELD, failure.reason());
    assertEquals("messages[0].role", failure.fieldViolations().get(0).field());
    assertFalse(failure.fieldViolations().get(0).problem().isEmpty());
    assertTrue(failure.requestId().isPresent());
  }

  @Test
  void a_deadline_cancels_the_call_at_bedrock() throws InterruptedException {
    stage.inject("*", "{\"kind\":\"hang\"}");
    Switchboard client = switchboard.withDeadline(Duration.ofMillis(400));

    var failure = assertThrows(SwitchboardException.class, () -> client.text(TaskType.CODING, "Take your time."));

    assertEquals(Status.Code.DEADLINE_EXCEEDED, failure.code());
    stage.waitUntilAllCancelled();
  }

  @Test
  void closing_a_stream_cancels_the_call_at_bedrock() throws InterruptedException {
    stage.inject("*", "{\"kind\":\"stall\",\"after_events\":5}");

    EventStream stream = switchboard.stream(ask(TaskType.CODING, LONG));
    try (stream) {
      assertTrue(stream.next().hasRoute());
    }

    assertEquals(ErrorKind.CANCELLED, assertThrows(SwitchboardException.class, stream::hasNext).kind());
    stage.waitUntilAllCancelled();
  }

  @Test
  void cancelling_the_context_cancels_the_call_at_bedrock() throws Exception {
    stage.inject("*", "{\"kind\":\"stall\",\"after_events\":5}");
    Context.CancellableContext context = Context.current().withCancellation();
    EventStream stream = context.call(() -> switchboard.stream(ask(TaskType.CODING, LONG)));
    stream.next();

    context.cancel(null);

    var failure = assertThrows(SwitchboardException.class, () -> stream.forEachRemaining(event -> {}));
    assertEquals(ErrorKind.CANCELLED, failure.kind());
    stage.waitUntilAllCancelled();
  }

  @Test
  void cancelling_a_future_cancels_the_call_at_bedrock() throws InterruptedException {
    stage.inject("*", "{\"kind\":\"hang\"}");
    var future = switchboard.async().converse(ask(TaskType.CODING, LONG));
    while (stage.calls().isEmpty()) {
      Thread.sleep(20);
    }

    future.cancel(true);

    assertThrows(CancellationException.class, future::join);
    stage.waitUntilAllCancelled();
  }

  @Test
  void a_subscriber_requests_and_cancels() throws InterruptedException {
    Reader whole = new Reader(Integer.MAX_VALUE);
    switchboard.async().stream(ask(TaskType.CODING, LONG)).subscribe(whole);
    assertTrue(whole.done.await(Stage.BOUND.toSeconds(), TimeUnit.SECONDS));
    assertEquals(null, whole.failure);
    assertTrue(whole.collector.finish().text().contains("simulated"));

    stage.inject("*", "{\"kind\":\"stall\",\"after_events\":5}");
    int before = stage.calls().size();
    Reader part = new Reader(2);
    switchboard.async().stream(ask(TaskType.CODING, LONG)).subscribe(part);
    assertTrue(part.done.await(Stage.BOUND.toSeconds(), TimeUnit.SECONDS));

    assertEquals(2, part.seen);
    stage.waitUntilAllCancelled(before);
  }

  @Test
  void the_async_client_has_the_same_calls() {
    AsyncSwitchboard async = switchboard.async();

    CompletableFuture<String> text = async.text(TaskType.CODING, "Zürich?");
    var failure = async.converse(ConverseRequest.getDefaultInstance()).handle((it, why) -> why).join();

    assertTrue(text.join().contains("Zürich"));
    assertTrue(failure instanceof SwitchboardException why && why.code() == Status.Code.INVALID_ARGUMENT);
    assertEquals(6, async.tasks().join().getTasksCount());
  }

  @Test
  void counts_tokens_lists_tasks_and_explains_routes() {
    CountTokensRequest.Builder request = CountTokensRequest.newBuilder().setTaskType(TaskType.SUMMARIZATION);
    request.getInputBuilder().getConverseBuilder().addMessages(user("How many tokens are these?"));

    assertTrue(switchboard.countTokens(request.build()).getInputTokens() > 0);
    assertEquals(6, switchboard.tasks().getTasksCount());
    assertEquals(Stage.PRIMARY, switchboard.explain(TaskType.CODING).getCandidates(0).getModelId());
  }

  @Test
  void sends_large_requests() {
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

  /** Requests one event at a time and cancels after a number of events. */
  private static final class Reader implements Flow.Subscriber<ConverseStreamResponse> {
    final Collector collector = new Collector();
    final CountDownLatch done = new CountDownLatch(1);
    final int limit;
    volatile int seen;
    volatile Throwable failure;
    private Flow.Subscription subscription;

    Reader(int limit) {
      this.limit = limit;
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
      if (seen == limit) {
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
