"""An unlucky user: full disks, wrong places, numbers that overflow. Nothing is lost without a word."""
import json
import os
import shutil
import struct
import subprocess

import pytest
from test_cli import CASES, EMMA, READER, refused
from test_signals import large_llama
from unlucky import ENDLESS, ENVIRONMENT, FAULTS, PROGRAM, fault, memory, needs_faults, prepare, text  # noqa: F401

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


@needs_faults
@pytest.mark.parametrize("text", ["[model]\nhidden_size = 32\n", '{"text": "of somebody"}\n', "a line"])
def test_a_file_that_is_no_log_is_not_cut_for_one(ingrain, tmp_path, text):
    folder = fault("01-final-validation-loses-run", tmp_path)
    prepare(ingrain, folder, "text.txt")
    (folder / "mine").write_text(text)
    train = lambda log: ingrain("train", "run.toml", "--set", "validation.paths=data", "--set", f"log.file={log}", cwd=folder, env=ENVIRONMENT)
    refused(train("mine"), 1, "mine", "no log of a run", "log.file")
    refused(train("run.toml"), 1, "run.toml", "no log of a run")
    assert (folder / "mine").read_text() == text and not list(folder.glob("*/checkpoint-*"))
    assert train("log").returncode == 0
    for begun in ("", '{"a line that a full disk cut', (folder / "log").read_text()):
        shutil.rmtree(folder / "run")
        (folder / "log").write_text(begun)
        assert train("log").returncode == 0, "and a run's log is begun anew"


# Outputs


def test_what_is_worked_on_is_not_replaced_by_what_is_made(ingrain, text, memory, tmp_path):
    model = tmp_path / "model"
    shutil.copytree(READER, model)
    own, mine = tmp_path / "own.txt", tmp_path / "link"
    shutil.copy(text, own)
    mine.symlink_to(own)
    before = {path: path.read_bytes() for path in (own, *model.iterdir())}
    for place in (own, mine):
        refused(ingrain("read", model, own, "-o", place), 1, place.name, "is what is to be read")
        refused(ingrain("read", model, tmp_path, "--ext", "txt", "-o", place), 1, place.name, "is what is to be read")
    for name in ("model.safetensors", "config.json", "tokenizer.json"):
        place = model / name
        for words in (("read", model, text, "-o", place), ("generate", model, "--prompt", "x", "--max-tokens", "1", "--save", place),
                      ("ask", memory, "x", "--model", model, "--max-tokens", "1", "--save", place), ("memory", "compact", model, memory, "-o", place),
                      ("export", model, "-o", place), ("quantize", model, "--force", "-o", place)):
            refused(ingrain(*words), 1, name, "is the model's own")
    assert before == {path: path.read_bytes() for path in (own, *model.iterdir())}
    for _ in range(2):  # its own memory, and again
        assert ingrain("read", model, text, "-o", model / "book.safetensors").returncode == 0
    assert ingrain("read", model, text, "-o", model / "book.safetensors", "--memory", model / "book.safetensors").returncode == 0


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
    assert (tmp_path / "kept.memory.notes").is_file() and not (tmp_path / "link.notes").exists(), "beside the file, whichever name it is given by"
    refused(ingrain("ask", tmp_path / "link", "x", "--model", "no-model", "--notepad"), 1, "no-model")
    for command in (("import", "no-model"), ("retrofit", "no-model")):
        refused(ingrain(*command, "-o", tmp_path / "kept.memory"), 1, "kept.memory", "no folder")
    refused(ingrain("demo", "--model", "no-model", "--output", tmp_path / "kept.memory"), 1, "kept.memory")
    (tmp_path / "folder" / "report.html").mkdir()
    refused(ingrain("demo", "--model", "no-model", "--output", tmp_path / "folder"), 1, "report.html")
    for command in (("import", "no-model"), ("retrofit", "no-model"), ("data", "prepare", "no-text", "-t", READER), ("demo", "--text", "no-text")):
        place = "--output" if command[0] == "demo" else "-o"
        assert ingrain(*command, place, tmp_path / "new" / "one").returncode == 1
        assert not (tmp_path / "new").exists(), command


@needs_faults
def test_a_link_leads_to_the_folder_that_is_made(ingrain, text, tmp_path):
    model = FAULTS / "12-tied-with-another-head" / "model"
    for command in (("import", model), ("retrofit", model), ("data", "prepare", text, "-t", READER), ("man",), ("demo", "--tokens", "2")):
        place = tmp_path / command[0]
        place.mkdir()
        (place / "empty").mkdir()
        (place / "to-empty").symlink_to("empty")
        (place / "to-nothing").symlink_to("made/")
        (place / "circle").symlink_to("circle")
        (place / "file").write_text("x")
        output = "--output" if command[0] in ("demo", "man") else "-o"
        for name, made in (("to-empty", "empty"), ("to-nothing", "made")):
            done = ingrain(*command, output, place / name)
            assert done.returncode == 0, (command, name, done.stderr)
            assert list((place / made).iterdir())
        refused(ingrain(*command, output, place / "circle"), 1, "circle")
        refused(ingrain(*command, output, place / "file"), 1, "file")
        assert sorted(path.name for path in place.iterdir()) == ["circle", "empty", "file", "made", "to-empty", "to-nothing"], command
        assert all((place / name).is_symlink() for name in ("circle", "to-empty", "to-nothing")), "no link is removed or replaced"


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
    ("generate", READER, "--prompt", "x", "--save", ""), ("generate", READER, "--prompt", "x", "--stop", ""), ("ask", "x.memory", "q", "--save", ""), ("ask", "x.memory", "q", "--model", ""),
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


@needs_faults
def test_a_disk_without_room_for_a_checkpoint_is_left_as_it_was(ingrain, tmp_path, small_disk):
    folder = fault("01-final-validation-loses-run", tmp_path)
    prepare(ingrain, folder, "text.txt")
    (small_disk / "full").write_bytes(bytes(4 << 20)[:-4096 * 4])
    done = ingrain("train", "run.toml", "--set", "validation.paths=data", "--set", f"checkpoint.folder={small_disk}/run/one", cwd=folder, env=ENVIRONMENT, timeout=60)
    refused(done, 1, "a checkpoint needs", "free there")
    assert [path.name for path in small_disk.iterdir()] == ["full"]


def test_a_disk_without_room_for_a_memory_is_known_before_the_work(ingrain, memory, text, small_disk):
    refused(ingrain("read", READER, EMMA, "-o", small_disk / "m", timeout=60), 1, "the memory needs", "free there")
    refused(ingrain("generate", READER, "--prompt", "x", "--max-tokens", "1000000", *ENDLESS, "--save", small_disk / "m", timeout=60), 1, "the memory needs")
    refused(ingrain("ask", memory, "x", "--model", READER, "--max-tokens", "1000000", *ENDLESS, "--save", small_disk / "m", timeout=60), 1, "the memory needs")
    refused(ingrain("memory", "fork", memory, "-o", small_disk / "m"), 1, "No space left")
    assert list(small_disk.iterdir()) == [], "no notes without their memory"
    refused(ingrain("demo", "--output", small_disk / "demo", timeout=60), 1, "the memory needs", "free there")
    assert list(small_disk.iterdir()) == []


def test_a_disk_without_room_for_a_model_is_known_before_the_work(ingrain, tmp_path, small_disk):
    (tmp_path / "model").mkdir()
    model = large_llama(tmp_path / "model")
    for words in (("import", model, "-o", small_disk / "m"), ("retrofit", model, "-o", small_disk / "m", "--full"), ("quantize", model, "-o", small_disk / "m.gguf")):
        refused(ingrain(*words, timeout=120), 1, "model needs", "free there")
        assert list(small_disk.iterdir()) == []


@pytest.mark.skipif(not (CASES / "reference-17m").is_dir(), reason="no reference model at hand")
def test_a_disk_without_room_for_a_reference_model_is_known_before_it_is_written(ingrain, small_disk):
    for words in (("export", READER, "-o", small_disk / "x"), ("import", CASES / "reference-17m", "-o", small_disk / "m")):
        refused(ingrain(*words, timeout=120), 1, "model needs", "free there")
        assert list(small_disk.iterdir()) == []


def test_manual_pages_are_all_there_or_none(ingrain, small_disk):
    (small_disk / "full").write_bytes(bytes((4 << 20) - 60_000))
    refused(ingrain("man", "-o", small_disk / "man"), 1, "No space left")
    assert [path.name for path in small_disk.iterdir()] == ["full"]


def test_what_is_said_of_a_conversation_without_room_is_true(ingrain, small_disk):
    """Its text has room, its memory has none."""
    environment = {**os.environ, "XDG_STATE_HOME": str(small_disk)}
    done = ingrain("chat", READER, "--max-tokens", "2", input="Who is Emma?\n", env=environment)
    assert "will read this conversation again" in done.stderr and "not find" not in done.stderr, done.stderr
    assert "> Who is Emma?" in ingrain("chat", "--last", input="/stats\n", env=environment).stdout


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
