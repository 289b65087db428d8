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
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

/** How to reach Switchboard: the address, TLS, the token, and how long to wait. */
public final class Options {
  private static final String VERSION = "0.1.0";

  /** How long a connection may take to open, unless the options say otherwise. */
  private static final Duration CONNECT_TIMEOUT = Duration.ofSeconds(10);

  /** How often a quiet connection is probed during a call. Less than a minute would annoy the proxies between. */
  private static final Duration KEEP_ALIVE = Duration.ofMinutes(1);

  /** How long a probe may stay unanswered before the connection counts as broken. */
  private static final Duration KEEP_ALIVE_TIMEOUT = Duration.ofSeconds(20);

  /**
   * Sends a call once more where Switchboard could not be reached, and nothing else: whatever Switchboard itself says comes
   * with a pushback that forbids it, since it has tried every model by then.
   */
  private static final Map<String, ?> SERVICE_CONFIG =
      Map.of(
          "methodConfig",
          List.of(
              Map.of(
                  "name",
                  List.of(Map.of()),
                  "retryPolicy",
                  Map.of(
                      "maxAttempts",
                      2D,
                      "initialBackoff",
                      "0.1s",
                      "maxBackoff",
                      "1s",
                      "backoffMultiplier",
                      2D,
                      "retryableStatusCodes",
                      List.of("UNAVAILABLE")))),
          "retryThrottling",
          Map.of("maxTokens", 10D, "tokenRatio", 0.1D));

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

  /** Where Switchboard listens, as gRPC wants it, and whether TLS is meant. */
  private record Target(String name, boolean secure) {}

  Options(String address) {
    this.address = address;
  }

  /** Sends {@code authorization: Bearer …} with every call. */
  public Options bearerToken(String token) {
    if (!token.matches("[\\x21-\\x7e]+")) {
      String problem = "the bearer token is empty or has characters that a header cannot carry";
      throw SwitchboardException.options(problem, null);
    }
    this.token = Optional.of(token);
    return this;
  }

  /** Trusts the certificates in this PEM text, and no others. Implies TLS. */
  public Options caCertificate(byte[] pem) {
    this.ca = Optional.of(pem.clone());
    return this;
  }

  /** Shows this certificate (PEM, with its chain) to the server. Implies TLS. */
  public Options clientCertificate(byte[] pem, byte[] key) {
    this.identity = Optional.of(new Identity(pem.clone(), key.clone()));
    return this;
  }

  /**
   * How long each call may take, to the end of its stream; Switchboard and Bedrock stop then too. An earlier deadline of the
   * current {@link io.grpc.Context} comes before it. Without either the task's own deadline holds.
   */
  public Options deadline(Duration deadline) {
    this.deadline = Optional.of(deadline);
    return this;
  }

  /** How long a connection may take to open: 10 seconds unless set. */
  public Options connectTimeout(Duration timeout) {
    this.connectTimeout = timeout;
    return this;
  }

  /** How often a quiet connection is probed during a call: every minute unless set; gRPC takes no less than 10 seconds. */
  public Options keepAlive(Duration interval) {
    this.keepAlive = interval;
    return this;
  }

  /** Sends the current trace along with every call: {@code new OpenTelemetryPropagator(GlobalOpenTelemetry.get())}. */
  public Options tracePropagator(TracePropagator propagator) {
    this.propagator = propagator;
    return this;
  }

  /** Changes the channel in gRPC's own way, after everything that is set here. */
  public Options configureChannel(Consumer<NettyChannelBuilder> configure) {
    this.rest = rest.andThen(configure);
    return this;
  }

  /** Makes the client. Its connection opens with the first call, and again when it breaks. */
  public Switchboard connect() {
    NettyChannelBuilder channel =
        channel(target())
            .defaultServiceConfig(SERVICE_CONFIG)
            .enableRetry()
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
    String whole = address.strip();
    if (!whole.contains("://")) {
      whole = (wantsTls ? "https://" : "http://") + whole;
    }
    URI uri = parse(whole);
    boolean secure = "https".equals(uri.getScheme());
    if (!secure && !"http".equals(uri.getScheme())) {
      throw wrong("neither http:// nor https://", null);
    }
    if (!secure && wantsTls) {
      throw wrong("certificates need an https:// address", null);
    }
    int port = uri.getPort() >= 0 ? uri.getPort() : secure ? 443 : 80;
    String host = uri.getHost().replace("[", "%5B").replace("]", "%5D"); // an IPv6 address, as a path has it
    return new Target("dns:///" + host + ":" + port, secure);
  }

  private URI parse(String whole) {
    String wanted = "want http://host:port, https://host:port or host:port";
    try {
      URI uri = new URI(whole);
      if (uri.getHost() == null || !uri.getPath().replace("/", "").isEmpty()) {
        throw wrong(wanted, null);
      }
      return uri;
    } catch (URISyntaxException unreadable) {
      throw wrong(wanted, unreadable);
    }
  }

  private SwitchboardException wrong(String problem, Throwable cause) {
    return SwitchboardException.options("address \"" + address + "\": " + problem, cause);
  }

  /** Both steps read certificates. */
  private NettyChannelBuilder channel(Target target) {
    try {
      return NettyChannelBuilder.forTarget(target.name, target.secure ? tls() : InsecureChannelCredentials.create());
    } catch (IOException | IllegalArgumentException unreadable) {
      throw SwitchboardException.options("TLS: " + unreadable.getMessage(), unreadable);
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
