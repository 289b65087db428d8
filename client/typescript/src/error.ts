/**
 * Why a call failed.
 *
 * Callers branch on `kind`, `code` and `reason`, never on messages.
 */

import { durationMs } from "@bufbuild/protobuf/wkt";
import { Code as ConnectCode, ConnectError } from "@connectrpc/connect";
import * as rpc from "./gen/google/rpc/error_details_pb.js";
import * as pb from "./gen/pb.js";

/** Where a failure comes from. */
export type ErrorKind =
  /** The options are wrong: an address, a token or a certificate that cannot be used. */
  | "options"
  /** Switchboard could not be reached; nothing was asked. */
  | "connect"
  /** The connection broke during the call, or could not carry it; what was asked may have been done. */
  | "transport"
  /** Switchboard said no: see the reason. */
  | "status"
  /** The deadline passed here before Switchboard answered. */
  | "deadline"
  /** The caller's `AbortSignal` ended the call; the signal's reason is the `cause`. */
  | "cancelled"
  /** A stream ended without its metadata: the answer is not whole. */
  | "incomplete"
  /** A stream started over, and its reader could not. */
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

/** The code as gRPC writes it. */
export type Code = (typeof CODES)[ConnectCode];

/** Switchboard's reasons, of which the contract has a list; a newer server may know more. */
export type Reason = keyof typeof pb.ErrorReason | (string & {});

/** A field of the request that is wrong. */
export interface FieldViolation {
  /** Its path, such as `messages[0].content`. */
  readonly field: string;
  /** What is wrong with it, and how to mend it. */
  readonly problem: string;
}

/** What a failure is known by; what is absent was not told. */
interface Facts {
  reason?: Reason | undefined;
  retryDelayMs?: number | undefined;
  fieldViolations?: readonly FieldViolation[] | undefined;
  requestId?: string | undefined;
  route?: pb.Route | undefined;
  cause?: unknown;
}

/** Why a call failed. `message` is for people. */
export class SwitchboardError extends Error {
  override readonly name = "SwitchboardError";
  /** Where the failure comes from. */
  readonly kind: ErrorKind;
  /** The gRPC code; for failures on this side, the one that fits best. */
  readonly code: Code;
  /** Switchboard's reason, such as `BEDROCK_THROTTLED`. Absent: it gave none. */
  readonly reason: Reason | undefined;
  /** How long to wait at least before the same call may work, in milliseconds. Absent: waiting does not help. */
  readonly retryDelayMs: number | undefined;
  /** The fields of the request that are wrong. */
  readonly fieldViolations: readonly FieldViolation[];
  /** Names the call, in logs and to support. */
  readonly requestId: string | undefined;
  /** Every attempt that was made. Absent: the call failed before its task was resolved. */
  readonly route: pb.Route | undefined;

  /** @internal */
  constructor(kind: ErrorKind, code: Code, message: string, facts: Facts = {}) {
    super(message, "cause" in facts ? { cause: facts.cause } : undefined);
    this.kind = kind;
    this.code = code;
    this.reason = facts.reason;
    this.retryDelayMs = facts.retryDelayMs;
    this.fieldViolations = facts.fieldViolations ?? [];
    this.requestId = facts.requestId;
    this.route = facts.route;
  }
}

// === how errors begin ===

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
  const message = "the stream ended without its metadata: the answer is not whole";
  return new SwitchboardError("incomplete", "INTERNAL", message);
}

export function restarted(reason: string): SwitchboardError {
  const message = "another model started over after words had been given out";
  return new SwitchboardError("restarted", "ABORTED", message, { reason });
}

/** What a call ended with, when neither its deadline nor its caller ended it. */
export function ended(thrown: unknown): SwitchboardError {
  if (thrown instanceof SwitchboardError) {
    return thrown;
  }
  const error = ConnectError.from(thrown);
  return wasTold(error) ? told(error) : broken(error);
}

/** Only a server sends `grpc-status`: without it the failure is the connection's or this program's. */
export function wasTold(error: unknown): error is ConnectError {
  return error instanceof ConnectError && error.metadata.has("grpc-status");
}

function told(error: ConnectError): SwitchboardError {
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

function broken(error: ConnectError): SwitchboardError {
  const cause = rootCause(error);
  return isLost(error)
    ? new SwitchboardError("transport", "UNAVAILABLE", `the connection broke: ${cause}`, { cause: error })
    : new SwitchboardError("transport", CODES[error.code], cause, { cause: error });
}

/**
 * Connect has codes of its own for a connection that was lost, by how it was lost: "canceled" for a reset stream,
 * "aborted" for a reset socket, "invalid argument" for half a message, "internal" for Node's other errors. gRPC has
 * one for all.
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

/** The innermost error says most: "connect ECONNREFUSED …", where the outer ones say "internal". */
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
