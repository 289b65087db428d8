"""Python client for Switchboard, a gRPC gateway for Amazon Bedrock.

>>> import switchboard_client
>>> from switchboard_client import task
>>> with switchboard_client.connect("127.0.0.1:50051") as switchboard:
...     print(switchboard.text(task.SUMMARIZATION, "Say hello in one word."))

`connect` is for threads, `aio.connect` for asyncio; both have the same calls. `pb` has the generated types of
the contract, `task` the names of common tasks, and `reason` the reasons of errors.
"""

from . import aio, pb, reason, task
from .client import EventStream, Pending, Switchboard, TextStream, connect
from .collect import Collected, Collector
from .errors import (
    DeadlineExceededError,
    FieldViolation,
    IncompleteError,
    RestartedError,
    SwitchboardError,
)
from .options import DEFAULT_ADDRESS, MAX_MESSAGE_BYTES
from .request import ask, assistant, system, tool_result, user

__all__ = [
    "DEFAULT_ADDRESS",
    "MAX_MESSAGE_BYTES",
    "Collected",
    "Collector",
    "DeadlineExceededError",
    "EventStream",
    "FieldViolation",
    "IncompleteError",
    "Pending",
    "RestartedError",
    "Switchboard",
    "SwitchboardError",
    "TextStream",
    "aio",
    "ask",
    "assistant",
    "connect",
    "pb",
    "reason",
    "system",
    "task",
    "tool_result",
    "user",
]
