"""Calls through `switchboard_client` with threads."""

import threading

from wire import CANCELLED, TIME_TO_SEND, Json, collected, failed, history, read, seconds, write

import switchboard_client
from switchboard_client import Collected, Collector, SwitchboardError, pb


class Client:
    def __init__(self, target: str) -> None:
        self._switchboard = switchboard_client.connect(target)

    def call(self, call: Json) -> Json:
        deadline = seconds(call)
        switchboard = self._switchboard if deadline is None else self._switchboard.with_deadline(deadline)
        try:
            return self._call(switchboard, call)
        except SwitchboardError as error:
            return {"error": failed(error)}

    def _call(self, switchboard: switchboard_client.Switchboard, call: Json) -> Json:
        request = call["request"]
        match call["rpc"]:
            case "Converse":
                return self._converse(switchboard, call)
            case "ConverseStream":
                return self._stream(switchboard, call)
            case "CountTokens":
                return {"response": write(switchboard.count_tokens(read(pb.CountTokensRequest, request)))}
            case "ListTasks":
                return {"response": write(switchboard.tasks())}
            case "ExplainRoute":
                explain = read(pb.ExplainRouteRequest, request)
                whole = explain.request if explain.HasField("request") else None
                return {"response": write(switchboard.explain(explain.task_type, whole))}
            case "RecordFeedback":
                return {"response": write(switchboard.record_feedback(read(pb.RecordFeedbackRequest, request)))}
            case other:
                raise ValueError(f"the layer has no {other}")

    def _converse(self, switchboard: switchboard_client.Switchboard, call: Json) -> Json:
        request = read(pb.ConverseRequest, call["request"])
        pending = switchboard.converse_pending(request)
        if call.get("cancel_after_events") == 0:
            threading.Timer(TIME_TO_SEND, pending.cancel).start()
        response = pending.result()
        if call.get("then") == "history":
            response = switchboard.converse(history(request, Collected.of(response).message))
        return {"response": write(response), **collected(Collected.of(response))}

    def _stream(self, switchboard: switchboard_client.Switchboard, call: Json) -> Json:
        request = read(pb.ConverseRequest, call["request"])
        limit, events, collector = call.get("cancel_after_events"), [], Collector()
        try:
            with switchboard.stream(request) as stream:
                for event in stream:
                    events.append(write(event))
                    collector.push(event)
                    if len(events) == limit:
                        return {"events": events, "error": CANCELLED}
            answer = collector.finish()
        except SwitchboardError as error:
            return {"events": events or None, "error": failed(error)}
        if call.get("then") == "history":
            return {"response": write(switchboard.converse(history(request, answer.message)))}
        return {"events": events, **collected(answer)}
