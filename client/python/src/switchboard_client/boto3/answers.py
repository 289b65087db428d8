"""Converts messages of the contract to boto3's dictionaries."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from .. import client as threads
from .. import pb
from ..errors import RestartedError, SwitchboardError, reason_name
from .exceptions import error_of, stream_error_of

LISTS = {"GuardrailAssessments": "assessments", "ToolResultDelta": "blocks"}
"""Messages that contain only a list, because protobuf cannot hold the list there."""

EXACT = {
    "input_json": "input",
    "json_text": "json",
    "additional_model_response_fields_json": "additionalModelResponseFields",
}
"""Fields with exact JSON text, and boto3's members for the parsed value."""

NOT_IN_BOTO3 = {
    "ConverseResponse": {"cost", "latency", "route", "stop_reason"},
    "ConverseStreamMetadataEvent": {"cost", "latency", "route"},
    "CountTokensResponse": {"route"},
    "MessageStopEvent": {"stop_reason"},
    "TokenUsage": {"server_tool_usage_json"},
}
"""Fields that boto3 does not have. The raw stop reason is used instead; the route goes to ResponseMetadata."""

ALWAYS = {"content", "tools"}
"""Lists that Bedrock sends even if they are empty."""


def response_of(response: pb.ConverseResponse) -> dict[str, Any]:
    """Return the answer as boto3 does."""
    return write(response, response.route)


def write(message: Message, route: pb.Route) -> dict[str, Any]:
    return {"ResponseMetadata": metadata(route), **_members(message)}


def metadata(route: pb.Route) -> dict[str, Any]:
    """Return the response metadata. `RequestId` is Bedrock's, for AWS support; the route is in `SwitchboardRoute`."""
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
        if field.name in NOT_IN_BOTO3.get(message.DESCRIPTOR.name, ()):
            continue
        if field.has_presence and not message.HasField(field.name):
            continue
        if field.is_repeated and not value and field.name not in ALWAYS:
            continue
        name, converted = _member(field, value)
        members[name] = converted
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
    if kind.name in LISTS:
        return _members(value).get(LISTS[kind.name], [])
    return _members(value)


class EventStream:
    """Events of an answer as in boto3. Iterate over it once; `close` cancels the call, also at Bedrock."""

    def __init__(self, events: threads.EventStream, first: pb.ConverseStreamResponse) -> None:
        self._events = events
        self._first: pb.ConverseStreamResponse | None = first
        self._has_content = False

    @classmethod
    def begin(cls, switchboard: threads.Switchboard, request: pb.ConverseRequest) -> dict[str, Any]:
        """Return the response after the first event. An error before that is an error of the call."""
        events = switchboard.stream(request)
        try:
            first = next(events)
        except SwitchboardError as error:
            raise error_of(error, "ConverseStream") from error
        return {"ResponseMetadata": metadata(first.route), "stream": cls(events, first)}

    def __iter__(self) -> Iterator[dict[str, Any]]:
        try:
            for event in self._all():
                converted = self._event(event)
                if converted is not None:
                    yield converted
        except SwitchboardError as error:
            raise stream_error_of(error) from error

    def get_initial_response(self) -> None:
        """Return None: Bedrock's streams have no initial response."""

    def close(self) -> None:
        """Cancel the call."""
        self._events.cancel()

    def _all(self) -> Iterator[pb.ConverseStreamResponse]:
        if self._first is not None:
            first, self._first = self._first, None
            yield first
        yield from self._events

    def _event(self, event: pb.ConverseStreamResponse) -> dict[str, Any] | None:
        kind = event.WhichOneof("event")
        if kind == "restart" and self._has_content:
            raise RestartedError(reason_name(event.restart.reason))
        if kind is None or kind in ("route", "restart"):
            return None
        if kind == "unknown":
            return {"SDK_UNKNOWN_MEMBER": {"name": event.unknown.event_type}}
        self._has_content = self._has_content or kind in ("content_block_start", "content_block_delta")
        name = event.DESCRIPTOR.fields_by_name[kind].camelcase_name
        return {name: _members(getattr(event, kind))}
