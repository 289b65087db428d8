"""The Python driver of the conformance suite (`tests/conformance`).

A call per line on standard input, what the caller saw of it per line on standard output. `--mode layer` uses
`switchboard_client`, `--mode plain` only the generated stubs and grpcio; `--asyncio` does either with asyncio.
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
        say(client.call(json.loads(line)))


async def serve(client_of: Any, target: str) -> None:
    client = client_of(target)
    while line := await asyncio.to_thread(sys.stdin.readline):
        say(await client.call(json.loads(line)))


def say(reply: Json) -> None:
    said = {member: value for member, value in reply.items() if value is not None}
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
