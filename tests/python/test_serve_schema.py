"""schemathesis (PyPI) against our own OpenAPI document: what it says is taken is taken, what it says is refused is
refused, and no reply is other than it says; without keys, and with them."""
import json
import pathlib
import shutil
import subprocess
import sys

import pytest
from serving import Server

pytest.importorskip("schemathesis", reason="python/requirements-test.txt names it")
KEY = "sk-anna-0123456789"


def program():
    beside = shutil.which("schemathesis", path=str(pathlib.Path(sys.executable).parent))
    return [beside] if beside else [sys.executable, "-m", "schemathesis.cli"]


@pytest.mark.parametrize("keys", [False, True], ids=["open", "with keys"])
def test_schemathesis_finds_nothing(tmp_path, keys):
    environment = {"INGRAIN_API_KEYS": f"anna:{KEY}"} if keys else {}
    with Server(tmp_path / "store", "--max-tokens", "2", "--most-tokens", "2", "--log", tmp_path / "log",
                environment=environment) as server:
        # A seed of its own, so that a run is the same each time.
        # Every constraint of the document once is thousands of requests, and the same with keys.
        command = [*program(), "run", server.url + "/openapi.json", "--checks", "all", "--phases", "fuzzing" if keys else "coverage,fuzzing",
                   "--max-examples", "8", "--seed", "7", "--workers", "1", "--request-timeout", "60",
                   "--suppress-health-check", "all", "--warnings", "off", "--no-color"]
        if keys:
            command += ["-H", f"Authorization: Bearer {KEY}"]
        run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False)
        assert run.returncode == 0, run.stdout[-20000:] + run.stderr[-2000:]
        lines = [json.loads(line) for line in (tmp_path / "log").read_text().split("\n") if line]
        assert len(lines) > 200 and not [line for line in lines if line["status"] >= 500], "the server was asked, and held"
