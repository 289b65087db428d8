"""Protobuf JSON, and conversion of answers and errors to the format of the suite."""

from typing import Any, TypeVar

from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message import Message

from switchboard_client import Collected, SwitchboardError, pb

Json = dict[str, Any]
M = TypeVar("M", bound=Message)

TIME_TO_SEND = 0.1
"""Time for sending a call that is cancelled at once, in seconds. A call that is not sent proves nothing."""

CANCELLED = {"code": "CANCELLED", "message": "cancelled by the driver"}


def read(kind: type[M], request: Json) -> M:
    return ParseDict(request, kind())


def write(message: Message) -> Json:
    return MessageToDict(message)


def seconds(call: Json) -> float | None:
    return call["deadline_ms"] / 1000 if "deadline_ms" in call else None


def collected(answer: Collected) -> Json:
    uses = [
        {"tool_use_id": use.tool_use_id, "name": use.name, "input_json": use.input_json} for use in answer.tool_uses
    ]
    return {"text": answer.text, "message": write(answer.message), "tool_uses": uses or None}


def failed(error: SwitchboardError) -> Json:
    members = {
        "code": error.code.name,
        "message": error.message,
        "reason": error.reason or None,
        "retry_delay_ms": None if error.retry_after is None else round(error.retry_after * 1000),
        "fields": [violation.field for violation in error.field_violations] or None,
        "request_id": error.request_id,
        "attempts": None if error.route is None else len(error.route.attempts),
    }
    return {member: value for member, value in members.items() if value is not None}


def text_of(response: pb.ConverseResponse) -> str:
    return "".join(block.text for block in response.output.message.content)


def history(request: pb.ConverseRequest, answer: pb.Message) -> pb.ConverseRequest:
    question = pb.Message(role="user", content=[pb.ContentBlock(text="and now?")])
    following = pb.ConverseRequest()
    following.CopyFrom(request)
    following.messages.extend([answer, question])
    return following
