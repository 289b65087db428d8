"""The examples of README.md and BOTO3.md run as written."""

import pathlib
import re
import subprocess
import sys
import venv

import pytest
from conftest import ROOT, Stage

HERE = ROOT / "client/python"


def blocks(page: str, language: str) -> list[str]:
    """Return the code blocks of a page, without those marked `no-run`."""
    text = (HERE / page).read_text()
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def examples() -> list[tuple[str, int, str]]:
    pages = ["README.md", "BOTO3.md"]
    return [(page, at, code) for page in pages for at, code in enumerate(blocks(page, "python"))]


def test_finds_the_examples() -> None:
    assert len(examples()) == 11


@pytest.mark.parametrize(("page", "at", "code"), examples())
def test_examples_run(page: str, at: int, code: str, stage: Stage) -> None:
    done = run(sys.executable, code, stage)

    assert done.returncode == 0, f"{page}, example {at}: {done.stderr}"
    assert done.stdout.strip() or "print(" not in code, f"{page}, example {at} prints nothing"


def test_installs_as_written(stage: Stage, tmp_path: pathlib.Path) -> None:
    venv.create(tmp_path, with_pip=True)
    [install] = blocks("README.md", "sh")
    environment = {
        "PATH": f"{tmp_path}/bin:/usr/bin:/bin",
        "HOME": str(pathlib.Path.home()),
        "SWITCHBOARD": str(ROOT),
    }
    subprocess.run(["sh", "-ec", install], cwd=tmp_path, env=environment, check=True, capture_output=True)

    first = blocks("README.md", "python")[0]
    done = run(str(tmp_path / "bin/python"), first, stage)

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("[simulated")


def run(python: str, code: str, stage: Stage) -> subprocess.CompletedProcess[str]:
    code = code.replace("127.0.0.1:50051", stage.address)
    return subprocess.run([python, "-c", code], capture_output=True, text=True, timeout=60)
