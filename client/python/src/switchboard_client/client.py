"""The calls, for threads."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from types import TracebackType
from typing import Generic, Protocol, TypeVar

import grpc
from switchboard.v1.converse_pb2_grpc import ConverseServiceStub
from switchboard.v1.feedback_pb2_grpc import FeedbackServiceStub
from switchboard.v1.routing_pb2_grpc import RoutingServiceStub

from . import pb
from .collect import Collected, Collector
from .errors import IncompleteError, SwitchboardError, from_rpc
from .options import DEFAULT_ADDRESS, KEEP_ALIVE, Options
from .request import ask
from .words import Words

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
    """Prepares a connection; the first call opens it, and it opens itself again when it breaks.

    address: `host:port` and `http://host:port` are plain HTTP/2, `https://host:port` is TLS.
    bearer_token: sent as `authorization: Bearer …` with every call, never printed.
    ca_certificate: PEM; these are trusted and no others. Absent: gRPC's own roots. Implies TLS.
    client_certificate: PEM of the certificate with its chain, and of its key. Implies TLS.
    deadline: how long each call may take, in seconds, to the end of its stream; Switchboard and Bedrock stop then too.
        Without one the task's own deadline holds.
    keep_alive: how often a quiet connection is probed during a call, in seconds.
    """
    options = Options(address, bearer_token, ca_certificate, client_certificate, deadline, keep_alive)
    target, arguments = options.target, options.channel_arguments
    if options.credentials is None:
        channel = grpc.insecure_channel(target, options=arguments)
    else:
        channel = grpc.secure_channel(target, options.credentials, options=arguments)
    return Switchboard(channel, options)


class Switchboard:
    """A connection to Switchboard. Threads may share it; calls run side by side.

    Every call raises `SwitchboardError` when it fails.
    """

    def __init__(self, channel: grpc.Channel, options: Options) -> None:
        self._channel = channel
        self._options = options
        self._calls = ConverseServiceStub(channel)
        self._routes = RoutingServiceStub(channel)
        self._feedback = FeedbackServiceStub(channel)

    def with_deadline(self, deadline: float) -> Switchboard:
        """The same connection with another deadline for each call, in seconds."""
        return Switchboard(self._channel, dataclasses.replace(self._options, deadline=deadline))

    def text(self, task: str, prompt: str) -> str:
        """Asks one question and returns the words of the answer. `converse` also says why they ended."""
        return Collected.of(self.converse(ask(task, prompt))).text

    def converse(self, request: pb.ConverseRequest) -> pb.ConverseResponse:
        """Asks for an answer, whole."""
        return self.converse_pending(request).result()

    def converse_pending(self, request: pb.ConverseRequest) -> Pending[pb.ConverseResponse]:
        """The same, not waited for: another thread may cancel it."""
        return self._send(self._calls.Converse, request)

    def stream(self, request: pb.ConverseRequest) -> EventStream:
        """Asks for an answer while it is generated. Leaving the stream early cancels the call, at Bedrock too."""
        options = self._options
        call = self._calls.ConverseStream(request, timeout=options.deadline, metadata=options.metadata())
        return EventStream(call)

    def count_tokens(self, request: pb.CountTokensRequest) -> pb.CountTokensResponse:
        """Counts the tokens of a request, free of charge."""
        return self._send(self._calls.CountTokens, request).result()

    def tasks(self) -> pb.ListTasksResponse:
        """Every task that the configuration names, and the models that serve it."""
        return self._send(self._routes.ListTasks, pb.ListTasksRequest()).result()

    def explain(self, task: str = "", request: pb.ConverseRequest | None = None) -> pb.ExplainRouteResponse:
        """What a call for this task, or this very request, would do now. Calls no model."""
        question = pb.ExplainRouteRequest(task_type=task, request=request)
        return self._send(self._routes.ExplainRoute, question).result()

    def record_feedback(self, feedback: pb.RecordFeedbackRequest) -> pb.RecordFeedbackResponse:
        """Says what became of an answer, which the request id of its route names.

        Said again by the same judge it takes the place of what was said before.
        """
        return self._send(self._feedback.RecordFeedback, feedback).result()

    def close(self) -> None:
        """Closes the connection; calls that still run are cancelled."""
        self._channel.close()

    def __enter__(self) -> Switchboard:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Switchboard({self._options!r})"

    def _send(self, call: grpc.UnaryUnaryMultiCallable[Q, R], request: Q) -> Pending[R]:
        options = self._options
        return Pending(call.future(request, timeout=options.deadline, metadata=options.metadata()))


class Pending(Generic[R]):
    """A call whose answer is not there yet."""

    def __init__(self, call: grpc.Future[R]) -> None:
        self._call = call

    def result(self) -> R:
        """Waits for the answer. A wait that is broken off, by Ctrl-C for example, cancels the call."""
        try:
            return self._call.result()
        except grpc.RpcError as error:
            raise from_rpc(error) from error
        except grpc.FutureCancelledError as error:
            raise SwitchboardError(grpc.StatusCode.CANCELLED, "cancelled by the caller") from error
        except BaseException:
            self._call.cancel()
            raise

    def cancel(self) -> None:
        """Ends the call, at Bedrock too; whoever waits for it gets an error with the code CANCELLED."""
        self._call.cancel()


class StreamCall(Protocol):
    """A call as grpcio hands it out."""

    def __next__(self) -> pb.ConverseStreamResponse: ...

    def cancel(self) -> object: ...


class EventStream:
    """The events of an answer, in order: the route first, the metadata last.

    Iterate over it once. A stream that ends without its metadata raises `IncompleteError`: the answer is not whole.
    As a context manager, or when it is no longer used, it cancels what still runs.
    """

    def __init__(self, call: StreamCall) -> None:
        self._call = call
        self._is_whole = False

    def __iter__(self) -> Iterator[pb.ConverseStreamResponse]:
        return self

    def __next__(self) -> pb.ConverseStreamResponse:
        while True:
            try:
                event = next(self._call)
            except StopIteration:
                if self._is_whole:
                    raise
                raise IncompleteError from None
            except grpc.RpcError as error:
                raise from_rpc(error) from error
            kind = event.WhichOneof("event")
            self._is_whole = self._is_whole or kind == "metadata"
            if kind is not None:  # an event newer than this contract
                return event

    def text(self) -> TextStream:
        """Only the words, piece by piece.

        Where another model starts over after some were given out, the text ends with `RestartedError`, since words
        cannot be taken back: read events for such tasks.
        """
        return TextStream(self)

    def collect_message(self) -> Collected:
        """Reads to the end and puts the pieces together."""
        collector = Collector()
        for event in self:
            collector.push(event)
        return collector.finish()

    def cancel(self) -> None:
        """Ends the call, at Bedrock too."""
        self._call.cancel()

    def __enter__(self) -> EventStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cancel()


class TextStream:
    """The words of an answer, piece by piece; see `EventStream.text`."""

    def __init__(self, events: EventStream) -> None:
        self._events = events
        self._words = Words()

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        while True:
            words = self._words.of(next(self._events))
            if words:
                return words

    def cancel(self) -> None:
        """Ends the call, at Bedrock too."""
        self._events.cancel()
