"""Calls through the generated stubs and grpc.aio only."""

import asyncio

import grpc
import grpc.aio
from google.protobuf.json_format import MessageToDict, ParseDict
from plain import CANCELLED, OPTIONS, TIME_TO_SEND, Json, failed, following, text_of, timeout, unary
from switchboard.v1 import converse_pb2, converse_pb2_grpc


class Client:
    def __init__(self, target: str) -> None:
        channel = grpc.aio.insecure_channel(target, options=OPTIONS)
        self._calls = converse_pb2_grpc.ConverseServiceStub(channel)
        self._unary = unary(channel)

    async def call(self, call: Json) -> Json:
        if call["rpc"] == "ConverseStream":
            return await self._stream(call)
        method, kind = self._unary[call["rpc"]]
        request = ParseDict(call["request"], kind())
        limit = TIME_TO_SEND if call.get("cancel_after_events") == 0 else None
        try:
            response = await asyncio.wait_for(method(request, timeout=timeout(call)), limit)
            if call.get("then") == "history":
                response = await method(following(request, response), timeout=timeout(call))
        except asyncio.TimeoutError:
            return {"error": CANCELLED}
        except grpc.aio.AioRpcError as error:
            return {"error": failed(error)}
        return {"response": MessageToDict(response), "text": text_of(response)}

    async def _stream(self, call: Json) -> Json:
        request = ParseDict(call["request"], converse_pb2.ConverseRequest())
        events, text = [], ""
        stream = self._calls.ConverseStream(request, timeout=timeout(call))
        try:
            async for event in stream:
                events.append(MessageToDict(event))
                text += event.content_block_delta.delta.text
                if len(events) == call.get("cancel_after_events"):
                    stream.cancel()
                    return {"events": events, "error": CANCELLED}
        except grpc.aio.AioRpcError as error:
            return {"events": events or None, "error": failed(error)}
        return {"events": events, "text": text}
