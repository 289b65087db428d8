"""The client for threads and for asyncio."""

import asyncio
import concurrent.futures
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
import trustme
from conftest import HAIKU, OPUS, Stage
from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2
from opentelemetry.sdk.trace import TracerProvider
from switchboard.v1 import converse_pb2_grpc

import switchboard_client
from switchboard_client import (
    Collected,
    Collector,
    DeadlineExceededError,
    IncompleteError,
    RestartedError,
    Switchboard,
    SwitchboardError,
    aio,
    ask,
    pb,
    reason,
    task,
)

# === calls ===


def test_text_returns_the_text_of_the_answer(switchboard: Switchboard) -> None:
    assert switchboard.text(task.SUMMARIZATION, "Hello.").startswith(f"[simulated {HAIKU}]")


def test_a_collected_stream_equals_the_complete_answer(switchboard: Switchboard) -> None:
    complete = Collected.of(switchboard.converse(ask(task.CODING, "Reverse a list.")))
    collected = switchboard.stream(ask(task.CODING, "Reverse a list.")).collect_message()

    assert (collected.message, collected.stop_reason) == (complete.message, complete.stop_reason)
    assert collected.usage == complete.usage
    assert collected.route is not None
    assert collected.route.model_id == OPUS


def test_text_streams_in_parts(switchboard: Switchboard) -> None:
    parts = list(switchboard.stream(ask(task.CODING, "Reverse a list.")).text())

    assert len(parts) > 1
    assert "".join(parts) == switchboard.text(task.CODING, "Reverse a list.")


def test_lists_tasks_explains_routes_and_counts_tokens(switchboard: Switchboard) -> None:
    assert task.REASONING in [known.task_type for known in switchboard.tasks().tasks]
    assert switchboard.explain(task.SUMMARIZATION).candidates[0].model_id == HAIKU
    assert switchboard.explain(request=ask(task.CODING, "Hi.")).task_type == task.CODING
    conversation = pb.ConverseTokensRequest(messages=[switchboard_client.user("How many?")])
    count = pb.CountTokensRequest(task_type=task.CODING, input=pb.CountTokensInput(converse=conversation))
    assert switchboard.count_tokens(count).input_tokens > 3


def test_threads_can_share_a_connection(switchboard: Switchboard) -> None:
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda at: switchboard.text(task.CODING, f"Number {at}."), range(32)))

    assert len(answers) == 32


# === errors ===


def test_an_error_has_reason_delay_route_and_request_id(switchboard: Switchboard, stage: Stage) -> None:
    stage.inject("*", kind="throttle")

    with pytest.raises(SwitchboardError) as caught:
        switchboard.text("throttled", "Hello.")

    error = caught.value
    assert (error.code, error.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, reason.BEDROCK_THROTTLED)
    assert error.retry_after is not None
    assert error.retry_after > 0
    assert error.route is not None
    assert [attempt.reason for attempt in error.route.attempts] == [pb.ERROR_REASON_BEDROCK_THROTTLED] * 2
    assert error.request_id == error.route.request_id
    assert str(error).endswith("(BEDROCK_THROTTLED)")


def test_an_error_names_invalid_fields(switchboard: Switchboard) -> None:
    with pytest.raises(SwitchboardError) as caught:
        switchboard.converse(pb.ConverseRequest(messages=[pb.Message(role="robot")]))

    assert [violation.field for violation in caught.value.field_violations] == [
        "messages[0].role",
        "messages[0].content",
    ]
    assert "robot" in caught.value.field_violations[0].problem


def test_a_deadline_is_a_timeout_error(switchboard: Switchboard, stage: Stage) -> None:
    stage.inject("*", kind="hang")
    client = switchboard.with_deadline(0.3)

    with pytest.raises(TimeoutError) as caught:
        client.text("silent", "Hello.")

    assert isinstance(caught.value, DeadlineExceededError)
    stage.wait_until_cancelled()


def test_a_refused_connection_fails_within_seconds() -> None:
    with switchboard_client.connect("127.0.0.1:1") as switchboard:
        start = time.monotonic()
        with pytest.raises(SwitchboardError) as caught:
            switchboard.text(task.CODING, "Hello.")

    assert caught.value.code is grpc.StatusCode.UNAVAILABLE
    assert time.monotonic() - start < 10


# === cancellation ===


def test_leaving_a_stream_cancels_the_call(switchboard: Switchboard, stage: Stage) -> None:
    stage.inject("*", kind="stall", after_events=4)
    with switchboard.stream(ask("silent", "What is a monad?")) as stream:
        next(iter(stream))

    stage.wait_until_cancelled()


def test_a_discarded_stream_cancels_the_call(switchboard: Switchboard, stage: Stage) -> None:
    stage.inject("*", kind="stall", after_events=4)
    next(iter(switchboard.stream(ask("silent", "What is a monad?"))))

    stage.wait_until_cancelled()


def test_another_thread_can_cancel_a_call(switchboard: Switchboard, stage: Stage) -> None:
    stage.inject("*", kind="hang")
    pending = switchboard.converse_pending(ask("silent", "Hello."))
    threading.Timer(0.2, pending.cancel).start()

    with pytest.raises(SwitchboardError) as caught:
        pending.result()

    assert caught.value.code is grpc.StatusCode.CANCELLED


# === asyncio ===


def test_asyncio_has_the_same_calls(stage: Stage) -> None:
    async def scenario() -> None:
        async with aio.connect(stage.address) as switchboard:
            text = await switchboard.text(task.CODING, "Reverse a list.")
            parts = [part async for part in switchboard.stream(ask(task.CODING, "Reverse a list.")).text()]
            assert "".join(parts) == text
            answer = await switchboard.stream(ask(task.CODING, "Reverse a list.")).collect_message()
            assert answer.text == text
            assert len((await switchboard.tasks()).tasks) > 5
            assert (await switchboard.explain(task.CODING)).task_type == task.CODING

    asyncio.run(scenario())


def test_cancelling_a_task_cancels_the_call(stage: Stage) -> None:
    stage.inject("*", kind="stall", after_events=4)

    async def scenario() -> None:
        async with aio.connect(stage.address) as switchboard:
            begun = asyncio.Event()

            async def read() -> None:
                async for _ in switchboard.stream(ask("silent", "What is a monad?")):
                    begun.set()

            reader = asyncio.create_task(read())
            await begun.wait()
            reader.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reader
            await asyncio.to_thread(stage.wait_until_cancelled)

    asyncio.run(scenario())


def test_a_stream_cancelled_by_another_task_ends_with_an_error(stage: Stage) -> None:
    stage.inject("*", kind="stall", after_events=4)

    async def scenario() -> None:
        async with aio.connect(stage.address) as switchboard:
            stream = switchboard.stream(ask("silent", "What is a monad?"))
            asyncio.get_running_loop().call_later(0.2, stream.cancel)
            with pytest.raises(SwitchboardError) as caught:
                await stream.collect_message()
            assert caught.value.code is grpc.StatusCode.CANCELLED

    if sys.version_info >= (3, 11):
        asyncio.run(scenario())


# === fake server ===


class Fake(converse_pb2_grpc.ConverseServiceServicer):
    """Server that returns prepared answers and records the metadata of calls."""

    def __init__(self) -> None:
        self.events: list[pb.ConverseStreamResponse] = []
        self.failures: list[tuple[grpc.StatusCode, str, bytes]] = []
        self.received: list[dict[str, Any]] = []

    def Converse(self, request: pb.ConverseRequest, context: Any) -> pb.ConverseResponse:
        self.received.append(dict(context.invocation_metadata()))
        if self.failures:
            code, message, details = self.failures.pop(0)
            if details:
                context.set_trailing_metadata((("grpc-status-details-bin", details),))
            context.abort(code, message)
        return pb.ConverseResponse()

    def ConverseStream(self, request: pb.ConverseRequest, context: Any) -> Iterator[pb.ConverseStreamResponse]:
        yield from self.events

    def CountTokens(self, request: pb.CountTokensRequest, context: Any) -> pb.CountTokensResponse:
        raise NotImplementedError


@pytest.fixture
def fake() -> Iterator[tuple[Fake, Switchboard]]:
    servicer = Fake()
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
    converse_pb2_grpc.add_ConverseServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with switchboard_client.connect(f"http://127.0.0.1:{port}", bearer_token="s3cret") as switchboard:
        yield servicer, switchboard
    server.stop(None)


def text(part: str) -> pb.ConverseStreamResponse:
    delta = pb.ContentBlockDelta(text=part)
    return pb.ConverseStreamResponse(content_block_delta=pb.ContentBlockDeltaEvent(delta=delta))


RESTART = pb.ConverseStreamResponse(restart=pb.RestartEvent(reason=pb.ERROR_REASON_MODEL_ERROR))
METADATA = pb.ConverseStreamResponse(metadata=pb.ConverseStreamMetadataEvent())


def test_a_stream_without_metadata_is_incomplete(fake: tuple[Fake, Switchboard]) -> None:
    server, switchboard = fake
    server.events = [text("Half an")]

    stream = switchboard.stream(ask("", "Hi."))

    assert next(stream) == text("Half an")
    with pytest.raises(IncompleteError):
        next(stream)


def test_a_restart_fails_text_but_not_events(fake: tuple[Fake, Switchboard]) -> None:
    server, switchboard = fake
    server.events = [text("Old"), RESTART, text("New"), METADATA]

    with pytest.raises(RestartedError) as caught:
        list(switchboard.stream(ask("", "Hi.")).text())

    assert caught.value.reason == reason.MODEL_ERROR
    assert switchboard.stream(ask("", "Hi.")).collect_message().text == "New"


def test_skips_events_newer_than_the_contract(fake: tuple[Fake, Switchboard]) -> None:
    server, switchboard = fake
    newer = pb.ConverseStreamResponse.FromString(b"\xd2\x05\x03new")
    server.events = [text("a"), newer, text("b"), METADATA]

    assert "".join(switchboard.stream(ask("", "Hi.")).text()) == "ab"


def test_does_not_retry_an_unavailable_server(fake: tuple[Fake, Switchboard]) -> None:
    server, switchboard = fake
    server.failures = [(grpc.StatusCode.UNAVAILABLE, "overloaded", b"")]

    with pytest.raises(SwitchboardError) as caught:
        switchboard.converse(ask("", "Hi."))

    assert caught.value.code is grpc.StatusCode.UNAVAILABLE
    assert len(server.received) == 1


def test_every_reason_of_the_contract_has_a_constant() -> None:
    names = {name.removeprefix("ERROR_REASON_") for name in pb.ErrorReason.keys()}  # noqa: SIM118, not a dict
    constants = {name for name in vars(reason) if name.isupper()}

    assert constants == names - {"UNSPECIFIED", "COOLING_DOWN"}
    assert all(getattr(reason, name) == name for name in constants)


def test_ignores_unknown_and_invalid_error_details(
    fake: tuple[Fake, Switchboard],
) -> None:
    server, switchboard = fake
    details = [Packed(), Packed(type_url="type.googleapis.com/new.Thing", value=b"?"), Packed()]
    details[0].Pack(error_details_pb2.ErrorInfo(reason="MOON_IS_FULL", domain="switchboard"))
    details[2].Pack(error_details_pb2.RetryInfo(retry_delay=Duration(seconds=2, nanos=500_000_000)))
    status = status_pb2.Status(code=8, details=details)
    code = grpc.StatusCode.RESOURCE_EXHAUSTED
    server.failures = [(code, "howl", status.SerializeToString()), (code, "garbled", b"\xff\xff")]

    with pytest.raises(SwitchboardError) as caught:
        switchboard.converse(ask("", "Hi."))
    assert (caught.value.reason, caught.value.retry_after) == ("MOON_IS_FULL", 2.5)

    with pytest.raises(SwitchboardError) as caught:
        switchboard.converse(ask("", "Hi."))
    assert str(caught.value) == "garbled (RESOURCE_EXHAUSTED)"


def test_sends_the_token_and_the_trace_context(fake: tuple[Fake, Switchboard]) -> None:
    server, switchboard = fake
    tracer = TracerProvider().get_tracer("test")

    with tracer.start_as_current_span("outer") as span:
        switchboard.converse(ask("", "Hi."))

    received = server.received[0]
    assert received["authorization"] == "Bearer s3cret"
    assert format(span.get_span_context().trace_id, "032x") in received["traceparent"]
    assert received["user-agent"].startswith("switchboard-client-python/")
    assert "s3cret" not in repr(switchboard)


def test_sends_no_trace_context_without_opentelemetry() -> None:
    code = (
        "import sys; sys.modules['opentelemetry'] = None; from switchboard_client import trace; print(trace.context())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "{}"


# === connections ===


def test_tls_trusts_only_the_given_certificates() -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(2))
    converse_pb2_grpc.add_ConverseServiceServicer_to_server(Fake(), server)
    chain = b"".join(part.bytes() for part in certificate.cert_chain_pems)
    credentials = grpc.ssl_server_credentials([(certificate.private_key_pem.bytes(), chain)])
    port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    address, ca = f"https://localhost:{port}", authority.cert_pem.bytes()

    with switchboard_client.connect(address, ca_certificate=ca) as trusted:
        assert trusted.converse(ask("", "Hi.")) == pb.ConverseResponse()
    with switchboard_client.connect(address) as untrusted, pytest.raises(SwitchboardError):
        untrusted.with_deadline(5).converse(ask("", "Hi."))
    server.stop(None)


@pytest.mark.parametrize(
    "options",
    [
        {"address": "ftp://gateway:1"},
        {"address": "http://"},
        {"address": "http://gateway:1", "ca_certificate": b"pem"},
        {"bearer_token": "two\nlines"},
        {"bearer_token": ""},
        {"deadline": 0},
    ],
)
def test_refuses_invalid_options(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011, every message is different
        switchboard_client.connect(**options)


# === collecting ===


def test_keeps_events_without_a_block() -> None:
    collector = Collector()
    stray = pb.ConverseStreamResponse(
        content_block_delta=pb.ContentBlockDeltaEvent(
            delta=pb.ContentBlockDelta(tool_use=pb.ToolUseBlockDelta(input="{}")), content_block_index=5
        )
    )
    unknown = pb.ConverseStreamResponse(unknown=pb.UnknownEvent(event_type="new", json="{}"))
    for event in [stray, text("Hi."), unknown, METADATA]:
        collector.push(event)

    collected = collector.finish()

    assert collected.unplaced == [stray, unknown]
    assert collected.text == "Hi."


def test_collects_images_citations_and_tool_results() -> None:
    def start(at: int, **kind: Any) -> pb.ConverseStreamResponse:
        event = pb.ContentBlockStartEvent(start=pb.ContentBlockStart(**kind), content_block_index=at)
        return pb.ConverseStreamResponse(content_block_start=event)

    def delta(at: int, **kind: Any) -> pb.ConverseStreamResponse:
        event = pb.ContentBlockDeltaEvent(delta=pb.ContentBlockDelta(**kind), content_block_index=at)
        return pb.ConverseStreamResponse(content_block_delta=event)

    part = pb.ToolResultBlockDelta
    collector = Collector()
    for event in [
        start(0, image=pb.ImageBlockStart(format="png")),
        delta(0, image=pb.ImageBlockDelta(source=pb.ImageSource(bytes=b"ab"))),
        delta(0, image=pb.ImageBlockDelta(source=pb.ImageSource(bytes=b"cd"))),
        delta(1, text="So they say."),
        delta(1, citation=pb.CitationsDelta(title="They")),
        start(2, tool_result=pb.ToolResultBlockStart(tool_use_id="t", status="success")),
        delta(2, tool_result=pb.ToolResultDelta(blocks=[part(text="a")])),
        delta(2, tool_result=pb.ToolResultDelta(blocks=[part(text="b"), part(json_text="1")])),
        METADATA,
    ]:
        collector.push(event)

    image, cited, result = collector.finish().message.content

    assert (image.image.format, image.image.source.bytes) == ("png", b"abcd")
    assert cited.citations_content.content[0].text == "So they say."
    assert cited.citations_content.citations[0].title == "They"
    assert result.tool_result.status == "success"
    assert [part.WhichOneof("block") for part in result.tool_result.content] == ["text", "json_text"]
    assert result.tool_result.content[0].text == "ab"
