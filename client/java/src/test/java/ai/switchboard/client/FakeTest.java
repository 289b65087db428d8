package ai.switchboard.client;

import static ai.switchboard.client.Requests.ask;
import static ai.switchboard.client.Events.metadata;
import static ai.switchboard.client.Events.restart;
import static ai.switchboard.client.Events.route;
import static ai.switchboard.client.Events.text;
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
import org.junit.jupiter.params.provider.EnumSource;

/** Tests with a fake server, for behaviour that neither Switchboard nor the simulator shows on request. */
@DisplayNameGeneration(DisplayNameGenerator.ReplaceUnderscores.class)
class FakeTest {
  @Test
  void a_stream_without_metadata_is_incomplete() {
    try (Fake fake = Fake.streaming(route("one"), text(0, "Half an ans"));
        Switchboard switchboard = Switchboard.connect(fake.address());
        EventStream stream = switchboard.stream(ask("", "Hi"))) {
      List<String> parts = new ArrayList<>();
      var failure = assertThrows(SwitchboardException.class, () -> stream.text().forEach(parts::add));

      assertEquals(List.of("Half an ans"), parts);
      assertEquals(ErrorKind.INCOMPLETE, failure.kind());
      assertSame(failure, assertThrows(SwitchboardException.class, stream::hasNext));
    }
  }

  @Test
  void returns_events_newer_than_the_contract() {
    try (Fake fake = Fake.streaming(ConverseStreamResponse.getDefaultInstance(), metadata());
        Switchboard switchboard = Switchboard.connect(fake.address());
        EventStream stream = switchboard.stream(ask("", "Hi"))) {
      assertEquals(2, stream.events().count());
      assertFalse(stream.hasNext());
    }
  }

  @Test
  void text_fails_if_a_restart_follows_text() {
    List<String> parts = new ArrayList<>();
    try (Fake fake = Fake.streaming(route("one"), text(0, "Half"), restart(), text(0, "Whole."), metadata());
        Switchboard switchboard = Switchboard.connect(fake.address());
        EventStream stream = switchboard.stream(ask("", "Hi"))) {
      var failure = assertThrows(SwitchboardException.class, () -> stream.text().forEach(parts::add));

      assertEquals(List.of("Half"), parts);
      assertEquals(ErrorKind.RESTARTED, failure.kind());
      assertEquals(ErrorReason.ERROR_REASON_MODEL_ERROR, failure.reason());
    }
    parts.clear();
    try (Fake fake = Fake.streaming(route("one"), restart(), text(0, "Whole."), metadata());
        Switchboard switchboard = Switchboard.connect(fake.address());
        EventStream stream = switchboard.stream(ask("", "Hi"))) {
      stream.text().forEach(parts::add);

      assertEquals(List.of("Whole."), parts);
    }
  }

  @Test
  void an_exception_has_reason_delay_request_id_and_attempts() {
    RetryInfo.Builder retry = RetryInfo.newBuilder();
    retry.getRetryDelayBuilder().setSeconds(2);
    Route.Builder route = Route.newBuilder();
    route.addAttempts(Attempt.newBuilder().setReason(ErrorReason.ERROR_REASON_BEDROCK_THROTTLED));
    route.addAttempts(Attempt.newBuilder().setReason(ErrorReason.ERROR_REASON_MODEL_TIMEOUT));
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
      assertEquals(
          ErrorReason.ERROR_REASON_MODEL_TIMEOUT, failure.route().orElseThrow().getAttempts(1).getReason());
      assertEquals("Bedrock throttles every model (BEDROCK_THROTTLED)", failure.getMessage());
    }
  }

  @Test
  void converts_exceptions_of_generated_stubs() {
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

  @ParameterizedTest
  @EnumSource(names = {"UNAVAILABLE", "INTERNAL", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED"})
  void does_not_retry_an_error(Status.Code code) {
    try (Fake fake = Fake.failing(code.toStatus().withDescription("no").asRuntimeException(new Metadata()));
        Switchboard switchboard = Switchboard.connect(fake.address())) {
      var failure = assertThrows(SwitchboardException.class, () -> switchboard.text("", "Hi"));

      assertEquals(code, failure.code());
      assertEquals(1, fake.calls());
    }
  }

  @Test
  void a_broken_connection_is_an_exception() {
    Fake fake = Fake.stalling(text(0, "Half an ans"));
    try (Switchboard switchboard = Switchboard.connect(fake.address());
        EventStream stream = switchboard.stream(ask("", "Hi"))) {
      stream.next();
      fake.close();

      assertEquals(ErrorKind.TRANSPORT, assertThrows(SwitchboardException.class, stream::hasNext).kind());
    }
  }

  @Test
  void a_refused_connection_is_a_connect_exception() {
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
  void accepts_answers_larger_than_the_default_of_grpc() {
    String text = "Zürich 東京 🦀 ".repeat(1 << 20);
    ConverseResponse.Builder response = ConverseResponse.newBuilder();
    response.getOutputBuilder().setMessage(Requests.assistant(text));
    try (Fake fake = Fake.answering(response.build());
        Switchboard switchboard = Switchboard.connect(fake.address())) {
      assertEquals(text, switchboard.text("", "Hi"));
    }
  }

  @Test
  void sends_the_token_and_the_trace_context() {
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
      assertEquals(2, fake.calls());
    }
  }

  private static Metadata.Key<String> key(String name) {
    return Metadata.Key.of(name, Metadata.ASCII_STRING_MARSHALLER);
  }
}
