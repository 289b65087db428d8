"""From the contract's messages to boto3's dictionaries."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from .. import client as threads
from .. import pb
from ..errors import RestartedError, SwitchboardError
from .exceptions import error_of, stream_error_of

BARE = {"GuardrailAssessments": "assessments", "ToolResultDelta": "blocks"}
"""Messages that stand for a list, where protobuf cannot hold one."""

EXACT = {
    "input_json": "input",
    "json_text": "json",
    "additional_model_response_fields_json": "additionalModelResponseFields",
}
"""Exact JSON text, and the member under which boto3 gives the value."""

OURS = {
    "ConverseResponse": {"cost", "latency", "route", "stop_reason"},
    "ConverseStreamMetadataEvent": {"cost", "latency"},
    "CountTokensResponse": {"route"},
    "MessageStopEvent": {"stop_reason"},
    "TokenUsage": {"server_tool_usage_json"},
}
"""Fields that boto3 does not have. The raw stop reason takes the place of ours, the route goes to ResponseMetadata."""

ALWAYS = {"content", "tools"}
"""Lists that Bedrock sends even when they are empty."""


def response_of(response: pb.ConverseResponse) -> dict[str, Any]:
    """The answer as boto3 returns it."""
    return write(response, response.route)


def write(message: Message, route: pb.Route) -> dict[str, Any]:
    return {"ResponseMetadata": metadata(route), **_members(message)}


def metadata(route: pb.Route) -> dict[str, Any]:
    """`RequestId` is Bedrock's, so that AWS's support knows it; the whole route is beside it."""
    answered = route.attempts[-1].bedrock_request_id if route.attempts else ""
    request_id = answered or route.request_id
    return {
        "RequestId": request_id,
        "HTTPStatusCode": 200,
        "HTTPHeaders": {"x-amzn-requestid": request_id},
        "RetryAttempts": 0,
        "SwitchboardRoute": MessageToDict(route),
    }


def _members(message: Any) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for field in message.DESCRIPTOR.fields:
        value = getattr(message, field.name)
        if field.name in OURS.get(message.DESCRIPTOR.name, ()):
            continue
        if field.has_presence and not message.HasField(field.name):
            continue
        if field.is_repeated and not value and field.name not in ALWAYS:
            continue
        name, said = _member(field, value)
        members[name] = said
    return members


def _member(field: FieldDescriptor, value: Any) -> tuple[str, Any]:
    if field.name == "raw_stop_reason":
        return "stopReason", value
    if field.name == "unknown_json":
        return "SDK_UNKNOWN_MEMBER", {"name": next(iter(json.loads(value)), "")}
    if field.name in EXACT:
        return EXACT[field.name], json.loads(value)
    return field.camelcase_name, _value(field, value)


def _value(field: FieldDescriptor, value: Any) -> Any:
    kind = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        entry = kind.fields_by_name["value"]
        return {key: _one(entry, item) for key, item in sorted(value.items())}
    if field.is_repeated:
        return [_one(field, item) for item in value]
    return _one(field, value)


def _one(field: FieldDescriptor, value: Any) -> Any:
    kind = field.message_type
    if kind is None:
        return value
    if kind.name in BARE:
        return _members(value).get(BARE[kind.name], [])
    return _members(value)


class EventStream:
    """The events of an answer as boto3 gives them. Iterate over it once; `close` ends the call, at Bedrock too."""

    def __init__(self, events: threads.EventStream, first: pb.ConverseStreamResponse) -> None:
        self._events = events
        self._first: pb.ConverseStreamResponse | None = first
        self._has_content = False

    @classmethod
    def begin(cls, switchboard: threads.Switchboard, request: pb.ConverseRequest) -> dict[str, Any]:
        """The response, once the model has begun: before that, an error is one of the call."""
        events = switchboard.stream(request)
        try:
            first = next(events)
        except SwitchboardError as error:
            raise error_of(error, "ConverseStream") from error
        return {"ResponseMetadata": metadata(first.route), "stream": cls(events, first)}

    def __iter__(self) -> Iterator[dict[str, Any]]:
        try:
            for event in self._all():
                said = self._event(event)
                if said is not None:
                    yield said
        except SwitchboardError as error:
            raise stream_error_of(error) from error

    def get_initial_response(self) -> None:
        """Bedrock's streams have none."""

    def close(self) -> None:
        """Ends the call."""
        self._events.cancel()

    def _all(self) -> Iterator[pb.ConverseStreamResponse]:
        if self._first is not None:
            first, self._first = self._first, None
            yield first
        yield from self._events

    def _event(self, event: pb.ConverseStreamResponse) -> dict[str, Any] | None:
        kind = event.WhichOneof("event")
        if kind == "restart" and self._has_content:
            raise RestartedError(event.restart.reason)
        if kind is None or kind in ("route", "restart"):
            return None
        if kind == "unknown":
            return {"SDK_UNKNOWN_MEMBER": {"name": event.unknown.event_type}}
        self._has_content = self._has_content or kind in ("content_block_start", "content_block_delta")
        name = event.DESCRIPTOR.fields_by_name[kind].camelcase_name
        return {name: _members(getattr(event, kind))}
