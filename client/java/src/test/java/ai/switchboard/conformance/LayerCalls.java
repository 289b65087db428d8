package ai.switchboard.conformance;

import ai.switchboard.client.AsyncSwitchboard;
import ai.switchboard.client.Collected;
import ai.switchboard.client.Collector;
import ai.switchboard.client.EventStream;
import ai.switchboard.client.FieldViolation;
import ai.switchboard.client.OpenTelemetryPropagator;
import ai.switchboard.client.Switchboard;
import ai.switchboard.client.SwitchboardException;
import ai.switchboard.v1.ConverseRequest;
import ai.switchboard.v1.ConverseStreamResponse;
import ai.switchboard.v1.CountTokensRequest;
import ai.switchboard.v1.ExplainRouteRequest;
import ai.switchboard.v1.RecordFeedbackRequest;
import ai.switchboard.v1.Route;
import ai.switchboard.v1.ToolUseBlock;
import com.google.gson.JsonArray;
import io.opentelemetry.api.OpenTelemetry;
import io.opentelemetry.api.trace.propagation.W3CTraceContextPropagator;
import io.opentelemetry.context.propagation.ContextPropagators;
import java.io.IOException;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.function.Function;
import java.util.function.Supplier;

/** Calls through {@code ai.switchboard.client}. */
final class LayerCalls implements Calls {
  private final SentWatch watch = new SentWatch();
  private final Switchboard switchboard;

  LayerCalls(String target) {
    OpenTelemetry openTelemetry =
        OpenTelemetry.propagating(ContextPropagators.create(W3CTraceContextPropagator.getInstance()));
    switchboard =
        Switchboard.builder(target)
            .configureChannel(channel -> channel.intercept(watch))
            .tracePropagator(new OpenTelemetryPropagator(openTelemetry))
            .connect();
  }

  @Override
  public void converse(Question question, Reply reply) throws IOException {
    ConverseRequest request = question.request(ConverseRequest.newBuilder()).build();
    var client = client(question);
    var response = ask(question, () -> client.converse(request), async -> async.converse(request));
    Collected collected = Collected.from(response);
    if (question.sendsHistory()) {
      sendHistory(client, request, collected, reply);
    } else {
      take(collected, reply);
      reply.response(response);
    }
  }

  @Override
  public void converseStream(Question question, Reply reply) throws IOException {
    ConverseRequest request = question.request(ConverseRequest.newBuilder()).build();
    Switchboard client = client(question);
    Collector collector = new Collector();
    try (EventStream stream = client.stream(request)) {
      if (question.isCancelledAfter(0)) {
        stream.close();
      }
      while (stream.hasNext()) {
        ConverseStreamResponse event = stream.next();
        collector.push(event);
        if (question.isCancelledAfter(reply.event(event))) {
          stream.close();
        }
      }
    }
    Collected collected = collector.finish();
    if (question.sendsHistory()) {
      reply.restart();
      sendHistory(client, request, collected, reply);
    } else {
      take(collected, reply);
      reply.joinedText(); // with blank text, which the collected message omits
    }
  }

  @Override
  public void countTokens(Question question, Reply reply) throws IOException {
    CountTokensRequest request = question.request(CountTokensRequest.newBuilder()).build();
    var client = client(question);
    reply.response(ask(question, () -> client.countTokens(request), async -> async.countTokens(request)));
  }

  @Override
  public void listTasks(Question question, Reply reply) {
    var client = client(question);
    reply.response(ask(question, client::tasks, AsyncSwitchboard::tasks));
  }

  @Override
  public void explainRoute(Question question, Reply reply) throws IOException {
    ExplainRouteRequest request = question.request(ExplainRouteRequest.newBuilder()).build();
    var client = client(question);
    reply.response(ask(question, () -> client.explain(request), async -> async.explain(request)));
  }

  @Override
  public void recordFeedback(Question question, Reply reply) throws IOException {
    RecordFeedbackRequest request = question.request(RecordFeedbackRequest.newBuilder()).build();
    var client = client(question);
    reply.response(ask(question, () -> client.recordFeedback(request), async -> async.recordFeedback(request)));
  }

  @Override
  public void report(RuntimeException failure, Reply reply) {
    if (failure instanceof CancellationException) {
      reply.fail("CANCELLED", "the call was cancelled");
      return;
    }
    if (!(failure instanceof SwitchboardException why)) {
      reply.fail("UNKNOWN", failure.toString());
      return;
    }
    JsonArray fields = new JsonArray();
    why.fieldViolations().stream().map(FieldViolation::field).forEach(fields::add);
    Reply.details(
        reply.fail(why.code().name(), why.getMessage()),
        why.reasonText(),
        why.retryAfter().map(it -> it.toMillis()),
        fields,
        why.requestId().orElse(""),
        why.route().map(Route::getAttemptsCount));
  }

  @Override
  public void close() {
    switchboard.close();
  }

  private Switchboard client(Question question) {
    return question.deadline().map(switchboard::withDeadline).orElse(switchboard);
  }

  /** Waits for the answer. Cancels the call as soon as it has been sent, if the line requests it. */
  private <R> R ask(
      Question question, Supplier<R> waiting, Function<AsyncSwitchboard, CompletableFuture<R>> notWaiting) {
    if (!question.isCancelled()) {
      return waiting.get();
    }
    watch.reset();
    CompletableFuture<R> answer = notWaiting.apply(client(question).async());
    watch.awaitSent();
    answer.cancel(true);
    try {
      return answer.join();
    } catch (CompletionException failed) {
      throw SwitchboardException.of(failed.getCause());
    }
  }

  private void sendHistory(Switchboard client, ConverseRequest request, Collected answer, Reply reply) {
    var response = client.converse(Question.andNow(request, answer.message()));
    take(Collected.from(response), reply);
    reply.response(response);
  }

  private static void take(Collected collected, Reply reply) {
    reply.text(collected.text());
    reply.message(collected.message());
    for (ToolUseBlock use : collected.toolUses()) {
      reply.toolUse(use.getToolUseId(), use.getName(), use.getInputJson());
    }
  }
}
