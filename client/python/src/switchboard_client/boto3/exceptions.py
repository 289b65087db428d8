"""Errors in botocore's format. They derive from botocore's classes if it is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc

from ..errors import SwitchboardError

if TYPE_CHECKING:

    class ClientErrorBase(Exception):
        def __init__(self, error_response: dict[str, Any], operation_name: str) -> None: ...

    class ParamValidationErrorBase(Exception):
        def __init__(self, report: str) -> None: ...

else:
    try:
        from botocore.exceptions import ClientError as ClientErrorBase
        from botocore.exceptions import ParamValidationError as ParamValidationErrorBase
    except ImportError:

        class ClientErrorBase(Exception):
            def __init__(self, error_response: dict[str, Any], operation_name: str) -> None:
                error = error_response.get("Error", {})
                code, message = error.get("Code", "Unknown"), error.get("Message", "Unknown")
                super().__init__(f"An error occurred ({code}) when calling the {operation_name} operation: {message}")
                self.response = error_response
                self.operation_name = operation_name

        class ParamValidationErrorBase(Exception):
            def __init__(self, report: str) -> None:
                super().__init__(f"Parameter validation failed:\n{report}")


STATUS = {
    "AccessDeniedException": 403,
    "ConflictException": 409,
    "InternalServerException": 500,
    "ModelErrorException": 424,
    "ModelNotReadyException": 429,
    "ModelStreamErrorException": 424,
    "ModelTimeoutException": 408,
    "ResourceNotFoundException": 404,
    "ServiceQuotaExceededException": 400,
    "ServiceUnavailableException": 503,
    "ThrottlingException": 429,
    "ValidationException": 400,
}
"""Bedrock's errors and their HTTP status codes."""

BY_REASON = {
    "BEDROCK_QUOTA": "ServiceQuotaExceededException",
    "BEDROCK_THROTTLED": "ThrottlingException",
    "INTERNAL": "InternalServerException",
    "MODEL_ACCESS_DENIED": "AccessDeniedException",
    "MODEL_ERROR": "ModelErrorException",
    "MODEL_NOT_FOUND": "ResourceNotFoundException",
    "MODEL_NOT_READY": "ModelNotReadyException",
    "MODEL_TIMEOUT": "ModelTimeoutException",
    "STREAM_INTERRUPTED": "ModelStreamErrorException",
}
"""Bedrock's error for a reason, if the gRPC code is not specific enough."""

BY_CODE = {
    grpc.StatusCode.ABORTED: "ModelStreamErrorException",
    grpc.StatusCode.DEADLINE_EXCEEDED: "ModelTimeoutException",
    grpc.StatusCode.FAILED_PRECONDITION: "ValidationException",
    grpc.StatusCode.INVALID_ARGUMENT: "ValidationException",
    grpc.StatusCode.NOT_FOUND: "ResourceNotFoundException",
    grpc.StatusCode.PERMISSION_DENIED: "AccessDeniedException",
    grpc.StatusCode.RESOURCE_EXHAUSTED: "ThrottlingException",
    grpc.StatusCode.UNAUTHENTICATED: "AccessDeniedException",
    grpc.StatusCode.UNAVAILABLE: "ServiceUnavailableException",
}
"""Bedrock's error for a gRPC code, for all other reasons."""


class ClientError(ClientErrorBase):
    """A failed call. `response["Error"]["Code"]` is Bedrock's name of the error.

    `__cause__` is the `SwitchboardError` with its reason and every attempt.
    """

    response: dict[str, Any]
    operation_name: str


class EventStreamError(ClientError):
    """A stream that broke after it had started."""


class ParamValidationError(ParamValidationErrorBase):
    """An invalid argument."""

    def __init__(self, report: str) -> None:
        super().__init__(report=report)


class Exceptions:
    """Classes of `ClientError` by Bedrock's names, as in boto3's clients."""

    def __getattr__(self, name: str) -> type[ClientError]:
        if name == "ClientError":
            return ClientError
        if name in KINDS:
            return KINDS[name]
        raise AttributeError(f"unknown exception {name}; use one of {', '.join(sorted(KINDS))}")


KINDS: dict[str, type[ClientError]] = {name: type(name, (ClientError,), {}) for name in STATUS}


def error_of(error: SwitchboardError, operation: str) -> ClientError:
    """Convert an error of a call."""
    name = _name(error)
    return KINDS[name](_response(error, name), operation)


def stream_error_of(error: SwitchboardError) -> EventStreamError:
    """Convert an error of a stream that is being read. Bedrock's names begin with a lower-case letter there."""
    name = _name(error)
    return EventStreamError(_response(error, name[0].lower() + name[1:]), "ConverseStream")


def _name(error: SwitchboardError) -> str:
    return BY_REASON.get(error.reason) or BY_CODE.get(error.code, "InternalServerException")


def _response(error: SwitchboardError, name: str) -> dict[str, Any]:
    headers = {}
    if error.retry_after is not None:
        headers["retry-after"] = str(max(1, round(error.retry_after)))
    metadata = {
        "RequestId": error.request_id or "",
        "HTTPStatusCode": STATUS[name[0].upper() + name[1:]],
        "HTTPHeaders": headers,
        "RetryAttempts": 0,
    }
    return {"Error": {"Code": name, "Message": error.message}, "ResponseMetadata": metadata}
