"""The replacement for boto3."""

import base64
import io
import json
import os
import pathlib
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import boto3
import botocore.config
import botocore.exceptions
import botocore.loaders
import botocore.model
import pytest
from conftest import HAIKU, Stage

import switchboard_client.boto3
from switchboard_client import pb
from switchboard_client.boto3 import Client, ParamValidationError
from switchboard_client.boto3.answers import write
from switchboard_client.boto3.requests import read

Json = dict[str, Any]

MODEL = botocore.model.ServiceModel(
    botocore.loaders.Loader().load_service_model("bedrock-runtime", "service-2"), "bedrock-runtime"
)


@pytest.fixture
def client(stage: Stage) -> Iterator[Client]:
    client = switchboard_client.boto3.client(stage.address, task="summarization")
    yield client
    client.close()


@pytest.fixture(scope="session")
def bedrock(running: Stage) -> Any:
    """boto3 with the same simulator."""
    return boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=f"http://{running.simulator.address}",
        aws_access_key_id="simulated",
        aws_secret_access_key="simulated",
        config=botocore.config.Config(retries={"total_max_attempts": 1}),
    )


def ask(text: str, **more: Any) -> Json:
    return {"modelId": HAIKU, "messages": [{"role": "user", "content": [{"text": text}]}], **more}


TOOLS = {
    "tools": [
        {
            "toolSpec": {
                "name": "look_up",
                "inputSchema": {"json": {"type": "object", "properties": {"account": {"const": 2**53 + 1}}}},
            }
        }
    ],
    "toolChoice": {"any": {}},
}


# === recordings ===


def recorded(name: str) -> list[Json]:
    sample = pathlib.Path(__file__).parents[3] / "tests" / "recordings"
    folder = pathlib.Path(os.environ.get("SWITCHBOARD_RECORDINGS") or sample)
    exchanges = [json.loads(line) for line in (folder / "public" / name).read_text().splitlines()]
    assert exchanges, f"{folder} has no exchanges in {name}"
    return exchanges


def keywords(operation: str, body: Json) -> Json:
    """Return the recorded body as keyword arguments.

    Base64 becomes bytes. Unknown members and empty lists, which protobuf treats as absent, are omitted.
    """
    shape = MODEL.operation_model(operation).input_shape
    full = {name: value for name, value in body.items() if value != []}
    arguments: Json = typed(shape, full)
    return {**arguments, "modelId": HAIKU}


def typed(shape: Any, value: Any) -> Any:
    if getattr(shape, "is_document_type", False):
        return value
    if shape.type_name == "structure":
        members = ((name, item) for name, item in value.items() if name in shape.members)
        return {name: typed(shape.members[name], item) for name, item in members}
    if shape.type_name == "list":
        return [typed(shape.member, item) for item in value]
    if shape.type_name == "map":
        return {key: typed(shape.value, item) for key, item in value.items()}
    if shape.type_name == "blob":
        return base64.b64decode(value)
    return value


def outcome(call: Any, arguments: Json) -> tuple[str, Any]:
    try:
        return "answer", call(**arguments)
    except botocore.exceptions.ParamValidationError:
        return "invalid", None
    except botocore.exceptions.ClientError as error:
        return "error", error.response["Error"]["Code"]


@pytest.mark.parametrize(
    ("operation", "file"),
    [("Converse", "converse.jsonl"), ("ConverseStream", "converse_stream.jsonl")],
)
def test_answers_recorded_calls_like_boto3(
    client: Client, bedrock: Any, stage: Stage, operation: str, file: str
) -> None:
    """boto3 and the replacement send equal bodies to the simulator and return equal answers."""
    compared = 0
    exchanges = recorded(file)
    for exchange in exchanges:
        arguments = keywords(operation, exchange["request_json"])
        stage.reset()
        expected, answer = called(bedrock, operation, arguments), called(client, operation, arguments)
        if isinstance(answer, dict):
            check(operation, answer)
        if isinstance(expected, dict) and isinstance(answer, dict):
            sent = [call["body"] for call in stage.calls()]
            assert comparable(answer) == comparable(expected), exchange["id"]
            assert body(sent[-1]) == body(sent[0]), exchange["id"]
            compared += 1
        elif isinstance(expected, str) and isinstance(answer, str):
            assert answer == expected, exchange["id"]
        else:  # Switchboard removes what the model does not support, and rejects what it cannot serve
            assert "ValidationException" in (expected, answer), exchange["id"]
    assert compared >= 0.8 * len(exchanges)


def called(client: Any, operation: str, arguments: Json) -> Json | str:
    """Return the answer, or the code of the error."""
    try:
        if operation == "Converse":
            return dict(client.converse(**arguments))
        return {"events": list(client.converse_stream(**arguments)["stream"])}
    except botocore.exceptions.ClientError as error:
        return str(error.response["Error"]["Code"])


def comparable(value: Any) -> Any:
    """Remove ids, times and cache usage, which differ between two calls."""
    varying = {"ResponseMetadata", "metrics", "toolUseId", "cacheDetails", "inputTokens"}
    if isinstance(value, dict):
        kept = {name: item for name, item in value.items() if name not in varying and "cache" not in name}
        return {name: comparable(item) for name, item in kept.items()}
    return [comparable(item) for item in value] if isinstance(value, list) else value


def body(sent: Json) -> Json:
    """Remove the two members that Switchboard adjusts to the model."""
    adjusted = ("inferenceConfig", "additionalModelRequestFields")
    return {name: value for name, value in sent.items() if name not in adjusted}


def check(operation: str, response: Json) -> None:
    """Check that botocore has every member, with the same type."""
    shape = MODEL.operation_model(operation).output_shape
    if operation == "Converse":
        conforms(shape, {name: value for name, value in response.items() if name != "ResponseMetadata"}, operation)
        return
    for event in response["events"]:
        conforms(shape.members["stream"], event, operation)


KINDS: dict[str, Any] = {
    "string": str,
    "integer": int,
    "long": int,
    "boolean": bool,
    "float": float,
    "double": float,
    "blob": bytes,
    "list": list,
    "map": dict,
    "structure": dict,
}


def conforms(shape: Any, value: Any, path: str) -> None:
    if getattr(shape, "is_document_type", False) or "SDK_UNKNOWN_MEMBER" in path:
        return
    assert isinstance(value, KINDS[shape.type_name]), f"{path}: {value!r} is not a {shape.type_name}"
    if shape.type_name == "structure":
        for name in shape.required_members:
            assert name in value, f"{path} lacks {name}"
        for name, item in value.items():
            if name != "SDK_UNKNOWN_MEMBER":
                assert name in shape.members, f"botocore does not have {path}.{name}"
                conforms(shape.members[name], item, f"{path}.{name}")
    elif shape.type_name == "list":
        for at, item in enumerate(value):
            conforms(shape.member, item, f"{path}[{at}]")
    elif shape.type_name == "map":
        for key, item in value.items():
            conforms(shape.value, item, f"{path}.{key}")


# === without recordings ===


def test_returns_boto3s_response(client: Client, stage: Stage) -> None:
    response = client.converse(**ask("Hello."))

    assert response["output"]["message"]["content"][0]["text"].startswith("[simulated")
    assert response["stopReason"] == "end_turn"
    assert set(response) == {"ResponseMetadata", "output", "stopReason", "usage", "metrics"}
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert response["ResponseMetadata"]["RequestId"] == stage.calls()[-1]["request_id"]
    assert response["ResponseMetadata"]["SwitchboardRoute"]["modelId"] == HAIKU


def test_maps_models_to_tasks(stage: Stage) -> None:
    tasks = {"anthropic.claude-3-opus-20240229-v1:0": "reasoning"}
    client = switchboard_client.boto3.client(stage.address, task="classification", tasks=tasks)

    def task(**arguments: Any) -> str:
        route = client.converse(**{**ask("Hello."), **arguments})["ResponseMetadata"]["SwitchboardRoute"]
        return str(route["taskType"])

    assert task(modelId="anthropic.claude-3-opus-20240229-v1:0") == "reasoning"
    assert task(modelId="another") == "classification"
    assert task(modelId="another", taskType="coding") == "coding"
    client.close()


def test_tool_arguments_are_dictionaries_with_exact_integers(client: Client, stage: Stage) -> None:
    question = ask("Look the account up.", toolConfig=TOOLS)

    use = client.converse(**question)["output"]["message"]["content"][0]["toolUse"]

    assert use["input"] == {"account": 2**53 + 1}
    answer = {"toolUseId": use["toolUseId"], "content": [{"json": {"balance": Decimal("12.50"), "owner": None}}]}
    messages = [
        *question["messages"],
        {"role": "assistant", "content": [{"toolUse": use}]},
        {"role": "user", "content": [{"toolResult": answer}]},
    ]
    assert client.converse(messages=messages, toolConfig=TOOLS)["stopReason"] == "tool_use"
    sent = stage.calls()[-1]["body"]["messages"]
    assert sent[1]["content"][0]["toolUse"]["input"] == {"account": 2**53 + 1}
    assert sent[2]["content"][0]["toolResult"]["content"] == [{"json": {"balance": 12.5, "owner": None}}]


def test_streams_dictionaries(client: Client) -> None:
    response = client.converse_stream(**ask("Hello."))

    events = list(response["stream"])

    assert events[0] == {"messageStart": {"role": "assistant"}}
    assert {next(iter(event)) for event in events[1:]} == {
        "contentBlockDelta",
        "contentBlockStop",
        "messageStop",
        "metadata",
    }
    assert events[1]["contentBlockDelta"]["contentBlockIndex"] == 0
    assert events[-2] == {"messageStop": {"stopReason": "end_turn"}}
    assert set(events[-1]["metadata"]) == {"usage", "metrics"}


def test_closing_a_stream_cancels_the_call(client: Client, stage: Stage) -> None:
    stage.inject("*", kind="stall", after_events=4)
    stream = client.converse_stream(**ask("What is a monad?"))["stream"]
    next(iter(stream))

    stream.close()

    stage.wait_until_cancelled()


@pytest.mark.parametrize(
    ("fault", "code", "status"),
    [
        ("AccessDeniedException", "AccessDeniedException", 403),
        ("ServiceQuotaExceededException", "ServiceQuotaExceededException", 400),
        ("ValidationException", "ValidationException", 400),
        ("ModelErrorException", "ModelErrorException", 424),
        ("ModelTimeoutException", "ModelTimeoutException", 408),
        ("ServiceUnavailableException", "ServiceUnavailableException", 503),
    ],
)
def test_errors_have_bedrocks_names(client: Client, stage: Stage, fault: str, code: str, status: int) -> None:
    stage.inject("*", kind="error", name=fault)

    with pytest.raises(botocore.exceptions.ClientError) as caught:
        client.converse(**ask("Hello.", taskType="failing"))

    assert caught.value.response["Error"]["Code"] == code
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert caught.value.operation_name == "Converse"
    assert isinstance(caught.value, getattr(client.exceptions, code))
    assert isinstance(caught.value.__cause__, switchboard_client.SwitchboardError)


def test_throttling_has_a_retry_after_header(client: Client, stage: Stage) -> None:
    stage.inject("*", kind="throttle")

    with pytest.raises(client.exceptions.ThrottlingException) as caught:
        client.converse_stream(**ask("Hello.", taskType="throttled"))

    assert int(caught.value.response["ResponseMetadata"]["HTTPHeaders"]["retry-after"]) >= 1
    assert "ThrottlingException" in str(caught.value)


def test_a_broken_stream_raises_while_it_is_read(client: Client, stage: Stage) -> None:
    stage.inject("*", kind="exception", after_events=4, name="modelStreamErrorException")
    stream = client.converse_stream(**ask("What is a monad?", taskType="breaking"))["stream"]

    with pytest.raises(switchboard_client.boto3.EventStreamError) as caught:
        list(stream)

    assert caught.value.response["Error"]["Code"] == "modelStreamErrorException"


def test_counts_tokens(client: Client) -> None:
    counted = client.count_tokens(modelId=HAIKU, input={"converse": {"messages": ask("How many?")["messages"]}})

    assert counted["inputTokens"] > 3


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        ({"messages": None}, "messages"),
        ({"messages": "hello"}, "messages"),
        ({"messages": [{"role": 1}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "contents": []}]}, "messages[0].contents"),
        ({"inferenceConfig": {"maxTokens": "many"}}, "inferenceConfig.maxTokens"),
        ({"inferenceConfig": {"maxTokens": 2**40}}, "inferenceConfig.maxTokens"),
        ({"additionalModelRequestFields": {"x": float("nan")}}, "additionalModelRequestFields.x"),
        ({"additionalModelRequestFields": {"x": {1, 2}}}, "additionalModelRequestFields.x"),
        ({"additionalModelRequestFields": {"x": Decimal("Infinity")}}, "additionalModelRequestFields.x"),
    ],
)
def test_names_an_invalid_argument(client: Client, arguments: Json, path: str) -> None:
    with pytest.raises(botocore.exceptions.ParamValidationError) as caught:
        client.converse(**arguments)

    assert isinstance(caught.value, ParamValidationError)
    assert path in str(caught.value)


def test_accepts_every_form_of_bytes() -> None:
    def sent(source: Any) -> bytes:
        image = {"image": {"format": "png", "source": {"bytes": source}}}
        message = read(pb.ConverseRequest, {"messages": [{"role": "user", "content": [image]}]})
        return message.messages[0].content[0].image.source.bytes

    raw = b"\x89PNG"
    assert [sent(source) for source in (raw, bytearray(raw), memoryview(raw), io.BytesIO(raw))] == [raw] * 4


def test_free_json_keeps_order_and_digits() -> None:
    free = {"zebra": Decimal("1.10"), "apple": [2**53 + 1, None, True, 0.5], "Ω": {"deep": Decimal("1E+400")}}
    message = read(pb.ConverseRequest, {"additionalModelRequestFields": free})

    text = '{"zebra": 1.10, "apple": [9007199254740993, null, true, 0.5], "Ω": {"deep": 1E+400}}'
    assert message.additional_model_request_fields_json == text
    assert read(pb.ConverseRequest, {"inferenceConfig": {"topP": Decimal("0.5")}}).inference_config.top_p == 0.5


def test_keeps_empty_members_of_unions() -> None:
    message = read(pb.ConverseRequest, {"toolConfig": {"tools": [], "toolChoice": {"auto": {}}}})

    assert message.tool_config.tool_choice.WhichOneof("choice") == "auto"


def test_passes_through_unknown_kinds_of_content() -> None:
    message = read(pb.Message, {"role": "user", "content": [{"hologram": {"b": 1, "a": 2}}]})

    assert message.content[0].unknown_json == '{"hologram": {"b": 1, "a": 2}}'
    written = write(pb.Message(content=message.content), pb.Route())
    assert written["content"] == [{"SDK_UNKNOWN_MEMBER": {"name": "hologram"}}]


def test_unwraps_messages_that_stand_for_lists() -> None:
    found = pb.GuardrailAssessment(topic_policy=pb.GuardrailTopicPolicyAssessment())
    trace = pb.GuardrailTraceAssessment(
        output_assessments={"g": pb.GuardrailAssessments(assessments=[found])}, input_assessment={"g": found}
    )
    response = write(pb.ConverseResponse(trace=pb.ConverseTrace(guardrail=trace)), pb.Route())

    shape = MODEL.shape_for("GuardrailTraceAssessment")
    assert isinstance(response["trace"]["guardrail"]["outputAssessments"]["g"], list)
    assert set(response["trace"]["guardrail"]) <= set(shape.members)
