package ai.switchboard.client;

import ai.switchboard.v1.ConverseRequest;
import ai.switchboard.v1.ConverseResponse;
import ai.switchboard.v1.ConverseServiceGrpc;
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
import io.grpc.CallOptions;
import io.grpc.Context;
import io.grpc.ManagedChannel;
import io.grpc.MethodDescriptor;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.ClientCalls;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/**
 * Connection to Switchboard, which any number of threads can share. Every method waits for its answer and
 * throws {@link SwitchboardException}; {@link #async} has the same calls without waiting. An interrupt of the
 * waiting thread and the cancellation of the current {@link Context} cancel a call.
 */
public final class Switchboard implements AutoCloseable {
  /** Default address of {@code switchboard serve} and {@code switchboard demo}. */
  public static final String DEFAULT_ADDRESS = "http://127.0.0.1:50051";

  /**
   * Maximum size of a received message, in bytes. gRPC's default of 4 MiB is too small for documents and
   * images.
   */
  public static final int MAX_MESSAGE_BYTES = 64 << 20;

  private final ManagedChannel channel;
  private final String address;
  private final Optional<Duration> deadline;

  Switchboard(ManagedChannel channel, String address, Optional<Duration> deadline) {
    this.channel = channel;
    this.address = address;
    this.deadline = deadline;
  }

  /**
   * Connects: plain HTTP/2 for {@code http://host:port} and {@code host:port}, TLS with Java's root
   * certificates for {@code https://host:port}.
   */
  public static Switchboard connect(String address) {
    return builder(address).connect();
  }

  /** Makes options for an address: {@code Switchboard.builder(address).bearerToken(token).connect()}. */
  public static Options builder(String address) {
    return new Options(address);
  }

  /**
   * Returns a client with the same connection and another deadline for each call. Closing either closes both.
   */
  public Switchboard withDeadline(Duration deadline) {
    return new Switchboard(channel, address, Optional.of(deadline));
  }

  /** Returns an asynchronous client with the same connection. */
  public AsyncSwitchboard async() {
    return new AsyncSwitchboard(this);
  }

  /** Sends one prompt and returns the text of the answer. {@link #converse} also returns the stop reason. */
  public String text(String task, String prompt) {
    return Collected.from(converse(Requests.ask(task, prompt))).text();
  }

  /** Generates an answer and returns it when it is complete. */
  public ConverseResponse converse(ConverseRequest request) {
    return send(ConverseServiceGrpc.getConverseMethod(), request);
  }

  /** Counts the input tokens of a request, free of charge. */
  public CountTokensResponse countTokens(CountTokensRequest request) {
    return send(ConverseServiceGrpc.getCountTokensMethod(), request);
  }

  /**
   * Generates an answer and streams it. Read the stream to its end or close it; closing it earlier cancels
   * the call, also at Bedrock. An error of the call is thrown with the first event.
   */
  public EventStream stream(ConverseRequest request) {
    Context.CancellableContext context = Context.current().withCancellation();
    Context before = context.attach();
    try {
      var method = ConverseServiceGrpc.getConverseStreamMethod();
      var replies = ClientCalls.blockingServerStreamingCall(channel, method, callOptions(), request);
      return new EventStream(replies, context, address);
    } finally {
      context.detach(before);
    }
  }

  /** Lists every task of the configuration and the models that serve it. */
  public ListTasksResponse tasks() {
    return send(RoutingServiceGrpc.getListTasksMethod(), ListTasksRequest.getDefaultInstance());
  }

  /** Describes what a call for this task would do now. Calls no model. */
  public ExplainRouteResponse explain(String task) {
    return explain(ExplainRouteRequest.newBuilder().setTaskType(task).build());
  }

  /** Describes what a call for a task, or a request, would do now. Calls no model. */
  public ExplainRouteResponse explain(ExplainRouteRequest request) {
    return send(RoutingServiceGrpc.getExplainRouteMethod(), request);
  }

  /**
   * Records feedback on the answer with the request id of its route. A later judgement by the same judge for
   * the same criterion replaces the earlier one.
   */
  public RecordFeedbackResponse recordFeedback(RecordFeedbackRequest feedback) {
    return send(FeedbackServiceGrpc.getRecordFeedbackMethod(), feedback);
  }

  /**
   * Returns the gRPC channel, for generated stubs. {@link SwitchboardException#of} converts their exceptions.
   */
  public ManagedChannel channel() {
    return channel;
  }

  /** Cancels running calls and closes the connection. */
  @Override
  public void close() {
    channel.shutdownNow();
  }

  String address() {
    return address;
  }

  CallOptions callOptions() {
    return deadline
        .map(it -> CallOptions.DEFAULT.withDeadlineAfter(it.toNanos(), TimeUnit.NANOSECONDS))
        .orElse(CallOptions.DEFAULT);
  }

  private <Q, R> R send(MethodDescriptor<Q, R> method, Q request) {
    try {
      return ClientCalls.blockingUnaryCall(channel, method, callOptions(), request);
    } catch (StatusRuntimeException failure) {
      throw SwitchboardException.of(address, failure);
    }
  }
}
