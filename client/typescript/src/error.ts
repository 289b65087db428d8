/**
 * Why a call failed.
 *
 * Branch on `kind`, `code` and `reason`, never on a message.
 */

import { durationMs } from "@bufbuild/protobuf/wkt";
import { Code as ConnectCode, ConnectError } from "@connectrpc/connect";
import * as rpc from "./gen/google/rpc/error_details_pb.js";
import * as pb from "./gen/pb.js";

/** Origin of a failure. */
export type ErrorKind =
  /** The options are invalid, for example the address, the token or a certificate. */
  | "options"
  /** No connection to Switchboard could be opened. The call was not sent. */
  | "connect"
  /** The connection broke during the call, or could not carry it. The server may have processed the call. */
  | "transport"
  /** Switchboard returned an error: see the reason. */
  | "status"
  /** The deadline passed on the client before Switchboard answered. */
  | "deadline"
  /** The caller's `AbortSignal` cancelled the call. The reason of the signal is the `cause`. */
  | "cancelled"
  /** The stream ended without metadata: the answer is incomplete. */
  | "incomplete"
  /** Another model started over, and the text that was already returned cannot be taken back. */
  | "restarted";

const CODES = {
  [ConnectCode.Canceled]: "CANCELLED",
  [ConnectCode.Unknown]: "UNKNOWN",
  [ConnectCode.InvalidArgument]: "INVALID_ARGUMENT",
  [ConnectCode.DeadlineExceeded]: "DEADLINE_EXCEEDED",
  [ConnectCode.NotFound]: "NOT_FOUND",
  [ConnectCode.AlreadyExists]: "ALREADY_EXISTS",
  [ConnectCode.PermissionDenied]: "PERMISSION_DENIED",
  [ConnectCode.ResourceExhausted]: "RESOURCE_EXHAUSTED",
  [ConnectCode.FailedPrecondition]: "FAILED_PRECONDITION",
  [ConnectCode.Aborted]: "ABORTED",
  [ConnectCode.OutOfRange]: "OUT_OF_RANGE",
  [ConnectCode.Unimplemented]: "UNIMPLEMENTED",
  [ConnectCode.Internal]: "INTERNAL",
  [ConnectCode.Unavailable]: "UNAVAILABLE",
  [ConnectCode.DataLoss]: "DATA_LOSS",
  [ConnectCode.Unauthenticated]: "UNAUTHENTICATED",
} as const satisfies Record<ConnectCode, string>;

/** Name of a code in the gRPC specification. */
export type Code = (typeof CODES)[ConnectCode];

/**
 * Reason of an error, such as `BEDROCK_THROTTLED`. A newer server can send reasons that the contract does not
 * have.
 */
export type Reason = keyof typeof pb.ErrorReason | (string & {});

/** Invalid field of a request. */
export interface FieldViolation {
  /** Path of the field, such as `messages[0].content`. */
  readonly field: string;
  /** What is wrong, and how to fix it. */
  readonly problem: string;
}

/** Details of a failure. */
interface Details {
  reason?: Reason | undefined;
  retryDelayMs?: number | undefined;
  fieldViolations?: readonly FieldViolation[] | undefined;
  requestId?: string | undefined;
  route?: pb.Route | undefined;
  cause?: unknown;
}

/** Why a call failed. The `message` is for people to read. */
export class SwitchboardError extends Error {
  override readonly name = "SwitchboardError";
  /** Origin of the failure. */
  readonly kind: ErrorKind;
  /** gRPC code. For a failure on the client, the code that fits best. */
  readonly code: Code;
  /** Switchboard's reason, such as `BEDROCK_THROTTLED`. Absent: the error has no reason. */
  readonly reason: Reason | undefined;
  /** Minimum time to wait before a retry can succeed, in milliseconds. Absent: waiting does not help. */
  readonly retryDelayMs: number | undefined;
  /** Invalid fields of the request. */
  readonly fieldViolations: readonly FieldViolation[];
  /** Request id, which identifies the call in logs and for support. */
  readonly requestId: string | undefined;
  /** Route with every attempt. Absent: the call failed before its task was resolved. */
  readonly route: pb.Route | undefined;

  /** @internal */
  constructor(kind: ErrorKind, code: Code, message: string, details: Details = {}) {
    super(message, "cause" in details ? { cause: details.cause } : undefined);
    this.kind = kind;
    this.code = code;
    this.reason = details.reason;
    this.retryDelayMs = details.retryDelayMs;
    this.fieldViolations = details.fieldViolations ?? [];
    this.requestId = details.requestId;
    this.route = details.route;
  }
}

// === constructors ===

export function badOptions(message: string): SwitchboardError {
  return new SwitchboardError("options", "INVALID_ARGUMENT", message);
}

export function noConnection(address: string, cause: unknown): SwitchboardError {
  const message = `could not connect to ${address}: ${rootCause(cause)}`;
  return new SwitchboardError("connect", "UNAVAILABLE", message, { cause });
}

export function deadlinePassed(): SwitchboardError {
  return new SwitchboardError("deadline", "DEADLINE_EXCEEDED", "the deadline passed");
}

export function cancelled(cause: unknown): SwitchboardError {
  return new SwitchboardError("cancelled", "CANCELLED", "the caller cancelled the call", { cause });
}

export function incomplete(): SwitchboardError {
  const message = "the stream ended without metadata: the answer is incomplete";
  return new SwitchboardError("incomplete", "INTERNAL", message);
}

export function restarted(reason: pb.ErrorReason): SwitchboardError {
  const message = "another model started over after text had been returned";
  const name = reason === pb.ErrorReason.UNSPECIFIED ? undefined : (pb.ErrorReason[reason] ?? String(reason));
  return new SwitchboardError("restarted", "ABORTED", message, { reason: name });
}

/** Converts the error of a call that neither the deadline nor the caller ended. */
export function toSwitchboardError(thrown: unknown): SwitchboardError {
  if (thrown instanceof SwitchboardError) {
    return thrown;
  }
  const error = ConnectError.from(thrown);
  return isFromServer(error) ? fromServer(error) : fromTransport(error);
}

/** True if the server sent the error. Without `grpc-status`, it comes from the connection or the client. */
export function isFromServer(error: unknown): error is ConnectError {
  return error instanceof ConnectError && error.metadata.has("grpc-status");
}

function fromServer(error: ConnectError): SwitchboardError {
  const [info] = error.findDetails(rpc.ErrorInfoSchema);
  const [retry] = error.findDetails(rpc.RetryInfoSchema);
  const [request] = error.findDetails(rpc.RequestInfoSchema);
  const violations = error.findDetails(rpc.BadRequestSchema).flatMap((bad) => bad.fieldViolations);
  return new SwitchboardError("status", CODES[error.code], error.rawMessage, {
    reason: info?.reason,
    retryDelayMs: retry?.retryDelay && durationMs(retry.retryDelay),
    fieldViolations: violations.map(({ field, description }) => ({ field, problem: description })),
    requestId: request?.requestId,
    route: error.findDetails(pb.RouteSchema)[0],
    cause: error,
  });
}

function fromTransport(error: ConnectError): SwitchboardError {
  const cause = rootCause(error);
  return isLost(error)
    ? new SwitchboardError("transport", "UNAVAILABLE", `the connection broke: ${cause}`, { cause: error })
    : new SwitchboardError("transport", CODES[error.code], cause, { cause: error });
}

/**
 * True if the connection was lost. Connect reports that with different codes: "canceled" for a reset stream,
 * "aborted" for a reset socket, "invalid argument" for half a message, "internal" for Node's other errors.
 * gRPC has one code for all.
 */
function isLost(error: ConnectError): boolean {
  switch (error.code) {
    case ConnectCode.Canceled:
    case ConnectCode.Aborted:
    case ConnectCode.InvalidArgument:
      return true;
    case ConnectCode.Internal:
      return typeof (error.cause as NodeJS.ErrnoException | undefined)?.code === "string";
    default:
      return false;
  }
}

/**
 * Returns the message of the innermost error, the most specific one: "connect ECONNREFUSED …", not
 * "internal".
 */
function rootCause(error: unknown): string {
  let innermost = error;
  while (innermost instanceof Error && innermost.cause instanceof Error) {
    innermost = innermost.cause;
  }
  if (innermost instanceof AggregateError && innermost.message === "") {
    return innermost.errors.map(rootCause).join(", ");
  }
  if (innermost instanceof ConnectError) {
    return innermost.rawMessage;
  }
  return innermost instanceof Error ? innermost.message.trim() : String(innermost);
}
