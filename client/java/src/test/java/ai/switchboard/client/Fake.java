package ai.switchboard.client;

import ai.switchboard.v1.ConverseRequest;
import ai.switchboard.v1.ConverseResponse;
import ai.switchboard.v1.ConverseServiceGrpc;
import ai.switchboard.v1.ConverseStreamResponse;
import com.google.protobuf.Any;
import com.google.protobuf.Message;
import io.grpc.InsecureServerCredentials;
import io.grpc.Metadata;
import io.grpc.Server;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerCredentials;
import io.grpc.ServerInterceptor;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.netty.shaded.io.grpc.netty.NettyServerBuilder;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CopyOnWriteArrayList;

/** Fake server with the behaviour that a test defines. */
final class Fake extends ConverseServiceGrpc.ConverseServiceImplBase implements AutoCloseable {
  final List<Metadata> headers = new CopyOnWriteArrayList<>();

  private final Server server;
  private volatile boolean ends = true;
  private final List<ConverseStreamResponse> events;
  private final Optional<ConverseResponse> response;
  private final Optional<StatusRuntimeException> failure;

  /** Streams these events and ends. */
  static Fake streaming(ConverseStreamResponse... events) {
    return new Fake(InsecureServerCredentials.create(), List.of(events), Optional.empty(), Optional.empty());
  }

  /** Streams these events; the stream stays open. */
  static Fake stalling(ConverseStreamResponse... events) {
    Fake fake = streaming(events);
    fake.ends = false;
    return fake;
  }

  static Fake answering(ConverseResponse response) {
    return new Fake(InsecureServerCredentials.create(), List.of(), Optional.of(response), Optional.empty());
  }

  static Fake failing(StatusRuntimeException failure) {
    return new Fake(InsecureServerCredentials.create(), List.of(), Optional.empty(), Optional.of(failure));
  }

  static Fake secure(ServerCredentials credentials) {
    ConverseResponse nothing = ConverseResponse.getDefaultInstance();
    return new Fake(credentials, List.of(), Optional.of(nothing), Optional.empty());
  }

  /** Makes a status with details, as Switchboard sends it. */
  static StatusRuntimeException status(Status.Code code, String message, Message... details) {
    var status = com.google.rpc.Status.newBuilder().setCode(code.value()).setMessage(message);
    for (Message detail : details) {
      status.addDetails(Any.pack(detail));
    }
    return StatusProto.toStatusRuntimeException(status.build());
  }

  private Fake(
      ServerCredentials credentials,
      List<ConverseStreamResponse> events,
      Optional<ConverseResponse> response,
      Optional<StatusRuntimeException> failure) {
    this.events = events;
    this.response = response;
    this.failure = failure;
    InetSocketAddress loopback = new InetSocketAddress(InetAddress.getLoopbackAddress(), 0);
    try {
      server = NettyServerBuilder.forAddress(loopback, credentials).addService(this).intercept(new Watch()).build().start();
    } catch (IOException problem) {
      throw new UncheckedIOException(problem);
    }
  }

  String address() {
    return "127.0.0.1:" + server.getPort();
  }

  int calls() {
    return headers.size();
  }

  /** Breaks every connection. */
  @Override
  public void close() {
    server.shutdownNow();
  }

  @Override
  public void converse(ConverseRequest request, StreamObserver<ConverseResponse> out) {
    if (failure.isPresent()) {
      out.onError(failure.get());
      return;
    }
    out.onNext(response.orElseThrow());
    out.onCompleted();
  }

  @Override
  public void converseStream(ConverseRequest request, StreamObserver<ConverseStreamResponse> out) {
    for (ConverseStreamResponse event : events) {
      out.onNext(event);
    }
    if (failure.isPresent()) {
      out.onError(failure.get());
    } else if (ends) {
      out.onCompleted();
    }
  }

  private final class Watch implements ServerInterceptor {
    @Override
    public <Q, R> ServerCall.Listener<Q> interceptCall(
        ServerCall<Q, R> call, Metadata metadata, ServerCallHandler<Q, R> next) {
      headers.add(metadata);
      return next.startCall(call, metadata);
    }
  }
}
