"""Python driver of the conformance suite (`tests/conformance`).

Reads a call per line from standard input and writes its result as a line to standard output. `--mode layer`
uses `switchboard_client`; `--mode plain` uses only the generated stubs and grpcio. `--asyncio` uses asyncio.
"""

import argparse
import asyncio
import json
import sys
from typing import Any

import layer
import layer_aio
import plain
import plain_aio
from opentelemetry import context, propagate

Json = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--target", required=True)
    parser.add_argument("--mode", choices=["layer", "plain"], required=True)
    parser.add_argument("--asyncio", action="store_true")
    arguments = parser.parse_args()
    clients: dict[str, Any] = {"layer": layer.Client, "plain": plain.Client}
    if arguments.asyncio:
        clients = {"layer": layer_aio.Client, "plain": plain_aio.Client}
        asyncio.run(serve(clients[arguments.mode], arguments.target))
        return
    client = clients[arguments.mode](arguments.target)
    for line in sys.stdin:
        call = json.loads(line)
        token = context.attach(span_of(call))
        write(client.call(call))
        context.detach(token)


async def serve(client_of: Any, target: str) -> None:
    client = client_of(target)
    while line := await asyncio.to_thread(sys.stdin.readline):
        call = json.loads(line)
        token = context.attach(span_of(call))
        write(await client.call(call))
        context.detach(token)


def span_of(call: Json) -> context.Context:
    """Return the context of the caller's span. Without one, the empty context."""
    headers = {"traceparent": call["traceparent"]} if "traceparent" in call else {}
    return propagate.extract(headers, context.Context())


def write(reply: Json) -> None:
    members = {member: value for member, value in reply.items() if value is not None}
    sys.stdout.write(json.dumps(members) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
