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
 * Why a call failed. Branch on {@link #kind}, {@link #code} and {@link #reason}, never on the message, which is one line for
 * people: what went wrong and, in brackets, the reason. The status as it came, for what is not taken out of it here, is the
 * {@link #getCause cause}.
 */
public final class SwitchboardException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final ErrorKind kind;
  private final Status.Code code;
  private final transient Facts facts;

  /** What Switchboard said beside the code. */
  private record Facts(
      String reason,
      Optional<Duration> retryAfter,
      List<FieldViolation> fieldViolations,
      Optional<String> requestId,
      Optional<Route> route) {
    static final Facts NONE = because("");

    static Facts because(String reason) {
      return new Facts(reason, Optional.empty(), List.of(), Optional.empty(), Optional.empty());
    }
  }

  private SwitchboardException(ErrorKind kind, Status.Code code, String message, Facts facts, Throwable cause) {
    super(forPeople(kind, code, message, facts.reason), cause);
    this.kind = kind;
    this.code = code;
    this.facts = facts;
  }

  /** Where the failure comes from. */
  public ErrorKind kind() {
    return kind;
  }

  /** The gRPC code; for failures on this side, the one that fits best. */
  public Status.Code code() {
    return code;
  }

  /** Switchboard's reason. Unspecified: it gave none, or one newer than this client; see {@link #reasonText}. */
  public ErrorReason reason() {
    try {
      return ErrorReason.valueOf("ERROR_REASON_" + reasonText());
    } catch (IllegalArgumentException none) {
      return ErrorReason.ERROR_REASON_UNSPECIFIED;
    }
  }

  /** Switchboard's reason, such as {@code BEDROCK_THROTTLED}; empty where it gave none. */
  public String reasonText() {
    return facts().reason;
  }

  /** How long to wait at least before the same call may work. Empty: waiting does not help. */
  public Optional<Duration> retryAfter() {
    return facts().retryAfter;
  }

  /** The fields of the request that are wrong. */
  public List<FieldViolation> fieldViolations() {
    return facts().fieldViolations;
  }

  /** Names the call, in logs and to support. */
  public Optional<String> requestId() {
    return facts().requestId;
  }

  /** Every attempt that was made. Empty: the call failed before its task was resolved. */
  public Optional<Route> route() {
    return facts().route;
  }

  /** The failure of a call that was made with a generated stub. */
  public static SwitchboardException of(Throwable failure) {
    return of("Switchboard", failure);
  }

  static SwitchboardException of(String address, Throwable failure) {
    if (failure instanceof SwitchboardException already) {
      return already;
    }
    Status status = Status.fromThrowable(failure);
    Facts facts = told(failure);
    if (facts != Facts.NONE || wasSaid(failure)) {
      return new SwitchboardException(ErrorKind.STATUS, status.getCode(), text(status), facts, failure);
    }
    ErrorKind kind = kindHere(status);
    return new SwitchboardException(kind, status.getCode(), message(kind, address, status), facts, failure);
  }

  static SwitchboardException options(String message, Throwable cause) {
    return new SwitchboardException(ErrorKind.OPTIONS, Status.Code.INVALID_ARGUMENT, message, Facts.NONE, cause);
  }

  static SwitchboardException cancelled() {
    return here(ErrorKind.CANCELLED, Status.Code.CANCELLED, "the call was cancelled", Facts.NONE);
  }

  static SwitchboardException incomplete() {
    String message = "the stream ended without its metadata: the answer is not whole";
    return here(ErrorKind.INCOMPLETE, Status.Code.INTERNAL, message, Facts.NONE);
  }

  static SwitchboardException restarted(String reason) {
    String message = "another model started over after words had been given out";
    return here(ErrorKind.RESTARTED, Status.Code.ABORTED, message, Facts.because(reason));
  }

  private static SwitchboardException here(ErrorKind kind, Status.Code code, String message, Facts facts) {
    return new SwitchboardException(kind, code, message, facts, null);
  }

  /** What a failure that was serialized does not bring along is as if it had not been told. */
  private Facts facts() {
    return facts == null ? Facts.NONE : facts;
  }

  /** A server's word comes with trailers; gRPC makes statuses of its own for failures on this side. */
  private static boolean wasSaid(Throwable failure) {
    Metadata trailers = trailers(failure);
    return trailers != null && !trailers.keys().isEmpty();
  }

  private static Metadata trailers(Throwable failure) {
    if (failure instanceof StatusRuntimeException told) {
      return told.getTrailers();
    }
    return failure instanceof StatusException told ? told.getTrailers() : null;
  }

  private static Facts told(Throwable failure) {
    com.google.rpc.Status status = StatusProto.fromThrowable(failure);
    if (status == null || status.getDetailsCount() == 0) {
      return Facts.NONE;
    }
    try {
      return read(status.getDetailsList());
    } catch (InvalidProtocolBufferException unreadable) {
      return Facts.NONE;
    }
  }

  private static Facts read(List<Any> details) throws InvalidProtocolBufferException {
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
    return new Facts(reason, retryAfter, List.copyOf(violations), requestId, route);
  }

  private static ErrorKind kindHere(Status status) {
    return switch (status.getCode()) {
      case DEADLINE_EXCEEDED -> ErrorKind.DEADLINE;
      case CANCELLED -> wasCancelledHere() ? ErrorKind.CANCELLED : ErrorKind.TRANSPORT;
      case UNAVAILABLE -> neverConnected(status.getCause()) ? ErrorKind.CONNECT : ErrorKind.TRANSPORT;
      default -> ErrorKind.STATUS;
    };
  }

  /** gRPC tells its listeners about a call in the call's own context. */
  private static boolean wasCancelledHere() {
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

  /** The innermost cause says most: "Connection refused", where the outer ones say "io exception". */
  private static String rootCause(Status status) {
    String said = text(status);
    for (Throwable it = status.getCause(); it != null; it = it.getCause()) {
      said = it.getMessage() == null ? said : it.getMessage();
    }
    return said;
  }

  private static String text(Status status) {
    return status.getDescription() == null ? status.getCode().name() : status.getDescription();
  }

  private static String forPeople(ErrorKind kind, Status.Code code, String message, String reason) {
    if (kind == ErrorKind.OPTIONS || kind == ErrorKind.CONNECT) {
      return message;
    }
    String why = reason.isEmpty() ? code.name() : reason;
    return message.equals(why) ? why : message + " (" + why + ")";
  }
}
