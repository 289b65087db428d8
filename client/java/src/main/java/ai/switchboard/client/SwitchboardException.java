package ai.switchboard.client;

import ai.switchboard.v1.ErrorReason;
import ai.switchboard.v1.Route;
import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RequestInfo;
import com.google.rpc.RetryInfo;
import io.grpc.Context;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusException;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.net.ConnectException;
import java.net.UnknownHostException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import javax.net.ssl.SSLException;

/**
 * A failed call. Branch on {@link #kind}, {@link #code} and {@link #reason}, never on the message, which is
 * one line for people: the error and, in parentheses, the reason. The {@link #getCause cause} is the original
 * exception, for details that have no method here.
 */
public final class SwitchboardException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final ErrorKind kind;
  private final Status.Code code;
  private final transient Details details;

  /** Details of the status. */
  private record Details(
      String reason,
      Optional<Duration> retryAfter,
      List<FieldViolation> fieldViolations,
      Optional<String> requestId,
      Optional<Route> route) {
    static final Details NONE = withReason("");

    static Details withReason(String reason) {
      return new Details(reason, Optional.empty(), List.of(), Optional.empty(), Optional.empty());
    }
  }

  private SwitchboardException(ErrorKind kind, Status.Code code, String message, Details details, Throwable cause) {
    super(display(kind, code, message, details.reason), cause);
    this.kind = kind;
    this.code = code;
    this.details = details;
  }

  /** Returns the origin of the failure. */
  public ErrorKind kind() {
    return kind;
  }

  /** Returns the gRPC code. For a failure on the client, the code that fits best. */
  public Status.Code code() {
    return code;
  }

  /**
   * Returns Switchboard's reason. Unspecified: the error has no reason, or one that is newer than this
   * client; see {@link #reasonText}.
   */
  public ErrorReason reason() {
    try {
      return ErrorReason.valueOf("ERROR_REASON_" + reasonText());
    } catch (IllegalArgumentException none) {
      return ErrorReason.ERROR_REASON_UNSPECIFIED;
    }
  }

  /**
   * Returns Switchboard's reason as text, such as {@code BEDROCK_THROTTLED}. Empty: the error has no reason.
   */
  public String reasonText() {
    return details().reason;
  }

  /** Returns the minimum time to wait before a retry can succeed. Empty: waiting does not help. */
  public Optional<Duration> retryAfter() {
    return details().retryAfter;
  }

  /** Returns the invalid fields of the request. */
  public List<FieldViolation> fieldViolations() {
    return details().fieldViolations;
  }

  /** Returns the request id, which identifies the call in logs and for support. */
  public Optional<String> requestId() {
    return details().requestId;
  }

  /** Returns the route with every attempt. Empty: the call failed before its task was resolved. */
  public Optional<Route> route() {
    return details().route;
  }

  /** Converts an exception of a generated stub. */
  public static SwitchboardException of(Throwable failure) {
    return of("Switchboard", failure);
  }

  static SwitchboardException of(String address, Throwable failure) {
    if (failure instanceof SwitchboardException already) {
      return already;
    }
    Status status = Status.fromThrowable(failure);
    Details details = detailsOf(failure);
    if (details != Details.NONE || isFromServer(failure)) {
      return new SwitchboardException(ErrorKind.STATUS, status.getCode(), text(status), details, failure);
    }
    ErrorKind kind = localKind(status);
    return new SwitchboardException(kind, status.getCode(), message(kind, address, status), details, failure);
  }

  static SwitchboardException options(String message, Throwable cause) {
    return new SwitchboardException(ErrorKind.OPTIONS, Status.Code.INVALID_ARGUMENT, message, Details.NONE, cause);
  }

  static SwitchboardException cancelled() {
    return local(ErrorKind.CANCELLED, Status.Code.CANCELLED, "the call was cancelled", Details.NONE);
  }

  static SwitchboardException incomplete() {
    String message = "the stream ended without metadata: the answer is incomplete";
    return local(ErrorKind.INCOMPLETE, Status.Code.INTERNAL, message, Details.NONE);
  }

  static SwitchboardException restarted(ErrorReason reason) {
    String message = "another model started over after text had been returned";
    boolean unspecified = reason == ErrorReason.ERROR_REASON_UNSPECIFIED;
    String name = unspecified ? "" : reason.name().replace("ERROR_REASON_", "");
    return local(ErrorKind.RESTARTED, Status.Code.ABORTED, message, Details.withReason(name));
  }

  private static SwitchboardException local(ErrorKind kind, Status.Code code, String message, Details details) {
    return new SwitchboardException(kind, code, message, details, null);
  }

  /**
   * Returns the details; none if the exception was serialized, because they are not part of the serial form.
   */
  private Details details() {
    return details == null ? Details.NONE : details;
  }

  /** True if the server sent the status. A status that gRPC creates on the client has no trailers. */
  private static boolean isFromServer(Throwable failure) {
    Metadata trailers = trailers(failure);
    return trailers != null && !trailers.keys().isEmpty();
  }

  private static Metadata trailers(Throwable failure) {
    if (failure instanceof StatusRuntimeException exception) {
      return exception.getTrailers();
    }
    return failure instanceof StatusException exception ? exception.getTrailers() : null;
  }

  private static Details detailsOf(Throwable failure) {
    com.google.rpc.Status status = StatusProto.fromThrowable(failure);
    if (status == null || status.getDetailsCount() == 0) {
      return Details.NONE;
    }
    try {
      return read(status.getDetailsList());
    } catch (InvalidProtocolBufferException invalid) {
      return Details.NONE;
    }
  }

  private static Details read(List<Any> details) throws InvalidProtocolBufferException {
    String reason = "";
    Optional<Duration> retryAfter = Optional.empty();
    List<FieldViolation> violations = new ArrayList<>();
    Optional<String> requestId = Optional.empty();
    Optional<Route> route = Optional.empty();
    for (Any detail : details) {
      if (detail.is(ErrorInfo.class)) {
        reason = detail.unpack(ErrorInfo.class).getReason();
      } else if (detail.is(RetryInfo.class)) {
        var delay = detail.unpack(RetryInfo.class).getRetryDelay();
        retryAfter = Optional.of(Duration.ofSeconds(delay.getSeconds(), delay.getNanos()));
      } else if (detail.is(BadRequest.class)) {
        for (var it : detail.unpack(BadRequest.class).getFieldViolationsList()) {
          violations.add(new FieldViolation(it.getField(), it.getDescription()));
        }
      } else if (detail.is(RequestInfo.class)) {
        requestId = Optional.of(detail.unpack(RequestInfo.class).getRequestId());
      } else if (detail.is(Route.class)) {
        route = Optional.of(detail.unpack(Route.class));
      }
    }
    return new Details(reason, retryAfter, List.copyOf(violations), requestId, route);
  }

  private static ErrorKind localKind(Status status) {
    return switch (status.getCode()) {
      case DEADLINE_EXCEEDED -> ErrorKind.DEADLINE;
      case CANCELLED -> wasCancelledLocally() ? ErrorKind.CANCELLED : ErrorKind.TRANSPORT;
      case UNAVAILABLE -> neverConnected(status.getCause()) ? ErrorKind.CONNECT : ErrorKind.TRANSPORT;
      default -> ErrorKind.STATUS;
    };
  }

  /** True if the client cancelled the call. gRPC calls listeners in the context of the call. */
  private static boolean wasCancelledLocally() {
    return Context.current().isCancelled() || Thread.currentThread().isInterrupted();
  }

  private static boolean neverConnected(Throwable cause) {
    for (Throwable it = cause; it != null; it = it.getCause()) {
      if (it instanceof ConnectException || it instanceof UnknownHostException || it instanceof SSLException) {
        return true;
      }
    }
    return false;
  }

  private static String message(ErrorKind kind, String address, Status status) {
    return switch (kind) {
      case CONNECT -> "could not connect to " + address + ": " + rootCause(status);
      case TRANSPORT -> "the connection broke: " + rootCause(status);
      case DEADLINE -> "the deadline passed";
      case CANCELLED -> "the call was cancelled";
      default -> text(status);
    };
  }

  /**
   * Returns the innermost message, which is the most specific: "Connection refused" instead of "io
   * exception".
   */
  private static String rootCause(Status status) {
    String message = text(status);
    for (Throwable it = status.getCause(); it != null; it = it.getCause()) {
      message = it.getMessage() == null ? message : it.getMessage();
    }
    return message;
  }

  private static String text(Status status) {
    return status.getDescription() == null ? status.getCode().name() : status.getDescription();
  }

  private static String display(ErrorKind kind, Status.Code code, String message, String reason) {
    if (kind == ErrorKind.OPTIONS || kind == ErrorKind.CONNECT) {
      return message;
    }
    String why = reason.isEmpty() ? code.name() : reason;
    return message.equals(why) ? why : message + " (" + why + ")";
  }
}
