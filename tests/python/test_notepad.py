"""The notepad beside a memory: written, carried along, looked up, named."""

import json
import pathlib
import sqlite3

import pytest
from test_cli import EMMA, READER, refused

FACT = "The password of the lighthouse at Marrowby is 73918."


def filler(start, count):
    text = EMMA.read_text()
    return text[start : start + count]


@pytest.fixture(scope="module")
def book(ingrain, tmp_path_factory):
    """A memory of a text with a fact far before its end, in a folder of its own."""
    folder = tmp_path_factory.mktemp("notes")
    before = filler(20000, 1500) + "\n\n"
    (folder / "book.txt").write_text(before + FACT + "\n\n" + filler(40000, 9000))
    done = ingrain("read", READER, folder / "book.txt", "-o", folder / "book.memory", "--json")
    assert done.returncode == 0, done.stderr
    root = json.loads(done.stdout)
    assert root["notes"] == str(folder / "book.memory.notes") and root["passages"] > 10
    return folder, len(before.encode())


def test_what_was_read_is_found_by_the_words_of_a_question(ingrain, book):
    folder, offset = book
    done = ingrain("ask", folder / "book.memory", "What is the password of the lighthouse?", "--notepad", "--json",
                   "--max-tokens", "4")
    assert done.returncode == 0, done.stderr
    root = json.loads(done.stdout)
    best = root["sources"][0]
    assert best["source"] == str(folder / "book.txt") and FACT in best["text"]
    data = (folder / "book.txt").read_bytes()
    assert data[best["offset"] :].startswith(best["text"].encode()) and best["offset"] <= offset
    assert 0 < len(root["sources"]) <= 4
    one = ingrain("ask", folder / "book.memory", "What is the password?", "--notepad", "--passages", "1", "--max-tokens", "4")
    assert one.stdout.rstrip().endswith(f"byte {best['offset']:,}]"), one.stdout


def test_passages_make_the_answer_likelier_and_are_not_in_the_memory(ingrain, book, tmp_path):
    folder, _ = book
    questions = tmp_path / "questions.jsonl"
    candidates = [" 73918", " 20467", " 11835"]
    questions.write_text(json.dumps({"question": "The password of the lighthouse at Marrowby is", "candidates": candidates}) + "\n\n")
    found = {}
    for name, more in (("memory", []), ("both", ["--notepad"])):
        done = ingrain("ask", folder / "book.memory", "--questions", questions, "--max-tokens", "6", *more)
        assert done.returncode == 0, done.stderr
        (line,) = done.stdout.splitlines()
        found[name] = json.loads(line)
        assert len(found[name]["log_probabilities"]) == 3
    assert "sources" not in found["memory"]
    assert found["both"]["log_probabilities"][0] > found["memory"]["log_probabilities"][0] + 1
    assert found["both"]["log_probabilities"][0] == max(found["both"]["log_probabilities"])
    # The memory has read question and answer, not the passages.
    assert found["both"]["tokens_read"] > found["memory"]["tokens_read"] + 50
    assert abs(found["both"]["position"] - found["memory"]["position"]) <= 6


def test_off_is_what_it_was(ingrain, book, tmp_path):
    folder, _ = book
    bare = tmp_path / "bare.memory"
    assert ingrain("read", READER, folder / "book.txt", "-o", bare, "--no-notes").returncode == 0
    assert bare.read_bytes() == (folder / "book.memory").read_bytes()
    assert not pathlib.Path(f"{bare}.notes").exists()
    refused(ingrain("ask", bare, "Who?", "--notepad"), 1, "bare.memory.notes", "ingrain read")
    refused(ingrain("chat", "--memory", bare, "--notepad"), 1, "bare.memory.notes")
    refused(ingrain("ask", folder / "book.memory", "Who?", "--notepad", "--passages", "0"), 2, "passages")


def test_notes_go_along_with_copies_and_grow_with_what_is_read(ingrain, book, tmp_path):
    folder, _ = book
    more = tmp_path / "more.txt"
    more.write_text("The captain of the Gallant is called Tobias Wren.\n")
    after = tmp_path / "after.memory"
    done = ingrain("read", READER, more, "--memory", folder / "book.memory", "-o", after, "--json")
    assert done.returncode == 0, done.stderr
    copy, small, asked = tmp_path / "copy.memory", tmp_path / "small.memory", tmp_path / "asked.memory"
    assert ingrain("memory", "fork", after, "-o", copy).returncode == 0
    assert ingrain("memory", "compact", READER, after, "-o", small).returncode == 0
    assert ingrain("ask", after, "Who?", "--max-tokens", "2", "--save", asked).returncode == 0
    for memory in (after, copy, small, asked):
        for question, part in (("Who is captain of the Gallant?", "Tobias"), ("lighthouse password", FACT)):
            done = ingrain("ask", memory, question, "--notepad", "--json", "--max-tokens", "1")
            assert part in json.loads(done.stdout)["sources"][0]["text"], memory
    # Another memory of the same name has other notes.
    assert ingrain("read", READER, more, "-o", copy, "--no-notes").returncode == 0
    assert not pathlib.Path(f"{copy}.notes").exists()


def test_a_limit_cuts_the_notes_too(ingrain, book, tmp_path):
    folder, _ = book
    done = ingrain("read", READER, folder / "book.txt", "-o", tmp_path / "m", "--limit", "100")
    assert done.returncode == 0, done.stderr
    rows = sqlite3.connect(tmp_path / "m.notes").execute("SELECT text FROM passages").fetchall()
    text = " ".join(row[0] for row in rows)
    assert 150 < len(text) < 1000 and FACT not in text
    assert (folder / "book.txt").read_text().startswith(rows[0][0][:100])


def test_what_lies_there_and_is_no_notepad_is_left_alone(ingrain, book, tmp_path):
    folder, _ = book
    mine = tmp_path / "m.notes"
    mine.write_text("my own notes")
    refused(ingrain("read", READER, folder / "book.txt", "-o", tmp_path / "m"), 1, "m.notes", "move it away")
    refused(ingrain("ask", folder / "book.memory", "Who?", "--max-tokens", "1", "--save", tmp_path / "m"), 1, "m.notes")
    refused(ingrain("memory", "fork", folder / "book.memory", "-o", tmp_path / "m"), 1, "m.notes")
    assert mine.read_text() == "my own notes" and not (tmp_path / "m").exists()


def test_chat_looks_up_what_was_read_before_and_in_it(ingrain, book, tmp_path):
    folder, _ = book
    more = tmp_path / "more.txt"
    more.write_text("The captain of the Gallant is called Tobias Wren.\n")
    said = f"What is the password of the lighthouse?\n/notes off\nand again the lighthouse\n/read {more}\n/notes on\nWho is captain of the Gallant?\n/save {tmp_path}/c.memory\n"
    done = ingrain("chat", "--memory", folder / "book.memory", "--notepad", "--passages", "1", "--max-tokens", "4",
                   input=said)
    assert done.returncode == 0, done.stderr
    sources = [line for line in done.stdout.splitlines() if line.startswith("  [")]
    assert len(sources) == 2 and "book.txt" in sources[0] and "more.txt" in sources[1], done.stdout
    done = ingrain("ask", tmp_path / "c.memory", "Who is captain of the Gallant?", "--notepad", "--json", "--max-tokens", "1")
    assert "Tobias" in json.loads(done.stdout)["sources"][0]["text"]


def test_questions_of_a_file_are_refused_by_line(ingrain, book, tmp_path):
    folder, _ = book
    memory, file = folder / "book.memory", tmp_path / "q"
    for bad in ("no json", "[]", '{"question": 3}', '{"question": "a", "candidates": "b"}', '{"question": "a", "candidates": [""]}'):
        file.write_text("\n" + bad + "\n")
        refused(ingrain("ask", memory, "--questions", file, "--max-tokens", "1"), 1, "line 2")
    refused(ingrain("ask", memory), 2, "--questions")
    refused(ingrain("ask", memory, "Who?", "--questions", file), 2, "not both")
