#!/usr/bin/env python3
"""Plays the recordings beside this file over HTTP, one after the other as it is told to. Standard library only.

    POST /model/{modelId}/{converse|converse-stream|count-tokens}    answers with the recording that is queued
    POST /_replay/next {"id": ID}    queues a recording for the next request
    POST /_replay/reset              forgets the queue and the log
    GET  /_replay/log                every request since the last reset: [{"path": ..., "body": ...}]

A request must be for the operation and the model of the queued recording, and its body must have no member that the
service model lacks; otherwise the answer is 400 and names the difference. Event streams are sent in chunks whose borders
fall inside frames.
"""

import argparse
import base64
import hashlib
import hmac
import itertools
import json
import pathlib
import sys
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FOLDER = pathlib.Path(__file__).parent
OPERATIONS = {"converse": "Converse", "converse-stream": "ConverseStream", "count-tokens": "CountTokens"}
CHUNK_SIZES = [1, 7, 11, 64, 200, 3]


def recordings():
    found = {}
    for file in sorted((FOLDER / "public").glob("*.jsonl")):
        for line in file.read_text().splitlines():
            exchange = json.loads(line)
            found[exchange["id"]] = exchange
    return found


class State:
    def __init__(self, arguments):
        self.arguments = arguments
        self.recordings = recordings()
        self.shapes = json.loads((FOLDER / "bedrock-runtime-converse.model.json").read_text())["shapes"]
        self.lock = threading.Lock()
        self.queue = []
        self.log = []


class Refused(Exception):
    """An answer in place of the recorded one: a status and a message."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: State

    def log_message(self, *_):
        pass

    def do_GET(self):
        if self.path == "/_replay/log":
            with self.state.lock:
                return self.answer(200, self.state.log)
        self.answer(404, {"message": f"there is no {self.path}"})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        try:
            if self.path.startswith("/_replay/"):
                return self.answer(200, self.control(body))
            self.play(self.recording_for(body))
        except Refused as refused:
            status, message = refused.args
            self.answer(status, {"message": message})

    def control(self, body):
        with self.state.lock:
            if self.path == "/_replay/reset":
                self.state.queue.clear()
                self.state.log.clear()
            elif self.path == "/_replay/next":
                id = json.loads(body)["id"]
                if id not in self.state.recordings:
                    raise Refused(404, f"there is no recording {id}")
                self.state.queue.append(self.state.recordings[id])
            else:
                raise Refused(404, f"there is no {self.path}")
        return {}

    def recording_for(self, body):
        _, kind, model, operation = urllib.parse.urlsplit(self.path).path.split("/", 3)
        if kind != "model" or operation not in OPERATIONS:
            raise Refused(404, f"there is no {self.path}")
        self.check_signature(body)
        try:
            request = json.loads(body)
        except ValueError as error:
            raise Refused(400, f"the body is no JSON: {error}") from error
        with self.state.lock:
            self.state.log.append({"path": self.path, "body": request})
            if not self.state.queue:
                raise Refused(400, "no recording is queued")
            recording = self.state.queue.pop(0)
        found = (OPERATIONS[operation], urllib.parse.unquote(model))
        wanted = (recording["operation"], recording["model_id"])
        if found != wanted:
            raise Refused(400, f"{recording['id']} is for {wanted}, this is for {found}")
        if not self.state.arguments.allow_unknown:
            unknown = list(self.unknown_members(f"{found[0]}Request", request))
            if unknown:
                raise Refused(400, f"unknown members: {unknown}")
        return recording

    # === checks ===

    def unknown_members(self, name, value, path=""):
        shape = self.state.shapes[name]
        if shape.get("document"):
            return
        if shape["type"] == "structure" and isinstance(value, dict):
            for member, inner in value.items():
                if member in shape["members"]:
                    yield from self.unknown_members(
                        shape["members"][member]["shape"], inner, f"{path}.{member}"
                    )
                else:
                    yield f"{path}.{member}"
        elif shape["type"] == "list" and isinstance(value, list):
            for position, inner in enumerate(value):
                yield from self.unknown_members(shape["member"]["shape"], inner, f"{path}[{position}]")
        elif shape["type"] == "map" and isinstance(value, dict):
            for key, inner in value.items():
                yield from self.unknown_members(shape["value"]["shape"], inner, f"{path}.{key}")

    def check_signature(self, body):
        """Signs the request once more, with Signature Version 4, and compares."""
        access_key, _, secret = self.state.arguments.verify_sigv4.partition(":")
        if not access_key:
            return
        algorithm, _, rest = self.headers.get("authorization", "").partition(" ")
        parts = dict(part.strip().partition("=")[::2] for part in rest.split(","))
        if algorithm != "AWS4-HMAC-SHA256" or set(parts) != {"Credential", "SignedHeaders", "Signature"}:
            raise Refused(403, "the request is not signed")
        key_id, date, region, service, terminator = parts["Credential"].split("/")
        signed = parts["SignedHeaders"].split(";")
        if (key_id, service, terminator) != (access_key, "bedrock", "aws4_request"):
            raise Refused(403, f"signed for {parts['Credential']}")
        if not {"host", "x-amz-date"} <= set(signed):
            raise Refused(403, f"these headers alone are signed: {signed}")
        # The path on the wire is encoded once, and encoded again for the signature.
        path = urllib.parse.quote(urllib.parse.urlsplit(self.path).path, safe="/-_.~")
        lines = [f"{name}:{' '.join(self.headers.get(name, '').split())}\n" for name in signed]
        digest = hashlib.sha256(body).hexdigest()
        canonical = f"POST\n{path}\n\n{''.join(lines)}\n{';'.join(signed)}\n{digest}"
        scope = f"{date}/{region}/{service}/{terminator}"
        hashed = hashlib.sha256(canonical.encode()).hexdigest()
        text = f"{algorithm}\n{self.headers['x-amz-date']}\n{scope}\n{hashed}"
        key = f"AWS4{secret}".encode()
        for part in (date, region, service, terminator):
            key = hmac.digest(key, part.encode(), "sha256")
        expected = hmac.digest(key, text.encode(), "sha256").hex()
        if not hmac.compare_digest(expected, parts["Signature"]):
            raise Refused(403, f"the signature does not match; what was signed here:\n{canonical}")

    # === answers ===

    def answer(self, status, value):
        self.send(status, {"content-type": "application/json"}, json.dumps(value).encode())

    def play(self, recording):
        headers = recording["response_headers"]
        if "response_body_base64" in recording:
            stream = base64.b64decode(recording["response_body_base64"])
            return self.send_in_chunks(recording["status"], headers, stream)
        self.send(recording["status"], headers, json.dumps(recording["response_json"]).encode())

    def begin(self, status, headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)

    def send(self, status, headers, body):
        self.begin(status, headers)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def send_in_chunks(self, status, headers, body):
        self.begin(status, headers)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        sizes = itertools.cycle(CHUNK_SIZES)
        while body:
            size = next(sizes)
            chunk, body = body[:size], body[size:]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A client may close its connection at any time; every other error is printed."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0, help="the port of 127.0.0.1 to listen on; 0: any")
    parser.add_argument(
        "--verify-sigv4", default="", metavar="ACCESS_KEY:SECRET", help="refuse requests not signed with it"
    )
    parser.add_argument("--allow-unknown", action="store_true", help="accept members that the model lacks")
    Handler.state = State(parser.parse_args())
    server = Server(("127.0.0.1", Handler.state.arguments.port), Handler)
    print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    sys.exit(main())
