package ai.switchboard.client;

import static ai.switchboard.client.Requests.ask;
import static ai.switchboard.client.Words.metadata;
import static ai.switchboard.client.Words.restart;
import static ai.switchboard.client.Words.route;
import static ai.switchboard.client.Words.text;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ai.switchboard.v1.Attempt;
import ai.switchboard.v1.ConverseResponse;
import ai.switchboard.v1.ConverseServiceGrpc;
import ai.switchboard.v1.ConverseStreamResponse;
import ai.switchboard.v1.ErrorReason;
import ai.switchboard.v1.Route;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RequestInfo;
import com.google.rpc.RetryInfo;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.opentelemetry.api.OpenTelemetry;
import io.opentelemetry.api.trace.Span;
import io.opentelemetry.api.trace.SpanContext;
import io.opentelemetry.api.trace.TraceFlags;
import io.opentelemetry.api.trace.TraceState;
import io.opentelemetry.api.trace.propagation.W3CTraceContextPropagator;
import io.opentelemetry.context.Scope;
import io.opentelemetry.context.propagation.ContextPropagators;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.DisplayNameGeneration;
import org.junit.jupiter.api.DisplayNameGenerator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What neither Switchboard nor the simulator does on request: a fake says it. */
@DisplayNameGeneration(DisplayNameGenerator.ReplaceUnderscores.class)
class FakeTest {
  private static final Metadata.Key<String> PUSHBACK = key("grpc-retry-pushback-ms");

  @Test
  void a_stream_without_metadata_is_not_whole() {
    try (Fake fake = Fake.streaming(route("one"), text(0, "Half an ans"));
        Switchboard switchboard = Switchboard.connect(fake.address());
        EventStream stream = switchboard.stream(ask("", "Hi"))) {
      List<String> pieces = new ArrayList<>();
      var failure = assertThrows(SwitchboardException.class, () -> stream.text().forEach(pieces::add));

      assertEquals(List.of("Half an ans"), pieces);
      assertEquals(ErrorKind.INCOMPLETE, failure.kind());
      assertSame(failure, assertThrows(SwitchboardException.class, stream::hasNext));
    }
  }

  @Test
  void events_newer_than_this_contract_are_passed_on() {
    try (Fake fake = Fake.streaming(ConverseStreamResponse.getDefaultInstance(), metadata());
        Switchboard switchboard = Switchboard.connect(fake.address());
        EventStream stream = switchboard.stream(ask("", "Hi"))) {
      assertEquals(2, stream.events().count());
      assertFalse(stream.hasNext());
    }
  }

  @Test
  void words_that_were_given_out_cannot_start_over() {
    List<String> pieces = new ArrayList<>();
    try (Fake fake = Fake.streaming(route("one"), text(0, "Half"), restart(), text(0, "Whole."), metadata());
        Switchboard switchboard = Switchboard.connect(fake.address());
        EventStream stream = switchboard.stream(ask("", "Hi"))) {
      var failure = assertThrows(SwitchboardException.class, () -> stream.text().forEach(pieces::add));

      assertEquals(List.of("Half"), pieces);
      assertEquals(ErrorKind.RESTARTED, failure.kind());
      assertEquals(ErrorReason.ERROR_REASON_MODEL_ERROR, failure.reason());
    }
    pieces.clear();
    try (Fake fake = Fake.streaming(route("one"), restart(), text(0, "Whole."), metadata());
        Switchboard switchboard = Switchboard.connect(fake.address());
        EventStream stream = switchboard.stream(ask("", "Hi"))) {
      stream.text().forEach(pieces::add);

      assertEquals(List.of("Whole."), pieces);
    }
  }

  @Test
  void a_status_tells_its_reason_its_pause_and_every_attempt() {
    RetryInfo.Builder retry = RetryInfo.newBuilder();
    retry.getRetryDelayBuilder().setSeconds(2);
    Route.Builder route = Route.newBuilder().addAttempts(Attempt.newBuilder().setReason("BEDROCK_THROTTLED"));
    route.addAttempts(Attempt.newBuilder().setReason("MODEL_TIMEOUT"));
    var throttled =
        Fake.status(
            Status.Code.RESOURCE_EXHAUSTED,
            "Bedrock throttles every model",
            ErrorInfo.newBuilder().setReason("BEDROCK_THROTTLED").setDomain("switchboard").build(),
            RequestInfo.newBuilder().setRequestId("call-1").build(),
            retry.build(),
            route.build());
    try (Fake fake = Fake.failing(throttled);
        Switchboard switchboard = Switchboard.connect(fake.address());
        EventStream stream = switchboard.stream(ask("", "Hi"))) {
      var failure = assertThrows(SwitchboardException.class, stream::collectMessage);

      assertEquals(ErrorKind.STATUS, failure.kind());
      assertEquals(ErrorReason.ERROR_REASON_BEDROCK_THROTTLED, failure.reason());
      assertEquals(Optional.of(Duration.ofSeconds(2)), failure.retryAfter());
      assertEquals(Optional.of("call-1"), failure.requestId());
      assertEquals("MODEL_TIMEOUT", failure.route().orElseThrow().getAttempts(1).getReason());
      assertEquals("Bedrock throttles every model (BEDROCK_THROTTLED)", failure.getMessage());
    }
  }

  @Test
  void the_exceptions_of_generated_stubs_say_the_same() {
    ErrorInfo newer = ErrorInfo.newBuilder().setReason("MOON_PHASE").setDomain("switchboard").build();
    try (Fake fake = Fake.failing(Fake.status(Status.Code.INTERNAL, "no", newer));
        Switchboard switchboard = Switchboard.connect(fake.address())) {
      var stub = ConverseServiceGrpc.newBlockingStub(switchboard.channel());

      var bare = assertThrows(StatusRuntimeException.class, () -> stub.converse(ask("", "Hi")));
      SwitchboardException failure = SwitchboardException.of(bare);

      assertEquals(ErrorReason.ERROR_REASON_UNSPECIFIED, failure.reason());
      assertEquals("MOON_PHASE", failure.reasonText());
      assertEquals(Optional.empty(), failure.retryAfter());
      assertSame(bare, failure.getCause());
    }
  }

  @ParameterizedTest(name = "{0}, pushback {1}: asked {2} times")
  @CsvSource({"UNAVAILABLE,,2", "UNAVAILABLE,-1,1", "INTERNAL,,1", "RESOURCE_EXHAUSTED,,1", "DEADLINE_EXCEEDED,,1"})
  void only_what_nobody_has_tried_is_sent_once_more(Status.Code code, String pushback, int asked) {
    Metadata trailers = new Metadata();
    if (pushback != null) {
      trailers.put(PUSHBACK, pushback);
    }
    try (Fake fake = Fake.failing(code.toStatus().withDescription("no").asRuntimeException(trailers));
        Switchboard switchboard = Switchboard.connect(fake.address())) {
      var failure = assertThrows(SwitchboardException.class, () -> switchboard.text("", "Hi"));

      assertEquals(code, failure.code());
      assertEquals(asked, fake.asked());
    }
  }

  @Test
  void a_connection_that_breaks_is_not_an_answer() {
    Fake fake = Fake.stalling(text(0, "Half an ans"));
    try (Switchboard switchboard = Switchboard.connect(fake.address());
        EventStream stream = switchboard.stream(ask("", "Hi"))) {
      stream.next();
      fake.close();

      assertEquals(ErrorKind.TRANSPORT, assertThrows(SwitchboardException.class, stream::hasNext).kind());
    }
  }

  @Test
  void where_nobody_listens_the_call_was_never_asked() {
    Fake fake = Fake.answering(ConverseResponse.getDefaultInstance());
    String address = fake.address();
    fake.close();
    try (Switchboard switchboard = Switchboard.connect(address)) {
      var failure = assertThrows(SwitchboardException.class, () -> switchboard.text("", "Anyone?"));

      assertEquals(ErrorKind.CONNECT, failure.kind());
      assertTrue(failure.getMessage().contains(address), failure.getMessage());
    }
  }

  @Test
  void an_answer_may_be_larger_than_usual() {
    String words = "Zürich 東京 🦀 ".repeat(1 << 20);
    ConverseResponse.Builder response = ConverseResponse.newBuilder();
    response.getOutputBuilder().setMessage(Requests.assistant(words));
    try (Fake fake = Fake.answering(response.build());
        Switchboard switchboard = Switchboard.connect(fake.address())) {
      assertEquals(words, switchboard.text("", "Hi"));
    }
  }

  @Test
  void the_token_and_the_trace_go_with_every_call() {
    W3CTraceContextPropagator w3c = W3CTraceContextPropagator.getInstance();
    OpenTelemetry openTelemetry = OpenTelemetry.propagating(ContextPropagators.create(w3c));
    String traceId = "01000000000000000000000000000000";
    SpanContext span =
        SpanContext.create(traceId, "0200000000000000", TraceFlags.getSampled(), TraceState.getDefault());
    try (Fake fake = Fake.answering(ConverseResponse.getDefaultInstance());
        Switchboard switchboard =
            Switchboard.builder(fake.address())
                .bearerToken("s3cret")
                .tracePropagator(new OpenTelemetryPropagator(openTelemetry))
                .connect();
        Scope current = Span.wrap(span).makeCurrent()) {
      switchboard.converse(ask("", "Hi"));
      switchboard.async().converse(ask("", "Hi")).join();

      for (Metadata headers : fake.headers) {
        assertEquals("Bearer s3cret", headers.get(key("authorization")));
        assertEquals("00-" + traceId + "-0200000000000000-01", headers.get(key("traceparent")));
        assertTrue(headers.get(key("user-agent")).startsWith("switchboard-client-java/"));
      }
      assertEquals(2, fake.asked());
    }
  }

  private static Metadata.Key<String> key(String name) {
    return Metadata.Key.of(name, Metadata.ASCII_STRING_MARSHALLER);
  }
}
