"""For programs that call Bedrock with boto3: the same keyword arguments in, the same dictionaries out.

>>> from switchboard_client import boto3
>>> client = boto3.client("localhost:50051", task="summarization")
>>> client.converse(messages=[{"role": "user", "content": [{"text": "…"}]}])["output"]["message"]

Needs neither boto3 nor an AWS account. Where botocore is installed, errors are its `ClientError`s, so that the `except`
clauses of the program still hold. BOTO3.md says what is the same and what is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import client as threads
from .. import pb
from ..errors import SwitchboardError
from ..options import DEFAULT_ADDRESS
from .answers import EventStream, response_of, write
from .exceptions import ClientError, EventStreamError, Exceptions, ParamValidationError, error_of
from .requests import read

__all__ = ["Client", "ClientError", "EventStream", "EventStreamError", "ParamValidationError", "client"]


def client(
    address: str = DEFAULT_ADDRESS,
    *,
    task: str = "",
    tasks: Mapping[str, str] | None = None,
    **options: Any,
) -> Client:
    """What `boto3.client("bedrock-runtime")` is, for Switchboard.

    task: the task of calls that name none. Empty: the server's default.
    tasks: the task for each `modelId` that the program names; of those not in it only `task` remains.
    options: as of `switchboard_client.connect` (`bearer_token`, `ca_certificate`, `deadline`, …).
    """
    return Client(threads.connect(address, **options), task=task, tasks=tasks)


class Client:
    """Answers `converse`, `converse_stream` and `count_tokens` as boto3's client does. Threads may share it."""

    exceptions = Exceptions()
    """The errors by name, as in `except client.exceptions.ThrottlingException`."""

    def __init__(
        self, switchboard: threads.Switchboard, *, task: str = "", tasks: Mapping[str, str] | None = None
    ) -> None:
        self._switchboard = switchboard
        self._task = task
        self._tasks = dict(tasks or {})

    def converse(self, **request: Any) -> dict[str, Any]:
        """An answer, whole. Takes `taskType` beside or in the place of `modelId`."""
        message = read(pb.ConverseRequest, self._named(request))
        try:
            return response_of(self._switchboard.converse(message))
        except SwitchboardError as error:
            raise error_of(error, "Converse") from error

    def converse_stream(self, **request: Any) -> dict[str, Any]:
        """An answer while it is generated: iterate over the member `stream`."""
        message = read(pb.ConverseRequest, self._named(request))
        return EventStream.begin(self._switchboard, message)

    def count_tokens(self, **request: Any) -> dict[str, Any]:
        """The tokens of a request."""
        message = read(pb.CountTokensRequest, self._named(request))
        try:
            counted = self._switchboard.count_tokens(message)
        except SwitchboardError as error:
            raise error_of(error, "CountTokens") from error
        return write(counted, counted.route)

    def close(self) -> None:
        """Closes the connection."""
        self._switchboard.close()

    def _named(self, request: dict[str, Any]) -> dict[str, Any]:
        """The request with its task in the place of the model."""
        request = dict(request)
        model = request.pop("modelId", "")
        task = request.pop("taskType", None) or self._tasks.get(model) or self._task
        return {**request, "taskType": task}
