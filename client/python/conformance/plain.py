"""Calls through the generated stubs and grpcio only, with threads."""

import threading
from typing import Any

import grpc
from google.protobuf.json_format import MessageToDict, ParseDict
from google.rpc import error_details_pb2, status_pb2
from switchboard.v1 import (
    content_pb2,
    converse_pb2,
    converse_pb2_grpc,
    feedback_pb2,
    feedback_pb2_grpc,
    route_pb2,
    routing_pb2,
    routing_pb2_grpc,
)

Json = dict[str, Any]

OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
TIME_TO_SEND = 0.1  # seconds
CANCELLED = {"code": "CANCELLED", "message": "cancelled by the driver"}


class Client:
    def __init__(self, target: str) -> None:
        channel = grpc.insecure_channel(target, options=OPTIONS)
        self._calls = converse_pb2_grpc.ConverseServiceStub(channel)
        self._unary = unary(channel)

    def call(self, call: Json) -> Json:
        if call["rpc"] == "ConverseStream":
            return self._stream(call)
        method, kind = self._unary[call["rpc"]]
        request = ParseDict(call["request"], kind())
        try:
            pending = method.future(request, timeout=timeout(call))
            if call.get("cancel_after_events") == 0:
                threading.Timer(TIME_TO_SEND, pending.cancel).start()
            response = pending.result()
            if call.get("then") == "history":
                response = method(following(request, response), timeout=timeout(call))
        except grpc.FutureCancelledError:
            return {"error": CANCELLED}
        except grpc.RpcError as error:
            return {"error": failed(error)}
        return {"response": MessageToDict(response), "text": text_of(response)}

    def _stream(self, call: Json) -> Json:
        request = ParseDict(call["request"], converse_pb2.ConverseRequest())
        events, text = [], ""
        stream = self._calls.ConverseStream(request, timeout=timeout(call))
        try:
            for event in stream:
                events.append(MessageToDict(event))
                text += event.content_block_delta.delta.text
                if len(events) == call.get("cancel_after_events"):
                    stream.cancel()
                    return {"events": events, "error": CANCELLED}
        except grpc.RpcError as error:
            return {"events": events or None, "error": failed(error)}
        return {"events": events, "text": text}


def unary(channel: Any) -> dict[str, tuple[Any, Any]]:
    """Return the unary methods and their request types."""
    calls, routes = converse_pb2_grpc.ConverseServiceStub(channel), routing_pb2_grpc.RoutingServiceStub(channel)
    feedback = feedback_pb2_grpc.FeedbackServiceStub(channel)
    return {
        "Converse": (calls.Converse, converse_pb2.ConverseRequest),
        "CountTokens": (calls.CountTokens, converse_pb2.CountTokensRequest),
        "RecordFeedback": (feedback.RecordFeedback, feedback_pb2.RecordFeedbackRequest),
        "ListTasks": (routes.ListTasks, routing_pb2.ListTasksRequest),
        "ExplainRoute": (routes.ExplainRoute, routing_pb2.ExplainRouteRequest),
    }


def timeout(call: Json) -> float | None:
    return call["deadline_ms"] / 1000 if "deadline_ms" in call else None


def following(request: Any, response: Any) -> Any:
    """Return the request with the answer and a question appended."""
    block = content_pb2.ContentBlock(text="and now?")
    question = content_pb2.Message(role="user", content=[block])
    request.messages.extend([response.output.message, question])
    return request


def text_of(response: Any) -> str | None:
    if not isinstance(response, converse_pb2.ConverseResponse):
        return None
    return "".join(block.text for block in response.output.message.content)


def failed(error: Any) -> Json:
    failure: Json = {"code": error.code().name, "message": error.details()}
    status = status_pb2.Status()
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            status.ParseFromString(value)
    for detail in status.details:
        failure |= one_of(detail)
    return failure


def one_of(detail: Any) -> Json:
    info, retry, bad = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo(), error_details_pb2.BadRequest()
    request, route = error_details_pb2.RequestInfo(), route_pb2.Route()
    if detail.Unpack(info):
        return {"reason": info.reason}
    if detail.Unpack(retry):
        return {"retry_delay_ms": round(retry.retry_delay.ToNanoseconds() / 1e6)}
    if detail.Unpack(bad):
        return {"fields": [violation.field for violation in bad.field_violations]}
    if detail.Unpack(request):
        return {"request_id": request.request_id}
    if detail.Unpack(route):
        return {"attempts": len(route.attempts)}
    return {}
