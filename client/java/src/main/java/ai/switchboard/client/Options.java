package ai.switchboard.client;

import io.grpc.ChannelCredentials;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.TlsChannelCredentials;
import io.grpc.netty.shaded.io.grpc.netty.NettyChannelBuilder;
import io.grpc.netty.shaded.io.netty.channel.ChannelOption;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.net.URI;
import java.net.URISyntaxException;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

/** Connection options: address, TLS, token and timeouts. */
public final class Options {
  private static final String VERSION = "0.1.0";

  /** Default timeout for opening a connection. */
  private static final Duration CONNECT_TIMEOUT = Duration.ofSeconds(10);

  /** Default interval of keep-alive pings. Some proxies do not allow shorter intervals. */
  private static final Duration KEEP_ALIVE = Duration.ofMinutes(1);

  /** Time without an answer to a ping after which the connection is closed. */
  private static final Duration KEEP_ALIVE_TIMEOUT = Duration.ofSeconds(20);

  private final String address;
  private Optional<String> token = Optional.empty();
  private Optional<byte[]> ca = Optional.empty();
  private Optional<Identity> identity = Optional.empty();
  private Optional<Duration> deadline = Optional.empty();
  private Duration connectTimeout = CONNECT_TIMEOUT;
  private Duration keepAlive = KEEP_ALIVE;
  private TracePropagator propagator = headers -> {};
  private Consumer<NettyChannelBuilder> rest = channel -> {};

  private record Identity(byte[] pem, byte[] key) {}

  /** Address in the format of gRPC, and whether to use TLS. */
  private record Target(String name, boolean secure) {}

  Options(String address) {
    this.address = address;
  }

  /** Sends {@code authorization: Bearer …} with every call. */
  public Options bearerToken(String token) {
    if (!token.matches("[\\x21-\\x7e]+")) {
      String problem = "the bearer token is empty or has characters that a header must not have";
      throw SwitchboardException.options(problem, null);
    }
    this.token = Optional.of(token);
    return this;
  }

  /** Trusts only the certificates in this PEM text. Implies TLS. */
  public Options caCertificate(byte[] pem) {
    this.ca = Optional.of(pem.clone());
    return this;
  }

  /** Sends this client certificate (PEM, with its chain) to the server. Implies TLS. */
  public Options clientCertificate(byte[] pem, byte[] key) {
    this.identity = Optional.of(new Identity(pem.clone(), key.clone()));
    return this;
  }

  /**
   * Sets the deadline of each call, up to the end of its stream. Switchboard and Bedrock stop work at the
   * deadline too. An earlier deadline of the current {@link io.grpc.Context} takes precedence. Without
   * either, the task's own deadline applies.
   */
  public Options deadline(Duration deadline) {
    this.deadline = Optional.of(deadline);
    return this;
  }

  /** Sets the timeout for opening a connection. Default: 10 seconds. */
  public Options connectTimeout(Duration timeout) {
    this.connectTimeout = timeout;
    return this;
  }

  /**
   * Sets the interval of keep-alive pings during a call. Default: one minute; gRPC's minimum is 10 seconds.
   */
  public Options keepAlive(Duration interval) {
    this.keepAlive = interval;
    return this;
  }

  /**
   * Sends the current span with every call: {@code new OpenTelemetryPropagator(GlobalOpenTelemetry.get())}.
   */
  public Options tracePropagator(TracePropagator propagator) {
    this.propagator = propagator;
    return this;
  }

  /** Changes the gRPC channel after all other options have been applied. */
  public Options configureChannel(Consumer<NettyChannelBuilder> configure) {
    this.rest = rest.andThen(configure);
    return this;
  }

  /**
   * Makes the client. The first call opens the connection; a broken connection is reopened by the next call.
   */
  public Switchboard connect() {
    NettyChannelBuilder channel =
        channel(target())
            .maxInboundMessageSize(Switchboard.MAX_MESSAGE_BYTES)
            .keepAliveTime(keepAlive.toNanos(), TimeUnit.NANOSECONDS)
            .keepAliveTimeout(KEEP_ALIVE_TIMEOUT.toNanos(), TimeUnit.NANOSECONDS)
            .withOption(ChannelOption.CONNECT_TIMEOUT_MILLIS, Math.toIntExact(connectTimeout.toMillis()))
            .intercept(new HeaderInterceptor(token, propagator))
            .userAgent("switchboard-client-java/" + VERSION);
    rest.accept(channel);
    ManagedChannel open = channel.build();
    return new Switchboard(open, address, deadline);
  }

  private Target target() {
    boolean wantsTls = ca.isPresent() || identity.isPresent();
    String full = address.strip();
    if (!full.contains("://")) {
      full = (wantsTls ? "https://" : "http://") + full;
    }
    URI uri = parse(full);
    boolean secure = "https".equals(uri.getScheme());
    if (!secure && !"http".equals(uri.getScheme())) {
      throw invalid("must begin with http:// or https://", null);
    }
    if (!secure && wantsTls) {
      throw invalid("certificates need an https:// address", null);
    }
    int port = uri.getPort() >= 0 ? uri.getPort() : secure ? 443 : 80;
    String host = uri.getHost().replace("[", "%5B").replace("]", "%5D"); // escapes an IPv6 address
    return new Target("dns:///" + host + ":" + port, secure);
  }

  private URI parse(String address) {
    String problem = "use http://host:port, https://host:port or host:port";
    try {
      URI uri = new URI(address);
      if (uri.getHost() == null || !uri.getPath().replace("/", "").isEmpty()) {
        throw invalid(problem, null);
      }
      return uri;
    } catch (URISyntaxException cause) {
      throw invalid(problem, cause);
    }
  }

  private SwitchboardException invalid(String problem, Throwable cause) {
    return SwitchboardException.options("address \"" + address + "\": " + problem, cause);
  }

  /** Makes the channel builder. Reading certificates can fail in both steps. */
  private NettyChannelBuilder channel(Target target) {
    try {
      return NettyChannelBuilder.forTarget(target.name, target.secure ? tls() : InsecureChannelCredentials.create());
    } catch (IOException | IllegalArgumentException cause) {
      throw SwitchboardException.options("TLS: " + cause.getMessage(), cause);
    }
  }

  private ChannelCredentials tls() throws IOException {
    TlsChannelCredentials.Builder tls = TlsChannelCredentials.newBuilder();
    if (ca.isPresent()) {
      tls.trustManager(new ByteArrayInputStream(ca.get()));
    }
    if (identity.isPresent()) {
      byte[] pem = identity.get().pem;
      tls.keyManager(new ByteArrayInputStream(pem), new ByteArrayInputStream(identity.get().key));
    }
    return tls.build();
  }
}
