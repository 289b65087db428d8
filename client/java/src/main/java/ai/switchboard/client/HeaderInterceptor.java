package ai.switchboard.client;

import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.ForwardingClientCall.SimpleForwardingClientCall;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import java.util.Optional;

/**
 * Sends the token and the trace context with every call. It has no text form, so that the token is never
 * printed.
 */
final class HeaderInterceptor implements ClientInterceptor {
  private static final Metadata.Key<String> AUTHORIZATION = key("authorization");

  private final Optional<String> token;
  private final TracePropagator propagator;

  HeaderInterceptor(Optional<String> token, TracePropagator propagator) {
    this.token = token;
    this.propagator = propagator;
  }

  @Override
  public <Q, R> ClientCall<Q, R> interceptCall(MethodDescriptor<Q, R> method, CallOptions options, Channel next) {
    return new SimpleForwardingClientCall<>(next.newCall(method, options)) {
      @Override
      public void start(Listener<R> listener, Metadata headers) {
        token.ifPresent(it -> headers.put(AUTHORIZATION, "Bearer " + it));
        propagator.inject((name, value) -> headers.put(key(name), value));
        super.start(listener, headers);
      }
    };
  }

  private static Metadata.Key<String> key(String name) {
    return Metadata.Key.of(name, Metadata.ASCII_STRING_MARSHALLER);
  }
}
