"""The server's process stays as large as its model, its budget and a constant, whatever was said to it."""
import pathlib
import platform

import pytest
from serving import Server, wait_until

BUDGET = 256 << 20
# docs/serving-operations.md: an answer in work, threads, the database, and what of the C library's pools is not whole pages.
CONSTANT = 128 << 20
LONG = " ".join(f"The {i}th day was like the {i + 1}th, and nobody wrote down what was said." for i in range(12))


def resident(process):
    text = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("VmRSS"))


def figure(server, name):
    text = server.request("GET", "/metrics")[2].decode()
    return next(float(line.split()[1]) for line in text.splitlines() if line.startswith(name + " "))


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's allocator is told what to do")
def test_the_process_stays_within_its_budget_and_a_constant(tmp_path):
    with Server(tmp_path / "store", "--memory-budget", "256MiB") as server:
        ask = {"max_output_tokens": 2, "temperature": 0}
        server.post("/v1/responses", {"input": "Hello.", **ask})
        wait_until(lambda: figure(server, "ingrain_answers_running") == 0)
        began = resident(server.process)
        for i in range(40):
            first = server.post("/v1/responses", {"input": f"Story {i}. {LONG}", **ask})
            server.post("/v1/responses", {"input": "And then?", "previous_response_id": first["id"], **ask})
        # Far more went through than may stay.
        assert figure(server, "ingrain_state_bytes_on_disk") > 2 * BUDGET
        assert figure(server, "ingrain_state_bytes_in_memory") <= BUDGET
        # What the allocator kept goes back once there is nothing to do.
        wait_until(lambda: resident(server.process) <= began + BUDGET + CONSTANT, seconds=20)
