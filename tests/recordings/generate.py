#!/usr/bin/env python3
"""Writes the files of this sample, byte by byte the same each time.

    generate.py           writes them beside this script
    generate.py FOLDER    writes them into FOLDER

The frames of event streams are encoded here, with their checksums, and not by a library: tests hold them against the
encoder of the AWS SDK and against Switchboard's decoder.
"""

import base64
import json
import pathlib
import struct
import sys
import uuid
import zlib

sys.dont_write_bytecode = True  # nothing else is written beside the sample

from exchanges import CONVERSE, CONVERSE_STREAM, ERRORS, OTHER_OPERATIONS, OUTSIDE_THE_MODEL, STREAMS_ALONE
from service_model import service_model

STREAM = "application/vnd.amazon.eventstream"

# Bedrock pads the payload of an event with this member, so that its length does not tell the length of the text.
PADDING = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


# === frames ===


def frame(headers, payload, headers_length=None, length=None):
    """A frame of these encoded headers. The lengths can be set to wrong values; the checksums are right."""
    actual = 12 + len(headers) + len(payload) + 4
    lengths = (actual if length is None else length, len(headers) if headers_length is None else headers_length)
    prelude = struct.pack(">II", *lengths)
    before = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return before + struct.pack(">I", zlib.crc32(before))


def header(name, type, value):
    name = name.encode()
    return bytes([len(name)]) + name + bytes([type]) + value


def sized(value):
    value = value.encode() if isinstance(value, str) else value
    return struct.pack(">H", len(value)) + value


def event_frame(name, payload):
    message, kind = (
        ("exception", ":exception-type") if name.endswith("Exception") else ("event", ":event-type")
    )
    headers = [(":message-type", message), (kind, name), (":content-type", "application/json")]
    encoded = b"".join(header(key, 7, sized(value)) for key, value in headers)
    return frame(encoded, compact(payload).encode())


def padded(events):
    """The events with Bedrock's padding: of another length for each, and none for exceptions."""
    for position, (name, payload) in enumerate(events):
        is_exception = name.endswith("Exception")
        padding = PADDING[: 3 + position * 17 % 50]
        yield name, payload if is_exception else {**payload, "p": padding}


def stream(events):
    events = list(padded(events))
    key = lambda name: "exception_type" if name.endswith("Exception") else "event_type"
    return {
        "response_body_base64": base64.b64encode(b"".join(event_frame(*it) for it in events)).decode(),
        "decoded_events": [{key(name): name, "payload": payload} for name, payload in events],
    }


def vectors():
    """Frames that are no events of Bedrock's, by the path of their file: valid ones, and ones of each defect."""
    text = header("content-type", 7, sized("application/json"))
    payload = b'{"lamp": "lit"}'
    all_types = b"".join(
        [
            header("true", 0, b""),
            header("false", 1, b""),
            header("byte", 2, struct.pack(">b", -7)),
            header("short", 3, struct.pack(">h", -700)),
            header("int", 4, struct.pack(">i", 70_000)),
            header("long", 5, struct.pack(">q", 7 << 40)),
            header("bytes", 6, sized(b"\x00\xff")),
            header("text", 7, sized("\u00e9\U0001f980")),
            header("time", 8, struct.pack(">q", 1_700_000_000_000)),
            header("uuid", 9, uuid.UUID(int=7).bytes),
        ]
    )
    whole = frame(text, payload)

    def flipped(position):
        return whole[:position] + bytes([whole[position] ^ 0x10]) + whole[position + 1 :]

    return {
        "valid/empty": frame(b"", b""),
        "valid/payload_without_headers": frame(b"", payload),
        "valid/headers_without_payload": frame(text, b""),
        "valid/header_of_each_type": frame(all_types, payload),
        "valid/header_with_the_longest_name": frame(header("n" * 255, 7, sized("")), payload),
        "valid/event_type_that_is_no_text": frame(header(":event-type", 4, struct.pack(">i", 7)), payload),
        "malformed/length_changed": flipped(3),
        "malformed/headers_length_changed": flipped(7),
        "malformed/prelude_checksum_changed": flipped(11),
        "malformed/headers_changed": flipped(20),
        "malformed/payload_changed": flipped(len(whole) - 10),
        "malformed/checksum_changed": flipped(len(whole) - 1),
        "malformed/length_below_the_least": frame(b"", b"", length=15),
        "malformed/length_beyond_the_end": frame(text, payload, length=len(whole) + 1),
        "malformed/headers_length_beyond_the_frame": frame(text, payload, headers_length=1 << 20),
        "malformed/headers_length_cuts_a_header": frame(text, payload, headers_length=len(text) - 1),
        "malformed/header_name_beyond_the_headers": frame(b"\xc8ab\x07\x00\x01v", payload),
        "malformed/header_name_that_is_no_text": frame(b"\x02\xff\xfe\x07\x00\x01v", payload),
        "malformed/header_of_an_unknown_type": frame(header("name", 10, sized("value")), payload),
        "malformed/header_value_beyond_the_headers": frame(header("name", 7, b"\x00\x09v"), payload),
        "malformed/header_value_that_is_no_text": frame(header("name", 7, sized(b"\xff\xfe")), payload),
        "malformed/header_number_cut": frame(header("name", 5, b"\x00\x00\x00"), payload),
        "malformed/cut": whole[:-1],
    }


# === files ===


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def exchange(kind, name, operation, model, request, status, content_type, **more):
    id = f"sample.{kind}.{name}"
    headers = {"content-type": content_type, "x-amzn-requestid": str(uuid.uuid5(uuid.NAMESPACE_OID, id))}
    exchange = {"id": id, "operation": operation, "model_id": model, "request_json": request, "status": status}
    error_type = more.pop("error_type", None)
    if error_type:
        headers["x-amzn-errortype"] = error_type
    return {**exchange, "response_headers": headers, **more}


def converse():
    for name, model, request, response, features, *violations in [*CONVERSE, OUTSIDE_THE_MODEL]:
        more = {"response_json": response, "features": features}
        if violations:
            more["request_model_violations"] = violations[0]
        yield exchange("converse", name, "Converse", model, request, 200, "application/json", **more)


def converse_stream():
    for name, model, request, events, features in CONVERSE_STREAM:
        more = {**stream(events), "features": features}
        yield exchange("stream", name, "ConverseStream", model, request, 200, STREAM, **more)


def errors():
    for name, operation, model, request, status, error_type, message in ERRORS:
        more = {"error_type": error_type, "response_json": {"message": message}}
        yield exchange("error", name, operation, model, request, status, "application/json", **more)


def other_operations():
    for name, operation, model, request, response in OTHER_OPERATIONS:
        more = {"response_json": response, "features": []}
        yield exchange("other", name, operation, model, request, 200, "application/json", **more)


def streams_alone():
    for name, events in STREAMS_ALONE:
        more = stream(events)
        yield exchange("alone", name, "ConverseStream", None, None, 200, STREAM, **more)


def malformed_streams():
    for name, reason, body in [
        ("text", "server-sent events and no event stream", b'data: {"text": "hello"}\n\ndata: [DONE]\n\n'),
        ("json", "a whole answer and no event stream", compact({"output": {"message": {}}}).encode()),
        ("base64", "frames in base64", base64.b64encode(event_frame("messageStart", {"role": "assistant"}))),
    ]:
        yield {
            "id": f"sample.malformed.{name}",
            "operation": "ConverseStream",
            "reason": reason,
            "response_body_base64": base64.b64encode(body).decode(),
        }


def files():
    yield from {
        "public/converse.jsonl": lines(converse()),
        "public/converse_stream.jsonl": lines(converse_stream()),
        "public/errors.jsonl": lines(errors()),
        "public/other_ops.jsonl": lines(other_operations()),
        "stream_response_only.jsonl": lines(streams_alone()),
        "malformed_streams.jsonl": lines(malformed_streams()),
    }.items()
    expected = {}
    for path, content in vectors().items():
        expected[path] = {"bytes": len(content), "expect": "decodes" if path.startswith("valid") else "error"}
        yield f"eventstream_vectors/{path}", content
    yield "eventstream_vectors/expected.json", (json.dumps(expected, indent=1) + "\n").encode()
    model = service_model()
    shapes = ",\n".join(f"{compact(name)}:{compact(shape)}" for name, shape in model["shapes"].items())
    model = f'{{"_source":{compact(model["_source"])},\n"shapes":{{\n{shapes}\n}}}}\n'
    yield "bedrock-runtime-converse.model.json", model.encode()


def lines(exchanges):
    return "".join(f"{compact(it)}\n" for it in exchanges).encode()


def main(folder):
    for name, content in files():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
