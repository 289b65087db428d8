"""Client for asyncio. Cancelling the task that waits cancels the call, also at Bedrock."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from types import TracebackType
from typing import TypeVar

import grpc
import grpc.aio
from switchboard.v1.converse_pb2_grpc import ConverseServiceStub
from switchboard.v1.feedback_pb2_grpc import FeedbackServiceStub
from switchboard.v1.routing_pb2_grpc import RoutingServiceStub

from . import pb
from .collect import Collected, Collector
from .errors import IncompleteError, SwitchboardError, from_rpc
from .options import DEFAULT_ADDRESS, KEEP_ALIVE, Options
from .request import ask
from .text_filter import TextFilter

__all__ = ["EventStream", "Switchboard", "TextStream", "connect"]

Q = TypeVar("Q")
R = TypeVar("R")


def connect(
    address: str = DEFAULT_ADDRESS,
    *,
    bearer_token: str | None = None,
    ca_certificate: bytes | None = None,
    client_certificate: tuple[bytes, bytes] | None = None,
    deadline: float | None = None,
    keep_alive: float = KEEP_ALIVE,
) -> Switchboard:
    """Prepare a connection, see `switchboard_client.connect`. Must be called in a running event loop."""
    options = Options(address, bearer_token, ca_certificate, client_certificate, deadline, keep_alive)
    target, arguments = options.target, options.channel_arguments
    if options.credentials is None:
        channel = grpc.aio.insecure_channel(target, options=arguments)
    else:
        channel = grpc.aio.secure_channel(target, options.credentials, options=arguments)
    return Switchboard(channel, options)


class Switchboard:
    """Connection to Switchboard for one event loop. Calls can run concurrently.

    A failed call raises `SwitchboardError`.
    """

    def __init__(self, channel: grpc.aio.Channel, options: Options) -> None:
        self._channel = channel
        self._options = options
        self._calls = ConverseServiceStub(channel)
        self._routes = RoutingServiceStub(channel)
        self._feedback = FeedbackServiceStub(channel)

    def with_deadline(self, deadline: float) -> Switchboard:
        """Return a client with the same connection and another deadline for each call, in seconds."""
        return Switchboard(self._channel, dataclasses.replace(self._options, deadline=deadline))

    async def text(self, task: str, prompt: str) -> str:
        """Send one prompt and return the text of the answer. `converse` also returns the stop reason."""
        return Collected.of(await self.converse(ask(task, prompt))).text

    async def converse(self, request: pb.ConverseRequest) -> pb.ConverseResponse:
        """Generate an answer and return it when it is complete."""
        return await self._send(self._calls.Converse, request)

    def stream(self, request: pb.ConverseRequest) -> EventStream:
        """Generate an answer and stream it. Leaving the stream early cancels the call, also at Bedrock."""
        options = self._options
        call = self._calls.ConverseStream(request, timeout=options.deadline, metadata=options.metadata())
        return EventStream(call)

    async def count_tokens(self, request: pb.CountTokensRequest) -> pb.CountTokensResponse:
        """Count the input tokens of a request, free of charge."""
        return await self._send(self._calls.CountTokens, request)

    async def tasks(self) -> pb.ListTasksResponse:
        """List every task of the configuration and the models that serve it."""
        return await self._send(self._routes.ListTasks, pb.ListTasksRequest())

    async def explain(self, task: str = "", request: pb.ConverseRequest | None = None) -> pb.ExplainRouteResponse:
        """Describe what a call for this task, or this request, would do now. Calls no model."""
        explain = pb.ExplainRouteRequest(task_type=task, request=request)
        return await self._send(self._routes.ExplainRoute, explain)

    async def record_feedback(self, feedback: pb.RecordFeedbackRequest) -> pb.RecordFeedbackResponse:
        """Record feedback on the answer with the request id of its route.

        A later judgement by the same judge for the same criterion replaces the earlier one.
        """
        return await self._send(self._feedback.RecordFeedback, feedback)

    async def close(self) -> None:
        """Close the connection and cancel running calls."""
        await self._channel.close()

    async def __aenter__(self) -> Switchboard:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"Switchboard({self._options!r})"

    async def _send(self, call: grpc.aio.UnaryUnaryMultiCallable[Q, R], request: Q) -> R:
        options = self._options
        try:
            return await call(request, timeout=options.deadline, metadata=options.metadata())
        except grpc.aio.AioRpcError as error:
            raise from_rpc(error) from error


class EventStream:
    """Events of a streamed answer, in order: the route is the first, the metadata the last.

    Iterate over it once. A stream that ends without metadata raises `IncompleteError`: the answer is
    incomplete. The call is cancelled when the context manager ends or the task is cancelled.
    """

    def __init__(self, call: grpc.aio.UnaryStreamCall[pb.ConverseRequest, pb.ConverseStreamResponse]) -> None:
        self._call = call
        self._events = aiter(call)
        self._is_complete = False

    def __aiter__(self) -> AsyncIterator[pb.ConverseStreamResponse]:
        return self

    async def __anext__(self) -> pb.ConverseStreamResponse:
        while True:
            try:
                event = await anext(self._events)
            except StopAsyncIteration:
                if self._is_complete:
                    raise
                raise IncompleteError from None
            except grpc.aio.AioRpcError as error:
                raise from_rpc(error) from error
            except asyncio.CancelledError:
                if self._call.cancelled() and not _is_being_cancelled():  # the call was cancelled, not the task
                    raise SwitchboardError(grpc.StatusCode.CANCELLED, "cancelled by the caller") from None
                self._call.cancel()
                raise
            kind = event.WhichOneof("event")
            self._is_complete = self._is_complete or kind == "metadata"
            if kind is not None:  # otherwise it is newer than this contract
                return event

    def text(self) -> TextStream:
        """Return only the text; see `switchboard_client.EventStream.text`."""
        return TextStream(self)

    async def collect_message(self) -> Collected:
        """Read to the end and assemble the complete answer."""
        collector = Collector()
        async for event in self:
            collector.push(event)
        return collector.finish()

    def cancel(self) -> None:
        """Cancel the call, also at Bedrock."""
        self._call.cancel()

    async def __aenter__(self) -> EventStream:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cancel()


class TextStream:
    """Text of a streamed answer."""

    def __init__(self, events: EventStream) -> None:
        self._events = events
        self._filter = TextFilter()

    def __aiter__(self) -> AsyncIterator[str]:
        return self

    async def __anext__(self) -> str:
        while True:
            text = self._filter.text_of(await anext(self._events))
            if text:
                return text

    def cancel(self) -> None:
        """Cancel the call, also at Bedrock."""
        self._events.cancel()


def _is_being_cancelled() -> bool:
    """Return whether the current task is being cancelled.

    Python 3.10 cannot tell: there, cancelling a stream that another task reads also cancels that task.
    """
    current = asyncio.current_task()
    cancelling = getattr(current, "cancelling", None)
    return cancelling is None or cancelling() > 0
