"""Which files and documents `read` and `data prepare` take, and what they say of the others."""
import bz2
import gzip
import json
import lzma

from test_cli import READER, refused
from unlucky import FAULTS, fault, needs_faults, prepare

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

def test_text_that_is_not_utf8_is_refused_by_every_command_that_takes_text(ingrain, tmp_path):
    """PowerShell and Windows' editors write UTF-16."""
    wide = tmp_path / "wide.txt"
    wide.write_bytes("Emma Woodhouse, handsome, clever, and rich\r\n".encode("utf-16-le"))
    for words in (("read", READER, wide, "-o", tmp_path / "m"), ("data", "prepare", wide, "-t", READER, "-o", tmp_path / "out"), ("eval", READER, wide),
                  ("demo", "--text", wide, "--output", tmp_path / "demo"), ("bench", "decode", READER, "--text", wide)):
        refused(ingrain(*words), 1, "wide.txt: cannot be read as text: it is UTF-16LE", "iconv -f UTF-16LE")
    for words in (("tokens", READER, "-"), ("read", READER, "-", "-o", tmp_path / "m")):
        with wide.open("rb") as said:
            refused(ingrain(*words, stdin=said), 1, "standard input: cannot be read as text: it is UTF-16LE")
    done = ingrain("chat", READER, input=f"/read {wide}\n", env={"XDG_STATE_HOME": str(tmp_path)})
    assert "it is UTF-16LE" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["wide.txt"]


def test_documents_in_an_array_are_named(ingrain, tmp_path):
    documents = [{"id": 1, "text": "one"}, {"id": 2, "text": "two"}]
    for name, shown in (("x.json", json.dumps(documents)), ("x.jsonl", json.dumps(documents, indent=1))):
        (tmp_path / name).write_text(shown)
        refused(ingrain("read", READER, tmp_path / name, "-o", tmp_path / "m"), 1, name, "no JSON object but an array", "jq -c")


def test_compressed_files_under_other_names_are_not_read_as_text(ingrain, tmp_path):
    """Their bytes would be tokens without a word."""
    text = b"Emma Woodhouse, handsome, clever, and rich\n" * 3
    zstandard = bytes.fromhex("28b52ffd2004210000") + b"Emma" + bytes(4)
    compressed = {"gz.txt": gzip.compress(text), "b.txt.bz2": bz2.compress(text), "x.txt.xz": lzma.compress(text), "z.jsonl.zstd": zstandard}
    for name, data in compressed.items():
        (tmp_path / name).write_bytes(data)
        for words in (("read", READER, tmp_path / name, "-o", tmp_path / "m"), ("data", "prepare", tmp_path / name, "-t", READER, "-o", tmp_path / "out"),
                      ("eval", READER, tmp_path / name)):
            refused(ingrain(*words), 1, name, "cannot be read as text: it is compressed by")
        refused(ingrain("tokens", READER, "-", stdin=open(tmp_path / name, "rb")), 1, "standard input", "compressed by")
    (tmp_path / "BZh.txt").write_text("BZh is how bzip2's files begin.")
    (tmp_path / "whole.GZ").write_bytes(gzip.compress(text))
    for name in ("BZh.txt", "whole.GZ"):
        assert ingrain("read", READER, tmp_path / name, "-o", tmp_path / "m").returncode == 0
    refused(ingrain("eval", READER, tmp_path / "whole.GZ"), 1, "compressed by gzip")
