"""Errors. Branch on the class, the code or the reason, never on a message."""

from __future__ import annotations

import dataclasses

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2

from . import pb

DETAILS = "grpc-status-details-bin"


@dataclasses.dataclass(frozen=True)
class FieldViolation:
    """Invalid field of a request."""

    field: str
    """Path of the field, such as `messages[0].content`."""
    problem: str
    """What is wrong, and how to fix it."""


class SwitchboardError(Exception):
    """A failed call. Its text is one line: the message and, in parentheses, the reason."""

    code: grpc.StatusCode
    """The gRPC code. For a failure on the client, the code that fits best."""
    message: str
    """The error message, for people to read."""
    reason: str
    """Switchboard's reason, such as `reason.BEDROCK_THROTTLED`. Empty: the error has no reason."""
    retry_after: float | None
    """Minimum time to wait before a retry can succeed, in seconds. None: waiting does not help."""
    field_violations: list[FieldViolation]
    """Invalid fields of the request."""
    request_id: str | None
    """Request id, which identifies the call in logs and for support."""
    route: pb.Route | None
    """Route with every attempt. None: the call failed before its task was resolved."""
    details: list[Message]
    """Every detail of the status that this client knows, including those without an attribute here."""

    def __init__(self, code: grpc.StatusCode, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.reason = reason
        self.retry_after = None
        self.field_violations = []
        self.request_id = None
        self.route = None
        self.details = []

    def __str__(self) -> str:
        return f"{self.message or self.code.value[1]} ({self.reason or self.code.name})"

    def _take(self, detail: Message) -> None:
        self.details.append(detail)
        if isinstance(detail, error_details_pb2.ErrorInfo):
            self.reason = detail.reason
        elif isinstance(detail, error_details_pb2.RetryInfo):
            self.retry_after = detail.retry_delay.ToNanoseconds() / 1e9
        elif isinstance(detail, error_details_pb2.RequestInfo):
            self.request_id = detail.request_id
        elif isinstance(detail, error_details_pb2.BadRequest):
            violations = detail.field_violations
            self.field_violations = [FieldViolation(it.field, it.description) for it in violations]
        elif isinstance(detail, pb.Route):
            self.route = detail


class DeadlineExceededError(SwitchboardError, TimeoutError):
    """The deadline of the caller, the task or the model passed before the answer was complete."""


class IncompleteError(SwitchboardError):
    """A stream ended without metadata: the answer is incomplete."""

    def __init__(self) -> None:
        message = "the stream ended without metadata: the answer is incomplete"
        super().__init__(grpc.StatusCode.INTERNAL, message)


class RestartedError(SwitchboardError):
    """Another model started over after text was returned, and text cannot be taken back."""

    def __init__(self, reason: str) -> None:
        message = "another model started over after text had been returned"
        super().__init__(grpc.StatusCode.ABORTED, message, reason)


def reason_name(reason: pb.ErrorReason.ValueType) -> str:
    """Return the name of a reason without its prefix. Empty: unspecified."""
    if reason == pb.ERROR_REASON_UNSPECIFIED:
        return ""
    try:
        return pb.ErrorReason.Name(reason).removeprefix("ERROR_REASON_")
    except ValueError:  # newer than this contract
        return str(reason)


def from_rpc(error: grpc.RpcError) -> SwitchboardError:
    """Convert an error of a call. Other errors than gRPC's indicate a bug and are raised again."""
    if not isinstance(error, (grpc.Call, grpc.aio.AioRpcError)):
        raise error
    code = error.code()
    kind = DeadlineExceededError if code is grpc.StatusCode.DEADLINE_EXCEEDED else SwitchboardError
    failure = kind(code, error.details() or "")
    trailers = error.trailing_metadata() or ()
    for key, value in trailers:
        if key == DETAILS and isinstance(value, bytes):
            for detail in _details(value):
                failure._take(detail)
    return failure


def _details(status: bytes) -> list[Message]:
    """Return the details whose types are known here. A newer server can send others."""
    known: list[type[Message]] = [
        error_details_pb2.ErrorInfo,
        error_details_pb2.RetryInfo,
        error_details_pb2.RequestInfo,
        error_details_pb2.BadRequest,
        error_details_pb2.QuotaFailure,
        pb.Route,
        pb.Received,
    ]
    by_name = {kind.DESCRIPTOR.full_name: kind for kind in known}
    found = []
    try:
        for packed in status_pb2.Status.FromString(status).details:
            kind = by_name.get(packed.type_url.rpartition("/")[2])
            if kind is not None:
                found.append(kind.FromString(packed.value))
    except DecodeError:
        pass  # not a status; code and message are still valid
    return found
