"""An unlucky user: full disks, wrong places, signals, numbers that overflow, odd files. Nothing is lost without a word."""
import json
import os
import pathlib
import pty
import shutil
import signal
import struct
import subprocess

import pytest
from conftest import BUILD, ROOT, default_signals, wait_until_caught
from terminal import Terminal
from test_cli import CASES, EMMA, READER, refused

PROGRAM = BUILD / "src" / "cli" / "ingrain"
FAULTS = CASES / "faults"
needs_faults = pytest.mark.skipif(not FAULTS.is_dir(), reason="no collection of faults at hand")
ENVIRONMENT = dict(os.environ, OMP_NUM_THREADS="1")


# The model never ends a text by itself.
ENDLESS = ("--logit-bias", f"{json.loads((READER / 'config.json').read_text())['eos_token_id'][0]}=-inf")


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "short.txt"
    path.write_text(EMMA.read_text()[:2500])
    return path


@pytest.fixture(scope="module")
def memory(ingrain, text, tmp_path_factory):
    path = tmp_path_factory.mktemp("memory") / "short.memory"
    assert ingrain("read", READER, text, "-o", path).returncode == 0
    return path


def fault(name, tmp_path):
    shutil.copytree(FAULTS / name, tmp_path / name)
    return tmp_path / name


def prepare(ingrain, folder, source, *args, out="data"):
    done = ingrain("data", "prepare", source, "--tokenizer", "tokenizer.json", "--out", out, *args, cwd=folder)
    if done.returncode:
        return done
    manifest = json.loads((folder / out / "manifest.json").read_text())
    return manifest["documents"], manifest["tokens"]


# Runs


@needs_faults
def test_validation_that_cannot_be_is_refused_before_the_first_step(ingrain, tmp_path):
    folder = fault("01-final-validation-loses-run", tmp_path)
    assert prepare(ingrain, folder, "text.txt")[0] == 1
    train = lambda *words: ingrain("train", "run.toml", *words, cwd=folder, env=ENVIRONMENT)
    refused(train(), 1, "no-such-data")
    refused(train("--dry-run"), 1, "no-such-data")
    refused(train("--set", "validation.paths=text.txt"), 1, "text.txt", "is text")
    refused(train("--set", "validation.paths=data", "--set", "validation.length=100000"), 1, "too few")
    assert not (folder / "run").exists(), "no step was made"
    done = train("--set", "validation.paths=data")
    assert done.returncode == 0, done.stderr
    assert done.stdout.index("last checkpoint") < done.stdout.index("with learning"), "the checkpoint comes first"
    assert (folder / "run" / "model" / "model.safetensors").exists()


@needs_faults
def test_validation_data_of_another_tokenizer_is_refused(ingrain, tmp_path):
    folder = fault("24-validation-of-another-tokenizer", tmp_path)
    prepare(ingrain, folder, "text.txt")
    shutil.copy(folder / "other-tokenizer.json", folder / "tokenizer.json")
    prepare(ingrain, folder, "text.txt", out="validation")
    refused(ingrain("train", "run.toml", cwd=folder, env=ENVIRONMENT), 1, "validation", "tokenizer")


@needs_faults
def test_places_of_a_run_that_cannot_be_written_are_known_before_it(ingrain, tmp_path):
    folder = fault("01-final-validation-loses-run", tmp_path)
    prepare(ingrain, folder, "text.txt")
    (folder / "file").write_text("x")
    for setting in ("checkpoint.folder=file", "checkpoint.model=file", "log.file=/proc/none/log"):
        done = ingrain("train", "run.toml", "--set", "validation.paths=data", "--set", setting, cwd=folder, env=ENVIRONMENT)
        refused(done, 1, setting.split("=")[1])
        assert not list(folder.glob("*/checkpoint-*"))


# Outputs


def test_a_place_that_cannot_be_written_is_known_before_the_work(ingrain, text, memory, tmp_path):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("kept.memory")
    (tmp_path / "kept.memory").write_text("old")
    for place, word in (("folder", "is a folder"), ("fifo", "not a regular file"), ("none/x", "choose another place")):
        refused(ingrain("read", "no-model", text, "-o", tmp_path / place), 1, place, word)
        refused(ingrain("generate", "no-model", "--prompt", "x", "--save", tmp_path / place), 1, place, word)
        refused(ingrain("ask", memory, "x", "--model", "no-model", "--save", tmp_path / place), 1, place, word)
        refused(ingrain("memory", "fork", memory, "-o", tmp_path / place), 1, place, word)
        refused(ingrain("memory", "compact", "no-model", memory, "-o", tmp_path / place), 1, place, word)
        refused(ingrain("export", "no-model", "-o", tmp_path / place), 1, place, word)
    assert ingrain("memory", "fork", memory, "-o", tmp_path / "link").returncode == 0
    assert (tmp_path / "link").is_symlink() and (tmp_path / "kept.memory").read_bytes() == memory.read_bytes()
    for command in (("import", "no-model"), ("retrofit", "no-model")):
        refused(ingrain(*command, "-o", tmp_path / "kept.memory"), 1, "kept.memory", "no folder")
    refused(ingrain("demo", "--model", "no-model", "--output", tmp_path / "kept.memory"), 1, "kept.memory")
    (tmp_path / "folder" / "report.html").mkdir()
    refused(ingrain("demo", "--model", "no-model", "--output", tmp_path / "folder"), 1, "report.html")


@pytest.mark.parametrize("kind,end", [("fifo", ""), ("fifo", "-journal"), ("fifo", "-wal"), ("fifo", "-shm"), ("folder", ""), ("device", "")])
def test_notes_that_are_no_file_are_known_before_the_work_and_never_waited_for(ingrain, text, memory, tmp_path, kind, end):
    """Beside what is written, and beside what is gone on from."""
    def put(name):
        place = tmp_path / f"{name}.notes{end}"
        {"fifo": os.mkfifo, "folder": os.mkdir, "device": lambda at: at.symlink_to("/dev/null")}[kind](place)
        return place.name

    word = "is a folder" if kind == "folder" else "not a regular file"
    shutil.copy(memory, tmp_path / "from")
    shutil.copy(f"{memory}.notes", tmp_path / "from.notes")
    shutil.copy(f"{memory}.notes", tmp_path / "out.notes")
    if not end:
        (tmp_path / "out.notes").unlink()
    name = put("out")
    out = tmp_path / "out"
    for words in (("read", "no-model", text, "-o", out), ("read", "no-model", text, "-o", out, "--no-notes"), ("memory", "fork", memory, "-o", out),
                  ("memory", "compact", "no-model", memory, "-o", out), ("generate", "no-model", "--prompt", "x", "--save", out),
                  ("ask", memory, "x", "--model", "no-model", "--save", out)):
        refused(ingrain(*words, timeout=20), 1, name, word)
    if not end:
        (tmp_path / "from.notes").unlink()
    name = put("from")
    for words in (("read", "no-model", text, "-o", tmp_path / "new", "--memory", tmp_path / "from"), ("memory", "fork", tmp_path / "from", "-o", tmp_path / "new"),
                  ("ask", tmp_path / "from", "x", "--model", "no-model", "--notepad"), ("chat", READER, "--memory", tmp_path / "from", "--notepad")):
        refused(ingrain(*words, timeout=20, input=""), 1, name, word)
    assert not out.exists() and not (tmp_path / "new").exists()


@needs_faults
@pytest.mark.parametrize("kind", ["fifo", "folder"])
def test_a_log_that_cannot_be_is_known_before_the_first_step(ingrain, tmp_path, kind):
    folder = fault("01-final-validation-loses-run", tmp_path)
    prepare(ingrain, folder, "text.txt")
    (os.mkfifo if kind == "fifo" else os.mkdir)(folder / "log")
    done = ingrain("train", "run.toml", "--set", "validation.paths=data", "--set", "log.file=log", cwd=folder, env=ENVIRONMENT, timeout=60)
    refused(done, 1, "log", "nobody reads" if kind == "fifo" else "Is a directory", "log.file")
    assert not list(folder.glob("*/checkpoint-*"))
    refused(ingrain("serve", READER, "--store", "none", "--port", "0", "--log", folder / "log", timeout=60), 1, "--log")


@pytest.mark.parametrize("end", ["", "-wal"])
def test_a_server_whose_records_are_a_fifo_says_so(ingrain, tmp_path, end):
    os.mkfifo(tmp_path / f"records.sqlite{end}")
    refused(ingrain("serve", READER, "--store", tmp_path, "--port", "0", timeout=60), 1, f"records.sqlite{end}", "not a regular file")


def test_what_was_made_before_standard_output_failed_is_whole_and_named(text, tmp_path):
    for words, made in ((("data", "prepare", text, "-t", READER, "-o", tmp_path / "data"), "data"), (("read", READER, text, "-o", tmp_path / "m"), "m")):
        with open("/dev/full", "w") as full:
            done = subprocess.run([PROGRAM, *words], stdout=full, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
        assert done.returncode == 1 and f"({tmp_path / made} was made before, and is whole)" in done.stderr, done.stderr
    assert subprocess.run([PROGRAM, "data", "verify", tmp_path / "data"]).returncode == 0
    assert subprocess.run([PROGRAM, "memory", "info", tmp_path / "m"]).returncode == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "m", "m.notes"]


@pytest.mark.parametrize("words", [
    ("read", READER, "text.txt", "-o", ""), ("read", READER, "text.txt", "-o", "x", "--memory", ""), ("read", READER, "", "-o", "x"),
    ("generate", READER, "--prompt", "x", "--save", ""), ("ask", "x.memory", "q", "--save", ""), ("ask", "x.memory", "q", "--model", ""),
    ("chat", "--memory", ""), ("chat", ""), ("memory", "fork", "x.memory", "-o", ""), ("export", READER, "-o", ""), ("import", READER, "-o", ""),
    ("retrofit", READER, "-o", ""), ("data", "prepare", "text.txt", "-t", READER, "-o", ""), ("demo", "--output", ""), ("serve", "--keys", "")])
def test_a_name_that_is_empty_names_nothing_and_is_refused(ingrain, tmp_path, words):
    """A variable of a script that was never set."""
    refused(ingrain(*words, cwd=tmp_path), 2, "empty")
    assert list(tmp_path.iterdir()) == []


def test_ids_beyond_the_vocabulary_are_refused_before_the_work(ingrain, memory):
    for words in (("chat", READER), ("ask", memory, "q", "--model", READER), ("generate", READER, "--prompt", "x")):
        done = ingrain(*words, "--logit-bias", "8192=1", input="q\n")
        refused(done, 2, "--logit-bias names token 8192")
        assert done.stdout == ""


PRINTING = [("memory", "info", "--json"), ("memory", "info"), ("--help",), ("read", "--dry-run"), ("data", "info")]


@pytest.mark.parametrize("command", PRINTING)
def test_output_that_does_not_arrive_is_an_error(command, text, memory, tmp_path):
    tokens = tmp_path / "tokens.bin"
    tokens.write_bytes(struct.pack("<100H", *range(100)))
    rest = {"memory": [memory], "read": [READER, text, "-o", tmp_path / "x"], "data": [tokens]}.get(command[0], [])
    words = [PROGRAM, *command, *rest]
    with open("/dev/full", "w") as full:
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1 and "No space left" in done.stderr and "defect" not in done.stderr, done.stderr
    done = subprocess.run(["sh", "-c", 'exec "$@" >&-', "sh", *words], stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1 and done.stderr.strip(), "a closed standard output"
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(words, stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert done.returncode == 1 and "Broken pipe" in done.stderr, "its reader has gone"


def test_a_closed_standard_output_does_not_get_into_the_file_that_is_written(text, tmp_path):
    subprocess.run(["sh", "-c", 'exec "$@" >&- 2>&- <&-', "sh", PROGRAM, "read", READER, text, "-o", tmp_path / "m"], env=ENVIRONMENT)
    assert subprocess.run([PROGRAM, "memory", "info", tmp_path / "m"]).returncode == 0


@pytest.mark.skipif(not (CASES / "reference-17m").is_dir(), reason="no reference model at hand")
def test_a_failed_import_leaves_nothing(ingrain, tmp_path):
    shutil.copytree(CASES / "reference-17m", tmp_path / "source")
    shard = sorted((tmp_path / "source").glob("params-*.safetensors"))[-1]
    shard.chmod(0o600)
    shard.write_bytes(shard.read_bytes()[:-1000])
    assert ingrain("import", tmp_path / "source", "-o", tmp_path / "made").returncode == 1
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_what_dead_writers_left_goes_with_the_next(ingrain, tmp_path):
    (tmp_path / "x.memory.ingrain-tmp-1-0").write_text("left by a dead writer")
    (tmp_path / "x.ingrain-partial-1-0").mkdir()
    mine = ["mine.tmp", "report.tmp-2024-11", "thesis.partial-2024-1"]
    for name in mine:
        (tmp_path / name).write_text("a user's own")
    assert ingrain("export", READER, "-o", tmp_path / "params.safetensors").returncode == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [mine[0], "params.safetensors", *mine[1:]]


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 4 MB: no memory has room there. Skipped where mounting is not allowed."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("mounting a small file system is not allowed here")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_disk_without_room_for_a_memory_is_known_before_the_work(ingrain, memory, text, small_disk):
    refused(ingrain("read", READER, EMMA, "-o", small_disk / "m", timeout=60), 1, "the memory needs", "free there")
    refused(ingrain("generate", READER, "--prompt", "x", "--max-tokens", "1000000", *ENDLESS, "--save", small_disk / "m", timeout=60), 1, "the memory needs")
    refused(ingrain("ask", memory, "x", "--model", READER, "--max-tokens", "1000000", *ENDLESS, "--save", small_disk / "m", timeout=60), 1, "the memory needs")
    refused(ingrain("memory", "fork", memory, "-o", small_disk / "m"), 1, "No space left")
    assert list(small_disk.iterdir()) == [], "no notes without their memory"


def test_notes_that_are_none_are_known_before_the_answer(ingrain, memory, tmp_path):
    shutil.copy(memory, tmp_path / "m")
    (tmp_path / "m.notes").write_text("a shopping list")
    refused(ingrain("ask", tmp_path / "m", "x", "--model", "no-model", "--save", tmp_path / "after"), 1, "m.notes")


# Memories and numbers


@pytest.mark.parametrize("command", ["info", "fork"])
def test_a_damaged_memory_is_found(ingrain, memory, tmp_path, command):
    damaged = bytearray(memory.read_bytes())
    damaged[-1000] ^= 1
    (tmp_path / "damaged").write_bytes(damaged)
    more = ["-o", tmp_path / "copy"] if command == "fork" else []
    refused(ingrain("memory", command, tmp_path / "damaged", *more), 1, "damaged", "checksum")
    assert not (tmp_path / "copy").exists()


@pytest.fixture(scope="module")
def overflowing(tmp_path_factory):
    """A model whose every weight is a number and whose every loss is none."""
    folder = tmp_path_factory.mktemp("overflow")
    for name in ("config.json", "tokenizer.json"):
        shutil.copy(READER / name, folder)
    data = bytearray((READER / "model.safetensors").read_bytes())
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])
    name = next(n for n in ("model.norm.weight", "final_norm", "model.norm") if n in header)
    begin, end = (8 + size + offset for offset in header[name]["data_offsets"])
    value = struct.pack("<f", 3e38)
    data[begin:end] = value * ((end - begin) // 4) if header[name]["dtype"] == "F32" else value[2:] * ((end - begin) // 2)
    (folder / "model.safetensors").write_bytes(data)
    return folder


def test_a_loss_that_is_no_number_is_no_perfect_score(ingrain, overflowing, text, tmp_path):
    refused(ingrain("eval", overflowing, text, "--json"), 1, "position 1", "not finite")
    refused(ingrain("read", overflowing, text, "-o", tmp_path / "m"), 1, "position 1", "not finite")
    refused(ingrain("generate", overflowing, "--prompt", "x", "--save", tmp_path / "m"), 1, "not finite")
    refused(ingrain("demo", "--model", overflowing, "--output", tmp_path / "demo", "--tokens", "100"), 1, "not finite")
    assert list(tmp_path.iterdir()) == []


def test_a_mean_over_nothing_is_none(ingrain, tmp_path):
    config = json.loads((READER / "config.json").read_text())
    (tmp_path / "two.bin").write_bytes(struct.pack("<2H", 5, config["bos_token_id"]))
    done = ingrain("eval", READER, "--tokens", tmp_path / "two.bin", "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["learning_on"]["mean_nll"] is None
    done = ingrain("eval", READER, "--tokens", tmp_path / "two.bin")
    assert "0.0000" not in done.stdout and "-" in done.stdout.splitlines()[-3]


def test_a_short_demo_tells_its_cost_once(ingrain, tmp_path):
    done = ingrain("demo", "--tokens", "600", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("ms a token") == 1
    assert (tmp_path / "ingrain-demo" / "report.html").read_text().count("tokens 0 to 600") >= 1


# Signals


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
    for name in ("fifo", "fifo.gz", "fifo.zst", "fifo.jsonl"):
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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("command", ["import", "retrofit"])
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


# Data


@needs_faults
def test_odd_files_give_their_documents(ingrain, tmp_path):
    assert prepare(ingrain, fault("13-zst-long-window", tmp_path), "two.jsonl.zst") == (2, 8)
    folder = fault("15-names-in-capitals", tmp_path)
    for name in ("two.JSONL", "two.jsonl.GZ", "two.json"):
        assert prepare(ingrain, folder, name, out=name + "-data") == (2, 8), name
    folder = fault("16-jsonl-other-fields", tmp_path)
    for name, documents in (("nan", 2), ("overflow", 1), ("twice", 1)):
        assert prepare(ingrain, folder, f"{name}.jsonl", out=name)[0] == documents
    refused(prepare(ingrain, folder, "surrogate.jsonl", out="no"), 1, "surrogate.jsonl:2")
    assert prepare(ingrain, folder, "surrogate.jsonl", "--skip-bad", out="yes")[0] == 1


@needs_faults
def test_read_and_prepare_take_the_same_files_of_a_folder(ingrain, tmp_path):
    texts = FAULTS / "23-folder-of-gz" / "texts"
    done = ingrain("read", READER, texts, "-o", tmp_path / "m", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["files"] == 2 and json.loads(done.stdout)["skipped"] == 0


def test_a_dry_run_says_what_is_read_and_why_not_for_both(ingrain, tmp_path):
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    (folder / ".git").mkdir()
    (folder / ".gitignore").write_text("secret*\n")
    for name in ("a.txt", "sub/b.txt", "secret.txt", "yarn.lock", "picture.bin"):
        (folder / name).write_bytes(b"\0" if name == "picture.bin" else b"text")
    (folder / "link.txt").symlink_to("nowhere")
    shown = []
    for command in (("read", READER, folder, "-o", tmp_path / "m"),
                    ("data", "prepare", folder, "-t", READER, "-o", tmp_path / "out")):
        done = ingrain(*command, "--dry-run")
        assert done.returncode == 0, done.stderr
        shown.append(done.stdout)
        for words in ("read      ", "secret.txt: in .gitignore", "yarn.lock: generated", "picture.bin: binary", "link.txt: leads nowhere"):
            assert words in done.stdout
        everything = ingrain(*command, "--dry-run", "--no-ignore").stdout
        assert everything.count("read      ") == 4 and "secret" in everything
    shown.append(ingrain("read", READER, folder, "--dry-run").stdout)
    shown.append(ingrain("data", "prepare", folder, "--dry-run").stdout)  # nothing is written: no place for it is needed
    for words in (("read", READER, folder), ("data", "prepare", folder, "-t", READER)):
        refused(ingrain(*words), 2, "required")
    assert len(set(shown)) == 1 and not (tmp_path / "m").exists() and not (tmp_path / "out").exists()
    done = ingrain("read", READER, folder, "-o", tmp_path / "m", "--limit", "20")
    assert done.returncode == 0 and "link.txt: leads nowhere" in done.stderr and "secret" not in done.stderr
