"""Why a call failed. Branch on the class, the code or the reason, never on messages."""

from __future__ import annotations

import dataclasses

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2

from . import pb

DETAILS = "grpc-status-details-bin"


@dataclasses.dataclass(frozen=True)
class FieldViolation:
    """A field of the request that is wrong."""

    field: str
    """Its path, such as `messages[0].content`."""
    problem: str
    """What is wrong with it, and how to mend it."""


class SwitchboardError(Exception):
    """A call that failed. Its text is one line for people: what went wrong and, in brackets, the reason."""

    code: grpc.StatusCode
    """The gRPC code; for failures on this side, the one that fits best."""
    message: str
    """What went wrong, in words."""
    reason: str
    """Switchboard's reason, such as `BEDROCK_THROTTLED`; empty where it gave none."""
    retry_after: float | None
    """How long to wait at least before the same call may work, in seconds. None: waiting does not help."""
    field_violations: list[FieldViolation]
    """The fields of the request that are wrong."""
    request_id: str | None
    """Names the call, in logs and to support."""
    route: pb.Route | None
    """Every attempt that was made. None: the call failed before its task was resolved."""
    details: list[Message]
    """Every detail of the status that this client can read, for what is not taken out of them here."""

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
    """The caller's deadline, the task's or the model's passed before the answer was whole."""


class IncompleteError(SwitchboardError):
    """A stream ended without its metadata: the answer is not whole."""

    def __init__(self) -> None:
        message = "the stream ended without its metadata: the answer is not whole"
        super().__init__(grpc.StatusCode.INTERNAL, message)


class RestartedError(SwitchboardError):
    """Another model started over after words had been given out, and words cannot be taken back."""

    def __init__(self, reason: str) -> None:
        message = "another model started over after words had been given out"
        super().__init__(grpc.StatusCode.ABORTED, message, reason)


def from_rpc(error: grpc.RpcError) -> SwitchboardError:
    """What a call ended with. Any other kind of error than gRPC's own would be a bug of this module."""
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
    """Those of the types known here; a newer server may send others."""
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
        pass  # what came is no status: its code and words still hold
    return found
