"""Signals: what they end, what is kept, and that it is said at once."""
import json
import os
import pty
import signal
import struct
import subprocess
import time

import pytest
from conftest import default_signals, wait_until_caught
from terminal import Terminal
from test_cli import CASES, EMMA, READER
from unlucky import ENDLESS, ENVIRONMENT, PROGRAM, memory, text  # noqa: F401

def started(*words, environment=ENVIRONMENT, stderr=subprocess.PIPE, **options):
    return subprocess.Popen([PROGRAM, *map(str, words)], stdout=subprocess.PIPE, stderr=stderr, env=environment,
                            preexec_fn=default_signals, **options)


def stopped_twice(running, number):
    """Two signals at once, as timeout sends them: standard output and error."""
    running.send_signal(number)
    running.send_signal(number)
    out, err = running.communicate(timeout=120)
    assert running.returncode == 128 + number, err
    return out, err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_waiting_for_standard_input_or_a_fifo_can_be_interrupted(tmp_path, number):
    for name in ("fifo", "fifo.gz", "fifo.zst", "fifo.jsonl") if number == signal.SIGINT else ("fifo",):
        os.mkfifo(tmp_path / name)
    for source in ("-", *tmp_path.glob("fifo*")):
        running = started("read", READER, source, "-o", tmp_path / "m", stdin=subprocess.PIPE)
        wait_until_caught(running, number)
        _, err = stopped_twice(running, number)
        assert b"ingrain: stopping; " in err and not (tmp_path / "m").exists()


@pytest.mark.parametrize("words, said", [
    (("read", READER, "FIFO", "-o", "m"), b"nothing was read yet, and nothing is written"), (("ask", "MEMORY", "-", "--model", READER), b"nothing was asked yet"),
    (("data", "prepare", "FIFO", "-t", READER, "-o", "d"), b"nothing is left behind"), (("tokens", READER, "-"), b"nothing is kept"),
    (("generate", READER, "--prompt", "x", "--memory", "MEMORY", "--max-tokens", "1000000", *ENDLESS), b"what was written is shown\n"),
    (("generate", READER, "--prompt", "x", "--save", "s", "--max-tokens", "1000000", *ENDLESS), b"what was written is shown and kept in the memory file\n")])
def test_what_a_signal_keeps_is_said_as_it_is(memory, tmp_path, words, said):
    """Nothing is called kept where nothing was read, or where nothing to keep it in was asked for."""
    os.mkfifo(tmp_path / "fifo")
    words = [{"FIFO": tmp_path / "fifo", "MEMORY": memory}.get(word, word) for word in words]
    running = started(*words, stdin=subprocess.PIPE, cwd=tmp_path)
    if words[0] == "generate":
        assert running.stdout.read(2), "it has begun to write"
    wait_until_caught(running, signal.SIGTERM)
    _, err = stopped_twice(running, signal.SIGTERM)
    assert said in err, err
    assert sorted(p.name for p in tmp_path.iterdir()) == (["fifo", "s", "s.notes"] if b"and kept" in said and (tmp_path / "s.notes").exists() else
                                                          ["fifo", "s"] if b"and kept" in said else ["fifo"])


def test_a_server_that_is_stopped_says_what_is_kept(tmp_path):
    for store, said in (("none", b"nothing is kept (--store none)"), (tmp_path / "kept", b"answers in work end, and are kept")):
        running = started("serve", READER, "--port", "0", "--store", store)
        seen = b""
        while b"curl" not in seen:
            seen += os.read(running.stderr.fileno(), 4096)
        running.send_signal(signal.SIGTERM)
        _, err = running.communicate(timeout=120)
        assert running.returncode == 128 + signal.SIGTERM and said in err, err


@pytest.mark.parametrize("keys", ["\x03", "\x03\x03"])
def test_ctrl_c_ends_waiting_for_a_fifo_on_a_terminal(tmp_path, keys):
    os.mkfifo(tmp_path / "fifo")
    running = Terminal(PROGRAM, "read", READER, tmp_path / "fifo", "-o", tmp_path / "m")
    wait_until_caught(running, signal.SIGINT)
    running.type(keys)
    assert running.end() == 128 + signal.SIGINT
    assert "ingrain: stopping; " in running.seen
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_waiting_for_a_question_can_be_interrupted(memory, number):
    running = started("ask", memory, "-", "--model", READER, stdin=subprocess.PIPE)
    wait_until_caught(running, number)
    _, err = stopped_twice(running, number)
    assert b"ingrain: stopping; " in err


def large_llama(folder):
    """A Hugging Face model of 100 MB, all zeros and sparse on disk: it takes a moment to read."""
    config = dict(model_type="llama", architectures=["LlamaForCausalLM"], vocab_size=400_000, hidden_size=64, intermediate_size=64,
                  num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2, rms_norm_eps=1e-5, hidden_act="silu",
                  max_position_embeddings=256, tie_word_embeddings=True, bos_token_id=1, eos_token_id=2)
    (folder / "config.json").write_text(json.dumps(config))
    shapes = {"model.embed_tokens.weight": [400_000, 64], "model.norm.weight": [64]}
    for layer in range(2):
        for part in ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"):
            shapes[f"model.layers.{layer}.{part}.weight"] = [64, 64]
        for part in ("input_layernorm", "post_attention_layernorm"):
            shapes[f"model.layers.{layer}.{part}.weight"] = [64]
    header, at = {}, 0
    for name, shape in shapes.items():
        size = 4 * shape[0] * (shape[1] if len(shape) > 1 else 1)
        header[name] = dict(dtype="F32", shape=shape, data_offsets=[at, at + size])
        at += size
    text = json.dumps(header).encode()
    with open(folder / "model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + at)
    return folder


@pytest.mark.parametrize("number, command", [(signal.SIGINT, "import"), (signal.SIGTERM, "retrofit"), (signal.SIGHUP, "import")])
def test_a_model_that_is_not_finished_leaves_nothing(tmp_path, number, command):
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    running = started(command, large_llama(tmp_path / "in"), "-o", tmp_path / "out" / "made")
    wait_until_caught(running, number)
    _, err = stopped_twice(running, number)
    assert b"ingrain: stopping; " in err, err
    left = [path.name for path in (tmp_path / "out").iterdir()]
    assert left == ([] if b"nothing was written" in err else ["made"]), (left, err)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_reading_keeps_what_it_read_though_the_signal_comes_twice(ingrain, tmp_path, number):
    terminal, programs_end = pty.openpty()  # progress is shown to terminals only
    running = started("read", READER, EMMA, "-o", tmp_path / "m", "--json", stderr=programs_end)
    os.close(programs_end)
    shown = b""
    while b"reading" not in shown:  # a segment was read
        shown += os.read(terminal, 1024)
    out, _ = stopped_twice(running, number)
    os.close(terminal)
    said = json.loads(out)
    assert 0 < said["tokens_read"] == json.loads(ingrain("memory", "info", tmp_path / "m", "--json").stdout)["position"]
    assert said["tokens_read"] < said["tokens_given"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_writing_says_that_it_stops_and_what_it_keeps(ingrain, memory, tmp_path, number):
    before = memory.read_bytes()
    endless = ("--max-tokens", "1000000", *ENDLESS)
    ask = ("ask", memory, "Who is Emma?", "--model", READER, *endless)
    for words in (ask, (*ask, "--save", tmp_path / "asked"),
                  ("generate", READER, "--prompt", "Emma", *endless, "--save", tmp_path / "written")):
        running = started(*words)
        assert running.stdout.read(1), "it has begun to write"
        _, err = stopped_twice(running, number)
        assert b"ingrain: stopping; " in err, err
    running = started("ask", memory, EMMA.read_text()[:60000], "--model", READER, *endless)
    wait_until_caught(running, number)
    assert b"ingrain: stopping; " in stopped_twice(running, number)[1], "before the answer"
    assert memory.read_bytes() == before
    for name in ("asked", "written"):
        assert json.loads(ingrain("memory", "info", tmp_path / name, "--json").stdout)["position"] > 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_conversation_says_what_it_keeps_and_keeps_it(tmp_path, number):
    running = started("chat", READER, "--max-tokens", "1000000", *ENDLESS, stdin=subprocess.PIPE,
                      environment={**ENVIRONMENT, "XDG_STATE_HOME": str(tmp_path)})
    running.stdin.write(b"Who is Emma?\n")
    running.stdin.flush()
    running.stdout.readline()
    assert running.stdout.read(1), "it has begun to answer"
    _, err = stopped_twice(running, number)
    assert b"ingrain: stopping; what was said is kept" in err, err
    assert "Who is Emma?" in (tmp_path / "ingrain" / "last.json").read_text()


MILLION = "1000000"
LONG = [("bench", "ops"), ("bench", "read", READER, "--tokens", MILLION), ("bench", "decode", READER, "--contexts", MILLION),
        ("bench", "decode", READER, "--contexts", "0", "--tokens", MILLION), ("bench", "chat", READER, "--context", MILLION),
        ("bench", "chat", READER, "--context", "1", "--answer", MILLION), ("bench", "streams", READER, "--streams", "4", "--tokens", MILLION),
        ("bench", "train", READER, "--length", "8192"), ("bench", "train", READER, "--mode", "standard", "--length", "8192"),
        ("eval", READER, "--measure", "latency", "--lengths", MILLION), ("eval", READER, "--measure", "latency", "--lengths", "1", "--write", MILLION)]


@pytest.mark.parametrize("words", LONG, ids=lambda words: " ".join(map(str, words)).replace(str(READER), "MODEL"))
def test_what_measures_ends_in_the_middle_of_a_run(words):
    """A run takes minutes here; whoever presses Ctrl-C waits for a part of it alone."""
    running = started(*words)
    wait_until_caught(running, signal.SIGTERM)
    time.sleep(3)
    asked = time.monotonic()
    out, err = stopped_twice(running, signal.SIGTERM)
    assert b"ingrain: stopping; " in err and time.monotonic() - asked < 60
    assert out or b"stopped" in err, "what was measured whole is told, or that nothing was"


@pytest.mark.skipif(not (CASES / "golden").is_dir(), reason="no golden cases at hand")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_verifying_says_that_it_stops(number):
    running = started("verify", *[folder for folder in sorted((CASES / "golden").iterdir()) if folder.is_dir()])
    wait_until_caught(running, number)
    time.sleep(1)
    _, err = stopped_twice(running, number)
    assert b"ingrain: stopping; " in err and b"nothing is known" in err


@pytest.mark.parametrize("words", [("export", READER), ("memory", "fork", "MEMORY"), ("memory", "compact", READER, "MEMORY")])
def test_a_file_that_is_not_finished_is_not_there(memory, tmp_path, words):
    running = started(*[memory if word == "MEMORY" else word for word in words], "-o", tmp_path / "made")
    wait_until_caught(running, signal.SIGTERM)
    _, err = stopped_twice(running, signal.SIGTERM)
    assert b"ingrain: stopping; " in err, err
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == [] if b"nothing was written" in err else left[0] == "made" and not any("ingrain-" in name for name in left), (left, err)
