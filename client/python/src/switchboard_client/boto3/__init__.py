"""Replacement for boto3's Bedrock client, with the same keyword arguments and the same dictionaries.

>>> from switchboard_client import boto3
>>> client = boto3.client("localhost:50051", task="summarization")
>>> client.converse(messages=[{"role": "user", "content": [{"text": "…"}]}])["output"]["message"]

Needs neither boto3 nor an AWS account. If botocore is installed, errors are its `ClientError`s, so that the
`except` clauses of existing programs still work. BOTO3.md lists the differences.
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
    """Make a client that corresponds to `boto3.client("bedrock-runtime")`.

    task: default task of calls. Empty: the server's default.
    tasks: task for each `modelId` that the program uses. Other models use `task`.
    options: options of `switchboard_client.connect` (`bearer_token`, `ca_certificate`, `deadline`, …).
    """
    return Client(threads.connect(address, **options), task=task, tasks=tasks)


class Client:
    """Client with boto3's methods `converse`, `converse_stream` and `count_tokens`. Threads can share it."""

    exceptions = Exceptions()
    """Errors by name, as in `except client.exceptions.ThrottlingException`."""

    def __init__(
        self, switchboard: threads.Switchboard, *, task: str = "", tasks: Mapping[str, str] | None = None
    ) -> None:
        self._switchboard = switchboard
        self._task = task
        self._tasks = dict(tasks or {})

    def converse(self, **request: Any) -> dict[str, Any]:
        """Return a complete answer. Accepts `taskType` in addition to or instead of `modelId`."""
        message = read(pb.ConverseRequest, self._with_task(request))
        try:
            return response_of(self._switchboard.converse(message))
        except SwitchboardError as error:
            raise error_of(error, "Converse") from error

    def converse_stream(self, **request: Any) -> dict[str, Any]:
        """Return a streamed answer: iterate over the member `stream`."""
        message = read(pb.ConverseRequest, self._with_task(request))
        return EventStream.begin(self._switchboard, message)

    def count_tokens(self, **request: Any) -> dict[str, Any]:
        """Count the input tokens of a request."""
        message = read(pb.CountTokensRequest, self._with_task(request))
        try:
            counted = self._switchboard.count_tokens(message)
        except SwitchboardError as error:
            raise error_of(error, "CountTokens") from error
        return write(counted, counted.route)

    def close(self) -> None:
        """Close the connection."""
        self._switchboard.close()

    def _with_task(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the request with a task instead of a model."""
        request = dict(request)
        model = request.pop("modelId", "")
        task = request.pop("taskType", None) or self._tasks.get(model) or self._task
        return {**request, "taskType": task}
