package ai.switchboard.client;

import ai.switchboard.v1.ConverseRequest;
import ai.switchboard.v1.ConverseResponse;
import ai.switchboard.v1.ConverseServiceGrpc;
import ai.switchboard.v1.ConverseStreamResponse;
import ai.switchboard.v1.CountTokensRequest;
import ai.switchboard.v1.CountTokensResponse;
import ai.switchboard.v1.ExplainRouteRequest;
import ai.switchboard.v1.ExplainRouteResponse;
import ai.switchboard.v1.FeedbackServiceGrpc;
import ai.switchboard.v1.ListTasksRequest;
import ai.switchboard.v1.ListTasksResponse;
import ai.switchboard.v1.RecordFeedbackRequest;
import ai.switchboard.v1.RecordFeedbackResponse;
import ai.switchboard.v1.RoutingServiceGrpc;
import io.grpc.ClientCall;
import io.grpc.MethodDescriptor;
import io.grpc.stub.ClientCalls;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Flow;
import java.util.function.Function;

/**
 * Asynchronous client with the calls of {@link Switchboard}. Futures fail with a
 * {@link SwitchboardException}. Cancelling a future that was returned here (not one derived from it) cancels
 * the call, also at Bedrock.
 */
public final class AsyncSwitchboard {
  private final Switchboard switchboard;

  AsyncSwitchboard(Switchboard switchboard) {
    this.switchboard = switchboard;
  }

  /** As {@link Switchboard#text}. */
  public CompletableFuture<String> text(String task, String prompt) {
    var method = ConverseServiceGrpc.getConverseMethod();
    return send(method, Requests.ask(task, prompt), response -> Collected.from(response).text());
  }

  /** As {@link Switchboard#converse}. */
  public CompletableFuture<ConverseResponse> converse(ConverseRequest request) {
    return send(ConverseServiceGrpc.getConverseMethod(), request);
  }

  /** As {@link Switchboard#countTokens}. */
  public CompletableFuture<CountTokensResponse> countTokens(CountTokensRequest request) {
    return send(ConverseServiceGrpc.getCountTokensMethod(), request);
  }

  /** As {@link Switchboard#tasks}. */
  public CompletableFuture<ListTasksResponse> tasks() {
    return send(RoutingServiceGrpc.getListTasksMethod(), ListTasksRequest.getDefaultInstance());
  }

  /** As {@link Switchboard#explain(ExplainRouteRequest)}. */
  public CompletableFuture<ExplainRouteResponse> explain(ExplainRouteRequest request) {
    return send(RoutingServiceGrpc.getExplainRouteMethod(), request);
  }

  /** As {@link Switchboard#recordFeedback}. */
  public CompletableFuture<RecordFeedbackResponse> recordFeedback(RecordFeedbackRequest feedback) {
    return send(FeedbackServiceGrpc.getRecordFeedbackMethod(), feedback);
  }

  /**
   * As {@link Switchboard#stream}. Each subscription makes a call, which sends as many events as the
   * subscriber requests and which the subscription's {@code cancel} cancels. Subscribers are called on gRPC's
   * threads; {@link Collector} assembles the events.
   */
  public Flow.Publisher<ConverseStreamResponse> stream(ConverseRequest request) {
    return subscriber -> {
      var method = ConverseServiceGrpc.getConverseStreamMethod();
      var call = switchboard.channel().newCall(method, switchboard.callOptions());
      new EventSubscription(call, subscriber, switchboard.address()).start(request);
    };
  }

  private <Q, R> CompletableFuture<R> send(MethodDescriptor<Q, R> method, Q request) {
    return send(method, request, response -> response);
  }

  private <Q, R, T> CompletableFuture<T> send(MethodDescriptor<Q, R> method, Q request, Function<R, T> read) {
    ClientCall<Q, R> call = switchboard.channel().newCall(method, switchboard.callOptions());
    CallFuture<T> future = new CallFuture<>(call, switchboard.address());
    ClientCalls.asyncUnaryCall(call, request, future.observer(read));
    return future;
  }
}
