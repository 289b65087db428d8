"""Calls through `switchboard_client.aio`."""

import asyncio

from wire import CANCELLED, TIME_TO_SEND, Json, collected, failed, history, read, seconds, write

from switchboard_client import Collected, Collector, SwitchboardError, aio, pb


class Client:
    def __init__(self, target: str) -> None:
        self._switchboard = aio.connect(target)

    async def call(self, call: Json) -> Json:
        deadline = seconds(call)
        switchboard = self._switchboard if deadline is None else self._switchboard.with_deadline(deadline)
        limit = TIME_TO_SEND if call.get("cancel_after_events") == 0 else None
        try:
            return await asyncio.wait_for(self._call(switchboard, call), limit)
        except SwitchboardError as error:
            return {"error": failed(error)}
        except asyncio.TimeoutError:  # wait_for cancelled the task and thereby the call
            return {"error": CANCELLED}

    async def _call(self, switchboard: aio.Switchboard, call: Json) -> Json:
        request = call["request"]
        match call["rpc"]:
            case "Converse":
                return await self._converse(switchboard, call)
            case "ConverseStream":
                return await self._stream(switchboard, call)
            case "CountTokens":
                return {"response": write(await switchboard.count_tokens(read(pb.CountTokensRequest, request)))}
            case "ListTasks":
                return {"response": write(await switchboard.tasks())}
            case "ExplainRoute":
                explain = read(pb.ExplainRouteRequest, request)
                whole = explain.request if explain.HasField("request") else None
                return {"response": write(await switchboard.explain(explain.task_type, whole))}
            case "RecordFeedback":
                feedback = read(pb.RecordFeedbackRequest, request)
                return {"response": write(await switchboard.record_feedback(feedback))}
            case other:
                raise ValueError(f"the layer has no {other}")

    async def _converse(self, switchboard: aio.Switchboard, call: Json) -> Json:
        request = read(pb.ConverseRequest, call["request"])
        response = await switchboard.converse(request)
        if call.get("then") == "history":
            response = await switchboard.converse(history(request, Collected.of(response).message))
        return {"response": write(response), **collected(Collected.of(response))}

    async def _stream(self, switchboard: aio.Switchboard, call: Json) -> Json:
        request = read(pb.ConverseRequest, call["request"])
        limit, events, collector = call.get("cancel_after_events"), [], Collector()
        try:
            async with switchboard.stream(request) as stream:
                async for event in stream:
                    events.append(write(event))
                    collector.push(event)
                    if len(events) == limit:
                        return {"events": events, "error": CANCELLED}
            answer = collector.finish()
        except SwitchboardError as error:
            return {"events": events or None, "error": failed(error)}
        if call.get("then") == "history":
            return {"response": write(await switchboard.converse(history(request, answer.message)))}
        return {"events": events, **collected(answer)}
