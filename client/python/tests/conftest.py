"""Fixtures: `switchboard` with `bedrock-sim` as its backend."""

import json
import os
import pathlib
import re
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

import switchboard_client

ROOT = pathlib.Path(__file__).resolve().parents[3]

HAIKU = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
OPUS = "us.anthropic.claude-opus-4-8"


def programs() -> pathlib.Path:
    """Return the folder `SWITCHBOARD_PROGRAMS`, or else Cargo's target folder."""
    if folder := os.environ.get("SWITCHBOARD_PROGRAMS"):
        return pathlib.Path(folder)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    subprocess.run(["cargo", "build", "--quiet", "--workspace", "--bins"], cwd=ROOT, check=True)
    return target / "debug"


class Program:
    """Running program and its address, which it prints."""

    def __init__(self, words: list[str], environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert self._process.stdout is not None
        self.address = ""
        for line in self._process.stdout:
            found = re.search(r"127\.0\.0\.1:\d+", line)
            if found and ("serving" in line or "listens" in line):
                self.address = found.group()
                break
        assert self.address, f"{words} did not start"
        # Read the rest of the output too, so that the program does not block.
        threading.Thread(target=self._process.stdout.read, daemon=True).start()

    def end(self) -> None:
        self._process.terminate()
        self._process.wait()


class Stage:
    """A Switchboard server and its simulator."""

    def __init__(self, config: str) -> None:
        folder = programs()
        self.simulator = Program([str(folder / "bedrock-sim"), "--listen", "127.0.0.1:0", "--speed", "0"], {})
        self.environment = {
            "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": f"http://{self.simulator.address}",
            "AWS_ACCESS_KEY_ID": "simulated",
            "AWS_SECRET_ACCESS_KEY": "simulated",
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "HOME": "/nonexistent",
        }
        serve = [str(folder / "switchboard"), "serve", "--config", config, "--listen", "127.0.0.1:0"]
        self.switchboard = Program(serve, self.environment)
        self.address = self.switchboard.address

    def end(self) -> None:
        self.switchboard.end()
        self.simulator.end()

    def inject(self, model: str, **fault: Any) -> None:
        self._ask("POST", "faults", {"model": model, "fault": fault})

    def reset(self) -> None:
        self._ask("DELETE", "faults")
        self._ask("DELETE", "calls")

    def calls(self) -> list[dict[str, Any]]:
        calls: list[dict[str, Any]] = self._ask("GET", "calls")["calls"]
        return calls

    def wait_until_cancelled(self) -> None:
        """Wait until the simulator has noticed that the caller is gone."""
        until = time.monotonic() + 10
        while not (self.calls() and all(call["hung_up"] for call in self.calls())):
            assert time.monotonic() < until, self.calls()
            time.sleep(0.02)

    def _ask(self, method: str, route: str, body: Any = None) -> Any:
        request = urllib.request.Request(
            f"http://{self.simulator.address}/_sim/{route}", json.dumps(body).encode(), method=method
        )
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)


@pytest.fixture(scope="session")
def running() -> Iterator[Stage]:
    stage = Stage(str(ROOT / "tests/conformance/switchboard.toml"))
    yield stage
    stage.end()


@pytest.fixture
def stage(running: Stage) -> Stage:
    running.reset()
    return running


@pytest.fixture
def switchboard(stage: Stage) -> Iterator[switchboard_client.Switchboard]:
    with switchboard_client.connect(stage.address) as switchboard:
        yield switchboard
