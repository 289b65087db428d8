package ai.switchboard.conformance;

import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.ClientStreamTracer;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import java.util.concurrent.Semaphore;

/** Is notified by gRPC when a request has been sent. */
final class SentWatch implements ClientInterceptor {
  private final Semaphore sent = new Semaphore(0);

  /** Forgets earlier requests. Call this before a call. */
  void reset() {
    sent.drainPermits();
  }

  void awaitSent() {
    sent.acquireUninterruptibly();
  }

  @Override
  public <Q, R> ClientCall<Q, R> interceptCall(MethodDescriptor<Q, R> method, CallOptions options, Channel next) {
    ClientStreamTracer.Factory factory =
        new ClientStreamTracer.Factory() {
          @Override
          public ClientStreamTracer newClientStreamTracer(ClientStreamTracer.StreamInfo info, Metadata headers) {
            return new ClientStreamTracer() {
              @Override
              public void outboundMessageSent(int number, long wireSize, long uncompressedSize) {
                sent.release();
              }
            };
          }
        };
    return next.newCall(method, options.withStreamTracerFactory(factory));
  }
}
