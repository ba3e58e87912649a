"""`ingrain bench` from outside: its results, comparisons, refusals; and weights in few bits in the other commands."""

import json
import os
import pty
import signal
import subprocess

import pytest
from conftest import BUILD
from test_cli import EMMA, READER, ROOT, refused

SHAPE = ROOT / "bench" / "shapes" / "hidden-256.json"
SHORT = {"read": ["--tokens", "512"], "decode": ["--contexts", "0,300", "--tokens", "4"], "train": ["--length", "256"]}
SHORT_READ = ["bench", "read", SHAPE, "--tokens", "300", "--runs", "1"]


@pytest.mark.parametrize("benchmark", SHORT)
def test_each_benchmark_gives_figures_on_a_described_machine_and_compares(ingrain, tmp_path, benchmark):
    command = ["bench", benchmark, SHAPE, "--runs", "1", "--threads", "1", "--dtype", "fp32", "--device", "cpu", *SHORT[benchmark]]
    done = ingrain(*command, "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    if benchmark == "decode":
        assert len(result["facts"]) == 2 and all(said.startswith("captured") for said in result["facts"].values()), result["facts"]
    assert result["benchmark"] == benchmark and result["dtype"] == "fp32" and result["machine"]["threads"] == 1
    assert result["machine"]["processor"] and result["machine"]["commit"]
    assert result["machine"]["device"] == "cpu" and not result["machine"]["gpu"]
    assert result["peaks"]["gflops"]["fp32"] > 1 and result["peaks"]["gbytes_per_second"] > 0.1
    assert any(f["unit"] == "tokens/s" and f["value"] > 0 for f in result["figures"])
    names = [f["name"] for f in result["figures"]]
    assert len(names) == len(set(names))

    (tmp_path / "before.json").write_text(done.stdout)
    again = ingrain(*command, "--vs", tmp_path / "before.json")
    assert again.returncode == 0 and again.stdout.count("now") > len(names) / 2


def test_a_conversation_copies_its_windows_once(ingrain):
    done = ingrain("bench", "chat", SHAPE, "--context", "100", "--turns", "3", "--question", "5", "--answer", "3", "--runs", "1",
                   "--dtype", "fp32", "--device", "cpu", "--json")
    assert done.returncode == 0, done.stderr
    figures = {f["name"]: f["value"] for f in json.loads(done.stdout)["figures"]}
    assert figures["windows copied whole in a conversation"] == 1
    assert figures["first question to first token: median"] > 0 and figures["later question to first token: median"] > 0
    refused(ingrain("bench", "chat", SHAPE, "--turns", "1"), 2, "--turns")


def test_operations_are_listed_measured_and_compared(ingrain, tmp_path):
    some = ["bench", "ops", "--filter", "^(swiglu|product)/17m/fp32/(forward|nt)/.*256", "--dtype", "fp32", "--device", "cpu"]
    names = ingrain(*some, "--list").stdout.split()
    assert len(names) == 4 and len(ingrain("bench", "ops", "--list", "--device", "cpu").stdout.split()) > 100
    done = ingrain(*some, "--seconds", "0.01", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    figures = {f["name"]: f["value"] for f in result["figures"]}
    for name in names:
        assert figures[name] > 0 and figures[name + " libtorch"] > 0 and figures[name + " of peak"] > 0
    assert any(name.endswith("GFLOP/s") for name in figures) and any(name.endswith("GB/s") for name in figures)

    (tmp_path / "before.json").write_text(done.stdout)
    again = ingrain(*some, "--seconds", "0.01", "--vs", tmp_path / "before.json")
    assert again.returncode == 0 and "now/was" in again.stdout and all(name in again.stdout for name in names)
    refused(ingrain(*SHORT_READ, "--vs", tmp_path / "before.json"), 1, "bench ops")


def test_interrupted_operations_print_the_rows_so_far():
    command = [BUILD / "src" / "cli" / "ingrain", "bench", "ops", "--filter", "norm/17m", "--device", "cpu", "--seconds", "1", "--json"]
    terminal, programs_end = pty.openpty()  # progress is shown to terminals only
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=programs_end, text=True) as running:
        os.close(programs_end)
        shown = b""
        while b" left" not in shown:  # a row is whole
            shown += os.read(terminal, 1024)
        running.send_signal(signal.SIGTERM)
        result = json.loads(running.communicate(timeout=120)[0])
    os.close(terminal)
    assert running.returncode == 128 + signal.SIGTERM and "interrupted" in result["dtype"] and result["figures"]


def test_bench_reads_a_trained_model_and_a_text(ingrain):
    done = ingrain("bench", "read", READER, "--text", EMMA, "--tokens", "600", "--runs", "1", "--json")
    assert done.returncode == 0, done.stderr
    assert "reading: GFLOP/s / peak" in done.stdout


def test_bench_refuses_what_it_cannot_do(ingrain, tmp_path):
    refused(ingrain("bench"), 2)
    refused(ingrain("bench", "read", "nonesuch"), 1, "nonesuch", "125m")
    refused(ingrain("bench", "read", SHAPE, "--text", EMMA), 1, "tokenizer.json")
    refused(ingrain("bench", "train", SHAPE, "--mode", "reverse"), 2, "reverse")
    refused(ingrain("bench", "train", SHAPE, "--length", "100"), 1, "100")
    refused(ingrain("bench", "decode", SHAPE, "--weights", "q4"), 2, "q4")
    (tmp_path / "other.json").write_text("{}")
    refused(ingrain(*SHORT_READ, "--vs", tmp_path / "other.json"), 1, "other.json")
    refused(ingrain("bench", "ops", "--filter", "("), 2, "regular expression")
    refused(ingrain("bench", "ops", "--filter", "nonesuch"), 2, "--list")
    refused(ingrain("bench", "ops", "--dtype", "fp64"), 2, "fp64")
    refused(ingrain("bench", "read", SHAPE, "--device", "tpu"), 2, "tpu")


def loss_of_emma(ingrain, *options):
    done = ingrain("eval", READER, EMMA, "--limit", "2048", "--learning", "on", "--dtype", "fp32", "--json", *options)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["learning_on"]["mean_nll"]


@pytest.fixture(scope="module")
def native_loss(ingrain):
    return loss_of_emma(ingrain)


@pytest.mark.parametrize("weights, most", [("q8_0", 0.002), ("q4_1", 0.02)])
def test_weights_in_few_bits_cost_little(ingrain, native_loss, weights, most):
    quantized = loss_of_emma(ingrain, "--weights", weights)
    assert native_loss != quantized and abs(native_loss - quantized) < most


@pytest.mark.parametrize("weights", ["q8_0", "q4_1"])
def test_weights_in_few_bits_write_and_need_a_type_that_has_them(ingrain, weights):
    done = ingrain("generate", READER, "--prompt", "Emma", "--max-tokens", "5", "--weights", weights)
    assert done.returncode == 0 and len(done.stdout) > 6, done.stderr
    refused(ingrain("generate", READER, "--prompt", "Emma", "--weights", weights, "--dtype", "fp64"), 1, weights)


def test_a_benchmark_runs_and_says_so_as_on_an_older_processor(ingrain):
    def as_on(processor):
        return ingrain(*SHORT_READ, "--device", "cpu", env={**os.environ, "INGRAIN_CPU": processor})

    done = as_on("scalar")
    assert done.returncode == 0 and "(other)" in done.stdout.splitlines()[0], done.stdout + done.stderr
    refused(as_on("pentium"), 2, "pentium", "choose avx512_bf16, avx512, avx2 or scalar")
