"""`ingrain data prepare|info|verify` from outside."""
import gzip
import json
import os
import pathlib
import signal
import subprocess
import time

import numpy as np
import pytest

from conftest import BUILD, ROOT, default_signals

TOKENIZER = ROOT / "tests" / "fixtures" / "tokenizers" / "gpt2.json"
REFERENCE = pathlib.Path(os.environ.get("INGRAIN_CASES", ROOT.parent / "shared")) / "reference-17m"


@pytest.fixture(autouse=True, scope="module")
def program(ingrain):
    global run
    run = ingrain


def data(*args, **kwargs):
    return run("data", *args, **kwargs)


def prepare(source, out, *args, **kwargs):
    return data("prepare", source, "--tokenizer", TOKENIZER, "--out", out, "--bos", 0, *args, **kwargs)


def lines(path, count):
    with path.open("w") as file:
        for i in range(count):
            file.write(json.dumps({"id": i, "text": f"Document {i}: " + "some words to read. " * (i % 20)}) + "\n")
    return path


def test_what_is_prepared_can_be_inspected_and_verified(tmp_path):
    source = lines(tmp_path / "in.jsonl", 500)
    done = prepare(source, tmp_path / "out", "--shuffle", 3, "--shard-tokens", 2000)
    assert done.returncode == 0, done.stderr
    assert "in 500 documents" in done.stdout
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["documents"] == 500 and len(manifest["shards"]) > 1
    info = data("info", tmp_path / "out")
    assert f"{manifest['tokens']} tokens in 500 documents" in info.stdout and "seed 3" in info.stdout
    assert data("verify", tmp_path / "out").returncode == 0


def test_damage_is_found_by_verify_and_named(tmp_path):
    prepare(lines(tmp_path / "in.jsonl", 100), tmp_path / "out")
    shard = tmp_path / "out" / "shard-00000.tokens"
    damaged = bytearray(shard.read_bytes())
    damaged[500] ^= 1
    shard.write_bytes(damaged)
    done = data("verify", tmp_path / "out")
    assert done.returncode == 1 and "shard-00000.tokens" in done.stderr and "damaged" in done.stderr


def stream(folder):
    """All tokens of a prepared folder, and how many documents they are."""
    manifest = json.loads((folder / "manifest.json").read_text())
    shards = [np.fromfile(folder / shard["file"], dtype="<u2", offset=128, count=shard["tokens"]) for shard in manifest["shards"]]
    return np.concatenate(shards), manifest


def test_parts_prepared_apart_are_made_one_by_a_manifest_and_equal_the_whole(tmp_path):
    (tmp_path / "in").mkdir()
    for i, count in enumerate([200, 3, 50, 1, 120, 7]):
        lines(tmp_path / "in" / f"{i}.jsonl", count)
    assert prepare(tmp_path / "in", tmp_path / "whole").returncode == 0
    for part in ("2/3", "3/3"):  # in any order
        assert prepare(tmp_path / "in", tmp_path / "out", "--part", part, "--shard-tokens", 3000).returncode == 0
    missing = data("merge", tmp_path / "out")
    assert missing.returncode == 1 and "part 1 of 3 is not there" in missing.stderr
    assert prepare(tmp_path / "in", tmp_path / "out", "--part", "1/3").returncode == 0
    merged = data("merge", tmp_path / "out")
    assert merged.returncode == 0, merged.stderr
    (whole, alone), (tokens, manifest) = stream(tmp_path / "whole"), stream(tmp_path / "out")
    assert np.array_equal(whole, tokens)
    assert [manifest[key] for key in ("documents", "text_bytes", "tokenizer", "sources")] == [
        alone[key] for key in ("documents", "text_bytes", "tokenizer", "sources")]
    assert data("verify", tmp_path / "out").returncode == 0
    assert "part-00001-of-00003/shard-00000.tokens" in data("info", tmp_path / "out").stdout
    # A part is a corpus of its own, and of about a third of the bytes as far as whole files allow.
    assert data("verify", tmp_path / "out" / "part-00002-of-00003").returncode == 0


def test_parts_that_cannot_be_are_refused(tmp_path):
    source = lines(tmp_path / "in.jsonl", 3)
    for words, status, why in ((("--part", "2"), 2, "as in 3/8"), (("--part", "0/2"), 2, "as in 3/8"),
                               (("--part", "1/2"), 1, "2 parts of 1 files"),
                               (("--part", "1/1", "--shuffle", 1), 2, "keep their order")):
        done = prepare(source, tmp_path / "out", *words)
        assert done.returncode == status and why in done.stderr, done.stderr
    prepare(source, tmp_path / "out", "--part", "1/1")
    manifest = tmp_path / "out" / "part-00001-of-00001" / "manifest.json"
    manifest.write_text(manifest.read_text().replace("shard-00000.tokens", "../../x"))
    done = data("merge", tmp_path / "out")
    assert done.returncode == 1 and "'shards[0].file'" in done.stderr.replace('"', "'"), done.stderr


def test_the_same_input_gives_the_same_bytes(tmp_path):
    source = lines(tmp_path / "in.jsonl", 300)
    for out, threads in [("a", 1), ("b", 3)]:
        assert prepare(source, tmp_path / out, "--shuffle", 9, "--threads", threads).returncode == 0
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes(), file.name


def test_text_cannot_forge_a_special_token_unless_asked(tmp_path):
    special = [t["content"] for t in json.loads(TOKENIZER.read_text())["added_tokens"] if t["special"]][0]
    (tmp_path / "in.txt").write_text(f"one{special}two")
    counts = []
    for out, flags in [("plain", []), ("special", ["--special-tokens"])]:
        assert prepare(tmp_path / "in.txt", tmp_path / out, *flags).returncode == 0
        counts.append(json.loads((tmp_path / out / "manifest.json").read_text())["tokens"])
    assert counts[0] > counts[1]


def test_extensions_choose_files_in_folders(tmp_path):
    source = tmp_path / "in"
    source.mkdir()
    for name in ["a.md", "b.txt", "c.py", "d.md.gz"]:
        text = name.encode() * 10
        (source / name).write_bytes(gzip.compress(text) if name.endswith("gz") else text)
    done = data("prepare", "--ext", "md,.py", source, "-t", TOKENIZER, "-o", tmp_path / "out", "--bos", 0)
    assert done.returncode == 0, done.stderr
    assert "in 3 documents" in done.stdout and "left out: 1 file (" in done.stdout


@pytest.mark.parametrize(
    "args, status, words",
    [
        (["prepare"], 2, []),
        (["prepare", "in.jsonl", "--out", "out"], 2, ["tokenizer"]),
        (["prepare", "absent.txt", "--out", "out", "--tokenizer", TOKENIZER, "--bos", 0], 1, ["absent.txt"]),
        (["prepare", "in.jsonl", "--out", "out", "--tokenizer", "absent.json"], 1, ["absent.json"]),
        (["prepare", "in.jsonl", "--out", "out", "--tokenizer", TOKENIZER, "--bos", 10**6], 2, ["--bos"]),
        (["prepare", "in.jsonl", "--out", "out", "--tokenizer", TOKENIZER, "--bos", -1], 2, ["--bos"]),
        (["prepare", "in.jsonl", "--out", "out", "--tokenizer", TOKENIZER, "--bos", 0, "--shard-tokens", 0], 2, ["shard-tokens"]),
        (["prepare", "in.jsonl", "--out", "out", "--tokenizer", TOKENIZER, "--bos", 0, "--field", "body"], 1, ["in.jsonl:1", "as the field"]),
        (["prepare", "in.jsonl", "--out", "in.jsonl", "--tokenizer", TOKENIZER, "--bos", 0], 1, ["in.jsonl", "exists"]),
        (["info", "in.jsonl", "--type", "float"], 2, ["u16"]),
        (["info", "."], 1, ["manifest.json"]),
        (["verify", "absent"], 1, ["absent"]),
        (["frobnicate"], 2, []),
    ],
)
def test_errors_name_the_culprit_and_have_the_right_status(tmp_path, args, status, words):
    lines(tmp_path / "in.jsonl", 3)
    before = sorted(tmp_path.iterdir())
    done = data(*args, cwd=tmp_path)
    assert done.returncode == status, done.stderr
    for word in words:
        assert word in done.stderr
    assert sorted(tmp_path.iterdir()) == before, "something was left behind"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("flags", [[], ["--shuffle", "1"]])
def test_an_interrupted_preparation_leaves_nothing_behind(tmp_path, number, flags):
    with gzip.open(tmp_path / "in.jsonl.gz", "wt", compresslevel=1) as file:
        for i in range(400_000):
            file.write(json.dumps({"text": f"Document {i}: " + "some words to read. " * 20}) + "\n")
    command = [BUILD / "src" / "cli" / "ingrain", "data", "prepare", "in.jsonl.gz", "-t", TOKENIZER, "-o", "out", "--bos", "0", *flags]
    running = subprocess.Popen(list(map(str, command)), cwd=tmp_path, stderr=subprocess.PIPE, text=True,
                               preexec_fn=default_signals)
    deadline = time.monotonic() + 30
    while not list(tmp_path.glob("out.ingrain-partial-*/*")) and time.monotonic() < deadline:
        time.sleep(0.01)
    running.send_signal(number)
    _, stderr = running.communicate(timeout=60)
    assert running.returncode == 128 + number and "stopped" in stderr
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl.gz"]


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 256 KiB; skipped where mounting is not allowed."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small file system is not allowed here")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_is_reported_and_left_clean(tmp_path, small_disk):
    done = prepare(lines(tmp_path / "in.jsonl", 20_000), small_disk / "out")
    assert done.returncode == 1 and "No space left" in done.stderr and "out" in done.stderr
    assert list(small_disk.iterdir()) == []


def test_a_read_only_folder_is_reported(tmp_path, small_disk):
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    done = prepare(lines(tmp_path / "in.jsonl", 10), small_disk / "out")
    assert done.returncode == 1 and "Read-only" in done.stderr and str(small_disk) in done.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_reported(tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    done = prepare(lines(tmp_path / "in.jsonl", 10), locked / "out")
    assert done.returncode == 1 and "Permission denied" in done.stderr and "locked" in done.stderr


@pytest.mark.skipif(not REFERENCE.exists(), reason="the reference model is not at hand")
def test_emma_becomes_the_tokens_that_the_reference_model_was_validated_on(tmp_path):
    done = data("prepare", REFERENCE / "validation" / "emma.txt", "-t", REFERENCE / "tokenizer.json", "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    want = np.fromfile(REFERENCE / "validation" / "val_emma.bin", np.uint16)
    got = np.frombuffer((tmp_path / "out" / "shard-00000.tokens").read_bytes(), np.uint16, count=len(want), offset=128)
    np.testing.assert_array_equal(got, want)
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["tokens"] == len(want)
