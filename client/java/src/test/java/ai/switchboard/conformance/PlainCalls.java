package ai.switchboard.conformance;

import ai.switchboard.v1.ContentBlock;
import ai.switchboard.v1.ConverseRequest;
import ai.switchboard.v1.ConverseResponse;
import ai.switchboard.v1.ConverseServiceGrpc;
import ai.switchboard.v1.ConverseStreamResponse;
import ai.switchboard.v1.CountTokensRequest;
import ai.switchboard.v1.ExplainRouteRequest;
import ai.switchboard.v1.FeedbackServiceGrpc;
import ai.switchboard.v1.ListTasksRequest;
import ai.switchboard.v1.Message;
import ai.switchboard.v1.RecordFeedbackRequest;
import ai.switchboard.v1.Route;
import ai.switchboard.v1.RoutingServiceGrpc;
import com.google.common.util.concurrent.ListenableFuture;
import com.google.gson.JsonArray;
import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RequestInfo;
import com.google.rpc.RetryInfo;
import io.grpc.Context;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.AbstractStub;
import java.io.IOException;
import java.util.Iterator;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;

/** Calls through generated stubs only. */
final class PlainCalls implements Calls {
  private final SentWatch watch = new SentWatch();
  private final ManagedChannel channel;

  PlainCalls(String target) {
    channel =
        Grpc.newChannelBuilder(target, InsecureChannelCredentials.create())
            .maxInboundMessageSize(64 << 20)
            .intercept(watch)
            .build();
  }

  @Override
  public void converse(Question question, Reply reply) throws IOException {
    ConverseRequest request = question.request(ConverseRequest.newBuilder()).build();
    var stub = in(question, ConverseServiceGrpc.newFutureStub(channel));
    ConverseResponse response = await(question, () -> stub.converse(request));
    if (question.sendsHistory()) {
      sendHistory(question, request, response.getOutput().getMessage(), reply);
    } else {
      take(response, reply);
    }
  }

  @Override
  public void converseStream(Question question, Reply reply) throws IOException {
    ConverseRequest request = question.request(ConverseRequest.newBuilder()).build();
    Joined turn = new Joined();
    Context.CancellableContext context = Context.current().withCancellation();
    Context before = context.attach();
    try {
      var stub = in(question, ConverseServiceGrpc.newBlockingStub(channel));
      Iterator<ConverseStreamResponse> events = stub.converseStream(request);
      if (question.isCancelledAfter(0)) {
        context.cancel(null);
      }
      while (events.hasNext()) {
        ConverseStreamResponse event = events.next();
        if (context.isCancelled()) {
          break; // the event arrived before the call was cancelled
        }
        turn.add(event);
        if (question.isCancelledAfter(reply.event(event))) {
          context.cancel(null);
        }
      }
      if (context.isCancelled()) {
        throw new CancellationException();
      }
    } finally {
      context.detach(before);
      context.cancel(null);
    }
    if (question.sendsHistory()) {
      reply.restart();
      sendHistory(question, request, turn.message(), reply);
    } else {
      reply.joinedText();
    }
  }

  @Override
  public void countTokens(Question question, Reply reply) throws IOException {
    CountTokensRequest request = question.request(CountTokensRequest.newBuilder()).build();
    var stub = in(question, ConverseServiceGrpc.newFutureStub(channel));
    reply.response(await(question, () -> stub.countTokens(request)));
  }

  @Override
  public void listTasks(Question question, Reply reply) {
    var stub = in(question, RoutingServiceGrpc.newFutureStub(channel));
    reply.response(await(question, () -> stub.listTasks(ListTasksRequest.getDefaultInstance())));
  }

  @Override
  public void explainRoute(Question question, Reply reply) throws IOException {
    ExplainRouteRequest request = question.request(ExplainRouteRequest.newBuilder()).build();
    var stub = in(question, RoutingServiceGrpc.newFutureStub(channel));
    reply.response(await(question, () -> stub.explainRoute(request)));
  }

  @Override
  public void recordFeedback(Question question, Reply reply) throws IOException {
    RecordFeedbackRequest request = question.request(RecordFeedbackRequest.newBuilder()).build();
    var stub = in(question, FeedbackServiceGrpc.newFutureStub(channel));
    reply.response(await(question, () -> stub.recordFeedback(request)));
  }

  @Override
  public void report(RuntimeException failure, Reply reply) {
    if (failure instanceof CancellationException) {
      reply.fail("CANCELLED", "the call was cancelled");
      return;
    }
    Status status = Status.fromThrowable(failure);
    var error = reply.fail(status.getCode().name(), Objects.requireNonNullElse(status.getDescription(), ""));
    com.google.rpc.Status decoded = StatusProto.fromThrowable(failure);
    if (decoded == null) {
      return;
    }
    try {
      decode(decoded, error);
    } catch (InvalidProtocolBufferException invalid) {
      error.addProperty("message", "invalid details: " + invalid.getMessage());
    }
  }

  @Override
  public void close() {
    channel.shutdownNow();
  }

  private static void decode(com.google.rpc.Status decoded, com.google.gson.JsonObject error)
      throws InvalidProtocolBufferException {
    String reason = "";
    Optional<Long> retryMs = Optional.empty();
    JsonArray fields = new JsonArray();
    String requestId = "";
    Optional<Integer> attempts = Optional.empty();
    for (Any detail : decoded.getDetailsList()) {
      if (detail.is(ErrorInfo.class)) {
        reason = detail.unpack(ErrorInfo.class).getReason();
      } else if (detail.is(RetryInfo.class)) {
        var delay = detail.unpack(RetryInfo.class).getRetryDelay();
        retryMs = Optional.of(delay.getSeconds() * 1000 + delay.getNanos() / 1_000_000);
      } else if (detail.is(BadRequest.class)) {
        detail.unpack(BadRequest.class).getFieldViolationsList().forEach(it -> fields.add(it.getField()));
      } else if (detail.is(RequestInfo.class)) {
        requestId = detail.unpack(RequestInfo.class).getRequestId();
      } else if (detail.is(Route.class)) {
        attempts = Optional.of(detail.unpack(Route.class).getAttemptsCount());
      }
    }
    Reply.details(error, reason, retryMs, fields, requestId, attempts);
  }

  private static <S extends AbstractStub<S>> S in(Question question, S stub) {
    return question.deadline().map(it -> stub.withDeadlineAfter(it.toMillis(), TimeUnit.MILLISECONDS)).orElse(stub);
  }

  private interface Call<R> {
    ListenableFuture<R> begin();
  }

  /** Waits for the answer. Cancels the call as soon as it has been sent, if the line requests it. */
  private <R> R await(Question question, Call<R> call) {
    watch.reset();
    ListenableFuture<R> answer = call.begin();
    if (question.isCancelled()) {
      watch.awaitSent();
      answer.cancel(true);
    }
    try {
      return answer.get();
    } catch (ExecutionException failed) {
      throw (StatusRuntimeException) failed.getCause();
    } catch (InterruptedException interrupted) {
      throw new IllegalStateException(interrupted);
    }
  }

  private void sendHistory(Question question, ConverseRequest request, Message answer, Reply reply) {
    var stub = in(question, ConverseServiceGrpc.newBlockingStub(channel));
    take(stub.converse(Question.andNow(request, answer)), reply);
  }

  private static void take(ConverseResponse response, Reply reply) {
    StringBuilder text = new StringBuilder();
    for (ContentBlock block : response.getOutput().getMessage().getContentList()) {
      text.append(block.getText());
      block.getCitationsContent().getContentList().forEach(part -> text.append(part.getText()));
    }
    reply.text(text.toString());
    reply.response(response);
  }
}
