"""Client for threads."""

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
from .text_filter import TextFilter

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
    """Prepare a connection. The first call opens it; a broken connection is reopened by the next call.

    address: `host:port` and `http://host:port` are plain HTTP/2, `https://host:port` is TLS.
    bearer_token: sent as `authorization: Bearer …` with every call, never printed.
    ca_certificate: PEM; only these certificates are trusted. Absent: gRPC's root certificates. Implies TLS.
    client_certificate: PEM of the certificate with its chain, and PEM of its key. Implies TLS.
    deadline: of each call, in seconds, up to the end of its stream. Switchboard and Bedrock stop work at the deadline
        too. Absent: the task's own deadline applies.
    keep_alive: interval of keep-alive pings during a call, in seconds.
    """
    options = Options(address, bearer_token, ca_certificate, client_certificate, deadline, keep_alive)
    target, arguments = options.target, options.channel_arguments
    if options.credentials is None:
        channel = grpc.insecure_channel(target, options=arguments)
    else:
        channel = grpc.secure_channel(target, options.credentials, options=arguments)
    return Switchboard(channel, options)


class Switchboard:
    """Connection to Switchboard. Threads can share it, and calls can run concurrently.

    A failed call raises `SwitchboardError`.
    """

    def __init__(self, channel: grpc.Channel, options: Options) -> None:
        self._channel = channel
        self._options = options
        self._calls = ConverseServiceStub(channel)
        self._routes = RoutingServiceStub(channel)
        self._feedback = FeedbackServiceStub(channel)

    def with_deadline(self, deadline: float) -> Switchboard:
        """Return a client with the same connection and another deadline for each call, in seconds."""
        return Switchboard(self._channel, dataclasses.replace(self._options, deadline=deadline))

    def text(self, task: str, prompt: str) -> str:
        """Send one prompt and return the text of the answer. `converse` also returns the stop reason."""
        return Collected.of(self.converse(ask(task, prompt))).text

    def converse(self, request: pb.ConverseRequest) -> pb.ConverseResponse:
        """Generate an answer and return it when it is complete."""
        return self.converse_pending(request).result()

    def converse_pending(self, request: pb.ConverseRequest) -> Pending[pb.ConverseResponse]:
        """Start `converse` without waiting for the answer, so that another thread can cancel it."""
        return self._send(self._calls.Converse, request)

    def stream(self, request: pb.ConverseRequest) -> EventStream:
        """Generate an answer and stream it. Leaving the stream early cancels the call, also at Bedrock."""
        options = self._options
        call = self._calls.ConverseStream(request, timeout=options.deadline, metadata=options.metadata())
        return EventStream(call)

    def count_tokens(self, request: pb.CountTokensRequest) -> pb.CountTokensResponse:
        """Count the input tokens of a request, free of charge."""
        return self._send(self._calls.CountTokens, request).result()

    def tasks(self) -> pb.ListTasksResponse:
        """List every task of the configuration and the models that serve it."""
        return self._send(self._routes.ListTasks, pb.ListTasksRequest()).result()

    def explain(self, task: str = "", request: pb.ConverseRequest | None = None) -> pb.ExplainRouteResponse:
        """Describe what a call for this task, or this request, would do now. Calls no model."""
        explain = pb.ExplainRouteRequest(task_type=task, request=request)
        return self._send(self._routes.ExplainRoute, explain).result()

    def record_feedback(self, feedback: pb.RecordFeedbackRequest) -> pb.RecordFeedbackResponse:
        """Record feedback on the answer with the request id of its route.

        A later judgement by the same judge for the same criterion replaces the earlier one.
        """
        return self._send(self._feedback.RecordFeedback, feedback).result()

    def close(self) -> None:
        """Close the connection and cancel running calls."""
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
    """A running call."""

    def __init__(self, call: grpc.Future[R]) -> None:
        self._call = call

    def result(self) -> R:
        """Wait for the answer. An exception during the wait, such as Ctrl-C, cancels the call."""
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
        """Cancel the call, also at Bedrock. `result` then raises an error with the code CANCELLED."""
        self._call.cancel()


class StreamCall(Protocol):
    """Streaming call of grpcio."""

    def __next__(self) -> pb.ConverseStreamResponse: ...

    def cancel(self) -> object: ...


class EventStream:
    """Events of a streamed answer, in order: the route is the first, the metadata the last.

    Iterate over it once. A stream that ends without metadata raises `IncompleteError`: the answer is
    incomplete. The call is cancelled when the context manager ends or the object is no longer used.
    """

    def __init__(self, call: StreamCall) -> None:
        self._call = call
        self._is_complete = False

    def __iter__(self) -> Iterator[pb.ConverseStreamResponse]:
        return self

    def __next__(self) -> pb.ConverseStreamResponse:
        while True:
            try:
                event = next(self._call)
            except StopIteration:
                if self._is_complete:
                    raise
                raise IncompleteError from None
            except grpc.RpcError as error:
                raise from_rpc(error) from error
            kind = event.WhichOneof("event")
            self._is_complete = self._is_complete or kind == "metadata"
            if kind is not None:  # otherwise it is newer than this contract
                return event

    def text(self) -> TextStream:
        """Return only the text.

        If another model starts over after text was returned, the iteration raises `RestartedError`, because
        the text cannot be taken back: for tasks that allow restarts, read the events.
        """
        return TextStream(self)

    def collect_message(self) -> Collected:
        """Read to the end and assemble the complete answer."""
        collector = Collector()
        for event in self:
            collector.push(event)
        return collector.finish()

    def cancel(self) -> None:
        """Cancel the call, also at Bedrock."""
        self._call.cancel()

    def __enter__(self) -> EventStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cancel()


class TextStream:
    """Text of a streamed answer; see `EventStream.text`."""

    def __init__(self, events: EventStream) -> None:
        self._events = events
        self._filter = TextFilter()

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        while True:
            text = self._filter.text_of(next(self._events))
            if text:
                return text

    def cancel(self) -> None:
        """Cancel the call, also at Bedrock."""
        self._events.cancel()
