"""The same calls for asyncio: cancel the task that waits, and the call is cancelled, at Bedrock too."""

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
from .words import Words

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
    """Prepares a connection, see `switchboard_client.connect`. Call it where the event loop runs."""
    options = Options(address, bearer_token, ca_certificate, client_certificate, deadline, keep_alive)
    target, arguments = options.target, options.channel_arguments
    if options.credentials is None:
        channel = grpc.aio.insecure_channel(target, options=arguments)
    else:
        channel = grpc.aio.secure_channel(target, options.credentials, options=arguments)
    return Switchboard(channel, options)


class Switchboard:
    """A connection to Switchboard for one event loop; calls run side by side.

    Every call raises `SwitchboardError` when it fails.
    """

    def __init__(self, channel: grpc.aio.Channel, options: Options) -> None:
        self._channel = channel
        self._options = options
        self._calls = ConverseServiceStub(channel)
        self._routes = RoutingServiceStub(channel)
        self._feedback = FeedbackServiceStub(channel)

    def with_deadline(self, deadline: float) -> Switchboard:
        """The same connection with another deadline for each call, in seconds."""
        return Switchboard(self._channel, dataclasses.replace(self._options, deadline=deadline))

    async def text(self, task: str, prompt: str) -> str:
        """Asks one question and returns the words of the answer. `converse` also says why they ended."""
        return Collected.of(await self.converse(ask(task, prompt))).text

    async def converse(self, request: pb.ConverseRequest) -> pb.ConverseResponse:
        """Asks for an answer, whole."""
        return await self._send(self._calls.Converse, request)

    def stream(self, request: pb.ConverseRequest) -> EventStream:
        """Asks for an answer while it is generated. Leaving the stream early cancels the call, at Bedrock too."""
        options = self._options
        call = self._calls.ConverseStream(request, timeout=options.deadline, metadata=options.metadata())
        return EventStream(call)

    async def count_tokens(self, request: pb.CountTokensRequest) -> pb.CountTokensResponse:
        """Counts the tokens of a request, free of charge."""
        return await self._send(self._calls.CountTokens, request)

    async def tasks(self) -> pb.ListTasksResponse:
        """Every task that the configuration names, and the models that serve it."""
        return await self._send(self._routes.ListTasks, pb.ListTasksRequest())

    async def explain(self, task: str = "", request: pb.ConverseRequest | None = None) -> pb.ExplainRouteResponse:
        """What a call for this task, or this very request, would do now. Calls no model."""
        question = pb.ExplainRouteRequest(task_type=task, request=request)
        return await self._send(self._routes.ExplainRoute, question)

    async def record_feedback(self, feedback: pb.RecordFeedbackRequest) -> pb.RecordFeedbackResponse:
        """Says what became of an answer, which the request id of its route names.

        Said again by the same judge it takes the place of what was said before.
        """
        return await self._send(self._feedback.RecordFeedback, feedback)

    async def close(self) -> None:
        """Closes the connection; calls that still run are cancelled."""
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
    """The events of an answer, in order: the route first, the metadata last.

    Iterate over it once. A stream that ends without its metadata raises `IncompleteError`: the answer is not whole.
    As a context manager, or when its task is cancelled, it cancels what still runs.
    """

    def __init__(self, call: grpc.aio.UnaryStreamCall[pb.ConverseRequest, pb.ConverseStreamResponse]) -> None:
        self._call = call
        self._events = aiter(call)
        self._is_whole = False

    def __aiter__(self) -> AsyncIterator[pb.ConverseStreamResponse]:
        return self

    async def __anext__(self) -> pb.ConverseStreamResponse:
        while True:
            try:
                event = await anext(self._events)
            except StopAsyncIteration:
                if self._is_whole:
                    raise
                raise IncompleteError from None
            except grpc.aio.AioRpcError as error:
                raise from_rpc(error) from error
            except asyncio.CancelledError:
                if self._call.cancelled() and not _is_being_cancelled():  # the call was cancelled, not its reader
                    raise SwitchboardError(grpc.StatusCode.CANCELLED, "cancelled by the caller") from None
                self._call.cancel()
                raise
            kind = event.WhichOneof("event")
            self._is_whole = self._is_whole or kind == "metadata"
            if kind is not None:  # an event newer than this contract
                return event

    def text(self) -> TextStream:
        """Only the words, piece by piece; see `switchboard_client.EventStream.text`."""
        return TextStream(self)

    async def collect_message(self) -> Collected:
        """Reads to the end and puts the pieces together."""
        collector = Collector()
        async for event in self:
            collector.push(event)
        return collector.finish()

    def cancel(self) -> None:
        """Ends the call, at Bedrock too."""
        self._call.cancel()

    async def __aenter__(self) -> EventStream:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cancel()


class TextStream:
    """The words of an answer, piece by piece."""

    def __init__(self, events: EventStream) -> None:
        self._events = events
        self._words = Words()

    def __aiter__(self) -> AsyncIterator[str]:
        return self

    async def __anext__(self) -> str:
        while True:
            words = self._words.of(await anext(self._events))
            if words:
                return words

    def cancel(self) -> None:
        """Ends the call, at Bedrock too."""
        self._events.cancel()


def _is_being_cancelled() -> bool:
    """Python 3.10 cannot tell; there, whoever cancels a stream that another task reads ends that task too."""
    current = asyncio.current_task()
    cancelling = getattr(current, "cancelling", None)
    return cancelling is None or cancelling() > 0
