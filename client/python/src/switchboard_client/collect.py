"""Assembles the events of a stream into the answer that `Converse` would return.

The index of a delta identifies its block. Deltas of different blocks can be interleaved, and text and
reasoning blocks start without a start event.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import TypeVar

from . import pb
from .blocks import OpenBlock
from .errors import IncompleteError

M = TypeVar("M")


@dataclasses.dataclass
class Collected:
    """Complete answer of `Converse` or of a stream."""

    message: pb.Message = dataclasses.field(default_factory=pb.Message)
    """The assistant's turn. Append it to the messages to continue the conversation.

    Blank text, which Bedrock rejects, is left out.
    """
    stop_reason: pb.StopReason.ValueType = pb.STOP_REASON_UNSPECIFIED
    """Why the model stopped."""
    raw_stop_reason: str = ""
    """The stop reason exactly as Bedrock sent it, such as `end_turn`."""
    usage: pb.TokenUsage | None = None
    """Tokens of the attempt that answered. None: Bedrock did not report usage."""
    metrics: pb.ConverseMetrics | None = None
    """Latency measured by Bedrock."""
    trace: pb.ConverseTrace | None = None
    """Actions of a guardrail or a prompt router."""
    performance_config: pb.PerformanceConfiguration | None = None
    """Latency optimization that was used."""
    service_tier: pb.ServiceTier | None = None
    """Service tier that was used."""
    additional_model_response_fields_json: str | None = None
    """Requested fields of the model's native response, as exact JSON text."""
    route: pb.Route | None = None
    """The model that answered, and every attempt. For a stream, the final route."""
    cost: pb.Cost | None = None
    """Cost of the call, including every attempt. None: a price is unknown."""
    latency: pb.Latency | None = None
    """Duration of the call and of its parts."""
    unplaced: list[pb.ConverseStreamResponse] = dataclasses.field(default_factory=list)
    """Events that could not be added to the message: they are newer than this client, or belong to no known block."""

    @property
    def text(self) -> str:
        """The text of the answer, without reasoning and tool uses."""
        return "".join(_texts(self.message.content))

    @property
    def tool_uses(self) -> list[pb.ToolUseBlock]:
        """The tool calls that the model requests. `input_json` has the exact text of the arguments."""
        return [block.tool_use for block in self.message.content if block.HasField("tool_use")]

    @classmethod
    def of(cls, response: pb.ConverseResponse) -> Collected:
        """Convert a complete response."""
        fields = "additional_model_response_fields_json"
        return cls(
            message=response.output.message,
            stop_reason=response.stop_reason,
            raw_stop_reason=response.raw_stop_reason,
            usage=_optional(response, "usage", response.usage),
            metrics=_optional(response, "metrics", response.metrics),
            trace=_optional(response, "trace", response.trace),
            performance_config=_optional(response, "performance_config", response.performance_config),
            service_tier=_optional(response, "service_tier", response.service_tier),
            additional_model_response_fields_json=_optional(
                response, fields, response.additional_model_response_fields_json
            ),
            route=_optional(response, "route", response.route),
            cost=_optional(response, "cost", response.cost),
            latency=_optional(response, "latency", response.latency),
        )


class Collector:
    """Assembles an answer while the caller processes the events: `push` every event, then `finish`."""

    def __init__(self) -> None:
        self._reset()

    def push(self, event: pb.ConverseStreamResponse) -> None:
        """Add the next event. A restart event discards everything before it."""
        collected = self._collected
        match event.WhichOneof("event"):
            case "route":
                collected.route = event.route
            case "message_start":
                collected.message.role = event.message_start.role
            case "content_block_start":
                start = event.content_block_start
                self._blocks[start.content_block_index] = OpenBlock(start.start)
            case "content_block_delta":
                self._append(event)
            case "content_block_stop":
                pass  # not relied on: Bedrock sometimes omits it
            case "message_stop":
                stop = event.message_stop
                collected.stop_reason = stop.stop_reason
                collected.raw_stop_reason = stop.raw_stop_reason
                fields = "additional_model_response_fields_json"
                collected.additional_model_response_fields_json = _optional(
                    stop, fields, stop.additional_model_response_fields_json
                )
            case "restart":
                self._reset()
            case "metadata":
                self._take_metadata(event.metadata)
            case _:
                collected.unplaced.append(event)

    def finish(self) -> Collected:
        """Return the answer. Raises `IncompleteError` if the metadata is missing."""
        if not self._is_complete:
            raise IncompleteError
        collected = self._collected
        del collected.message.content[:]
        for _, block in sorted(self._blocks.items()):
            collected.message.content.extend(block.close())
        collected.message.role = collected.message.role or "assistant"
        return collected

    def _reset(self) -> None:
        self._blocks: dict[int, OpenBlock] = {}
        self._collected = Collected()
        self._is_complete = False

    def _append(self, event: pb.ConverseStreamResponse) -> None:
        delta = event.content_block_delta
        block = self._blocks.setdefault(delta.content_block_index, OpenBlock())
        if not block.append(delta.delta):
            self._collected.unplaced.append(event)

    def _take_metadata(self, metadata: pb.ConverseStreamMetadataEvent) -> None:
        self._is_complete = True
        collected = self._collected
        if metadata.HasField("route"):
            collected.route = metadata.route
        collected.usage = _optional(metadata, "usage", metadata.usage)
        collected.metrics = _optional(metadata, "metrics", metadata.metrics)
        collected.trace = _optional(metadata, "trace", metadata.trace)
        collected.performance_config = _optional(metadata, "performance_config", metadata.performance_config)
        collected.service_tier = _optional(metadata, "service_tier", metadata.service_tier)
        collected.cost = _optional(metadata, "cost", metadata.cost)
        collected.latency = _optional(metadata, "latency", metadata.latency)


def _texts(blocks: Iterable[pb.ContentBlock]) -> Iterable[str]:
    for block in blocks:
        if block.HasField("text"):
            yield block.text
        elif block.HasField("citations_content"):
            yield from (part.text for part in block.citations_content.content)


def _optional(message: object, field: str, value: M) -> M | None:
    """Return None for a field that was not sent, so that it is not mistaken for zero."""
    has_field = getattr(message, "HasField")  # noqa: B009, the type stubs allow only literal names
    return value if has_field(field) else None
