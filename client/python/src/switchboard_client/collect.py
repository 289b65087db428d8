"""Puts a stream's pieces together: the same answer as from `Converse`, and a message that can be sent back.

The index of a piece says which block it belongs to; pieces of several blocks may come in turns, and blocks of text and
reasoning begin without a start event.
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
    """An answer, whole, however it came."""

    message: pb.Message = dataclasses.field(default_factory=pb.Message)
    """What the model said. Send it back as the next turn's history. Blank text, which Bedrock refuses, is left out."""
    stop_reason: pb.StopReason.ValueType = pb.STOP_REASON_UNSPECIFIED
    """Why the model stopped."""
    raw_stop_reason: str = ""
    """The same in Bedrock's own word, such as `end_turn`."""
    usage: pb.TokenUsage | None = None
    """What was read and written. None: Bedrock did not say."""
    metrics: pb.ConverseMetrics | None = None
    """Bedrock's own measure."""
    trace: pb.ConverseTrace | None = None
    """What a guardrail or a prompt router did."""
    performance_config: pb.PerformanceConfiguration | None = None
    """The form of the model that served."""
    service_tier: pb.ServiceTier | None = None
    """The tier that served."""
    additional_model_response_fields_json: str | None = None
    """The model's own reply fields, as exact JSON text."""
    route: pb.Route | None = None
    """Who answered, and every attempt before."""
    cost: pb.Cost | None = None
    """What the call cost, every attempt included. None: a price is unknown."""
    latency: pb.Latency | None = None
    """Where the time went."""
    unplaced: list[pb.ConverseStreamResponse] = dataclasses.field(default_factory=list)
    """Events that have no place in the message: newer than this client, or of no known block."""

    @property
    def text(self) -> str:
        """The words of the answer, without reasoning and tool uses."""
        return "".join(_words(self.message.content))

    @property
    def tool_uses(self) -> list[pb.ToolUseBlock]:
        """The tools that the model asks for; `input_json` is the exact text of the arguments."""
        return [block.tool_use for block in self.message.content if block.HasField("tool_use")]

    @classmethod
    def of(cls, response: pb.ConverseResponse) -> Collected:
        """The same for an answer that came whole."""
        fields = "additional_model_response_fields_json"
        return cls(
            message=response.output.message,
            stop_reason=response.stop_reason,
            raw_stop_reason=response.raw_stop_reason,
            usage=_given(response, "usage", response.usage),
            metrics=_given(response, "metrics", response.metrics),
            trace=_given(response, "trace", response.trace),
            performance_config=_given(response, "performance_config", response.performance_config),
            service_tier=_given(response, "service_tier", response.service_tier),
            additional_model_response_fields_json=_given(
                response, fields, response.additional_model_response_fields_json
            ),
            route=_given(response, "route", response.route),
            cost=_given(response, "cost", response.cost),
            latency=_given(response, "latency", response.latency),
        )


class Collector:
    """Collects while something else reads along: `push` every event, then `finish`."""

    def __init__(self) -> None:
        self._forget()

    def push(self, event: pb.ConverseStreamResponse) -> None:
        """Takes the next event in. After a restart it forgets what it had."""
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
                pass  # Bedrock has been seen to forget it, so nothing waits for it
            case "message_stop":
                stop = event.message_stop
                collected.stop_reason = stop.stop_reason
                collected.raw_stop_reason = stop.raw_stop_reason
                fields = "additional_model_response_fields_json"
                collected.additional_model_response_fields_json = _given(
                    stop, fields, stop.additional_model_response_fields_json
                )
            case "restart":
                self._forget()
            case "metadata":
                self._take_metadata(event.metadata)
            case _:
                collected.unplaced.append(event)

    def finish(self) -> Collected:
        """The answer; `IncompleteError` if its metadata never came."""
        if not self._is_whole:
            raise IncompleteError
        collected = self._collected
        del collected.message.content[:]
        for _, block in sorted(self._blocks.items()):
            collected.message.content.extend(block.close())
        collected.message.role = collected.message.role or "assistant"
        return collected

    def _forget(self) -> None:
        self._blocks: dict[int, OpenBlock] = {}
        self._collected = Collected()
        self._is_whole = False

    def _append(self, event: pb.ConverseStreamResponse) -> None:
        piece = event.content_block_delta
        block = self._blocks.setdefault(piece.content_block_index, OpenBlock())
        if not block.append(piece.delta):
            self._collected.unplaced.append(event)

    def _take_metadata(self, metadata: pb.ConverseStreamMetadataEvent) -> None:
        self._is_whole = True
        collected = self._collected
        collected.usage = _given(metadata, "usage", metadata.usage)
        collected.metrics = _given(metadata, "metrics", metadata.metrics)
        collected.trace = _given(metadata, "trace", metadata.trace)
        collected.performance_config = _given(metadata, "performance_config", metadata.performance_config)
        collected.service_tier = _given(metadata, "service_tier", metadata.service_tier)
        collected.cost = _given(metadata, "cost", metadata.cost)
        collected.latency = _given(metadata, "latency", metadata.latency)


def _words(blocks: Iterable[pb.ContentBlock]) -> Iterable[str]:
    for block in blocks:
        if block.HasField("text"):
            yield block.text
        elif block.HasField("citations_content"):
            yield from (part.text for part in block.citations_content.content)


def _given(message: object, field: str, value: M) -> M | None:
    """What was not sent is None here, never zero."""
    has_field = getattr(message, "HasField")  # noqa: B009, its type knows only literal names
    return value if has_field(field) else None
