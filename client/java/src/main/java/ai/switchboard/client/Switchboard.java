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
 * A connection to Switchboard, for any number of threads. Every method waits for its answer and fails with a {@link
 * SwitchboardException}; {@link #async} has the same calls without waiting. An interrupt of the waiting thread, and the end
 * of the current {@link Context}, cancel a call.
 */
public final class Switchboard implements AutoCloseable {
  /** Where {@code switchboard serve} and {@code switchboard demo} listen unless told otherwise. */
  public static final String DEFAULT_ADDRESS = "http://127.0.0.1:50051";

  /** The largest message received, in bytes: gRPC's usual 4 MiB cannot hold Bedrock's documents and pictures. */
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
   * Connects: plain HTTP/2 for {@code http://host:port} and {@code host:port}, TLS with Java's roots for {@code
   * https://host:port}.
   */
  public static Switchboard connect(String address) {
    return builder(address).connect();
  }

  /** Begins with an address and adds the rest: {@code Switchboard.builder(address).bearerToken(token).connect()}. */
  public static Options builder(String address) {
    return new Options(address);
  }

  /** The same connection with another deadline for each call. Closing either closes both. */
  public Switchboard withDeadline(Duration deadline) {
    return new Switchboard(channel, address, Optional.of(deadline));
  }

  /** The same connection, for callers who do not wait. */
  public AsyncSwitchboard async() {
    return new AsyncSwitchboard(this);
  }

  /** Asks one question and returns the words of the answer. {@link #converse} also says why they ended. */
  public String text(String task, String prompt) {
    return Collected.from(converse(Requests.ask(task, prompt))).text();
  }

  /** Asks for an answer, whole. */
  public ConverseResponse converse(ConverseRequest request) {
    return send(ConverseServiceGrpc.getConverseMethod(), request);
  }

  /** Counts the tokens of a request, free of charge. */
  public CountTokensResponse countTokens(CountTokensRequest request) {
    return send(ConverseServiceGrpc.getCountTokensMethod(), request);
  }

  /**
   * Asks for an answer while it is generated. Close the stream, or read it to its end; closing it before cancels the call,
   * at Bedrock too. What goes wrong with the call itself comes with the first event.
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

  /** Every task that the configuration names, and the models that serve it. */
  public ListTasksResponse tasks() {
    return send(RoutingServiceGrpc.getListTasksMethod(), ListTasksRequest.getDefaultInstance());
  }

  /** What a call for this task would do now. Calls no model. */
  public ExplainRouteResponse explain(String task) {
    return explain(ExplainRouteRequest.newBuilder().setTaskType(task).build());
  }

  /** What a call would do now, for a task or for a whole request. Calls no model. */
  public ExplainRouteResponse explain(ExplainRouteRequest request) {
    return send(RoutingServiceGrpc.getExplainRouteMethod(), request);
  }

  /**
   * Says what became of an answer, which the request id of its route names. Said again by the same judge it takes the place
   * of what was said before.
   */
  public RecordFeedbackResponse recordFeedback(RecordFeedbackRequest feedback) {
    return send(FeedbackServiceGrpc.getRecordFeedbackMethod(), feedback);
  }

  /**
   * The connection itself, for generated stubs. Their exceptions are gRPC's own: {@link SwitchboardException#of} reads them.
   */
  public ManagedChannel channel() {
    return channel;
  }

  /** Ends the connection, and every call that still runs on it. */
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
