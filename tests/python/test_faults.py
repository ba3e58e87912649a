"""The collection ../shared/faults, where it is there: every folder, and every case of its faults.py, has its right value in a test.

01, 13, 15, 16, 23, 24: test_unlucky.py; 02, 07, 20, 22 and 11 (all but 02 and 07 in 05's folder): test_chat.py; 06, 09, 12, 17, 18:
test_model_faults.py; 03, 04, 05, 08, 19 and faults.py: here. faults.py needs torch, transformers, tokenizers and gguf in the Python
that INGRAIN_FAULTS_PYTHON names (default: this one)."""
import ast
import functools
import json
import os
import re
import struct
import subprocess
import sys

import pytest
from conftest import BUILD
from test_model_faults import FAULTS

pytestmark = pytest.mark.skipif(not FAULTS.is_dir(), reason="shared/faults is not here")
PYTHON = os.environ.get("INGRAIN_FAULTS_PYTHON", sys.executable)


def tokens_of(ingrain, model, text):
    done = ingrain("eval", model, text, "--learning", "off", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["tokens"], done.stderr


def test_a_gguf_without_a_pre_tokenizer_is_read_as_llama_cpp_reads_it_and_says_so(ingrain):
    folder = FAULTS / "03-gguf-without-pre"
    _, said = tokens_of(ingrain, folder / "without-pre.gguf", folder / "text.txt")
    assert "tokenizer.ggml.pre is missing" in said
    _, said = tokens_of(ingrain, folder / "with-pre.gguf", folder / "text.txt")
    assert "tokenizer.ggml.pre" not in said


def test_importing_such_a_gguf_says_so_too(ingrain, tmp_path):
    done = ingrain("import", FAULTS / "03-gguf-without-pre" / "without-pre.gguf", "-o", tmp_path / "out")
    assert done.returncode == 0 and "tokenizer.ggml.pre is missing" in done.stderr, done.stderr


def test_tokens_that_only_the_configuration_knows_are_tokens(ingrain):
    folder = FAULTS / "04-tokens-only-in-tokenizer-config"
    assert tokens_of(ingrain, folder / "model", folder / "text.txt")[0] == 5


def test_a_turn_ends_at_an_end_that_stands_only_in_the_vocabulary(ingrain):
    done = ingrain("generate", FAULTS / "05-gguf-end-of-turn" / "m.gguf", "--prompt", "Q", "--temperature", "0", "--max-tokens", "12", "--json")
    said = json.loads(done.stdout)
    assert said["text"] == "Hi" and said["stopped_by"] == "end of text", done.stderr


def test_a_bos_token_that_is_null_is_none(ingrain, tmp_path):
    done = ingrain("chat", FAULTS / "08-bos-token-null" / "model", "--temperature", "0", "--max-tokens", "9", input="q1\n/stats\n",
                   env={**os.environ, "XDG_STATE_HOME": str(tmp_path)})
    assert "24 tokens read" in done.stdout, done.stdout + done.stderr


def test_templates_render_as_jinja2_renders_them(probe):
    cases = json.loads((FAULTS / "19-jinja" / "cases.json").read_text())
    answers = json.loads(probe("render", stdin=json.dumps(cases).encode()))
    assert [a.get("text", a) for a in answers] == [case["want"] for case in cases]


@functools.cache
def libraries():
    found = "import sys; from importlib.util import find_spec; sys.exit(not all(map(find_spec, ('torch', 'transformers', 'tokenizers', 'gguf'))))"
    return subprocess.run([PYTHON, "-c", found], capture_output=True).returncode == 0


def run(*names):
    return subprocess.run([PYTHON, FAULTS / "faults.py", *names], capture_output=True, text=True, env={**os.environ, "INGRAIN_BUILD": str(BUILD)})


@functools.cache
def all_that_print():
    """Of every case up to one that fails, what it prints: the libraries take seconds to begin."""
    cases = re.split(r"^== (\w+)\n", (done := run()).stdout, flags=re.MULTILINE)[1:]
    printed = dict(zip(cases[::2], cases[1::2]))
    if done.returncode and printed:
        printed.popitem()
    return printed


def both_sides(name):
    """What a case of faults.py prints, line by line."""
    if not libraries():
        pytest.skip(f"{PYTHON} lacks torch, transformers, tokenizers or gguf; name one that has them in INGRAIN_FAULTS_PYTHON")
    if name in all_that_print():
        return all_that_print()[name].splitlines()
    done = run(name)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[1:]


@pytest.mark.parametrize("name", ["tied_with_own_head", "yarn_original_length_at_top_level", "llama_with_window_fields"])
def test_a_made_model_has_transformers_loss(name):
    (line,) = both_sides(name)
    theirs, ours = (float(x) for x in re.findall(r"\d+\.\d+", line))
    assert ours == pytest.approx(theirs, abs=2e-5), line


def test_an_added_letter_takes_no_byte_away():
    assert both_sides("added_letter_loses_a_byte") == ["tokenizers [163, 119, 258] ingrain [163, 119, 258]"]


def test_added_tokens_are_found_wherever_they_stand():
    lines = both_sides("tokens_only_in_tokenizer_config")
    assert len(lines) == 5
    for line in lines:
        theirs, ours = (ast.literal_eval(ids) for ids in re.findall(r"\[[^]]*\]", line))
        assert ours == theirs, line


def test_patterns_split_as_tokenizers_splits():
    for line in both_sides("split_patterns"):
        assert line.endswith("differs for []"), line


def test_a_template_sees_the_tokens_that_transformers_shows_it():
    lines = both_sides("chat_form")
    assert len(lines) == 3
    for line in lines:
        theirs, ours = re.search(r" (\d+) tokens \| ingrain reads (\d+)$", line).groups()
        assert ours == theirs, line


def test_a_window_that_the_family_does_not_have_changes_nothing():
    (line,) = both_sides("gguf_sliding_window")
    without, given = re.findall(r"\d+\.\d+", line)
    assert given == without, line


def test_no_pre_tokenizer_and_default_cut_as_llama_cpp_does():
    none, default, gpt2 = (ast.literal_eval(re.search(r"\[.*\]", line)[0]) for line in both_sides("gguf_pre_default"))
    assert none == default == [67, 223, 9, 86] != gpt2, "\"'\" and \"t\" apart from each other and from the blank"


def test_known_names_of_pre_tokenizers_are_read_and_a_split_file_as_the_whole_one():
    lines = both_sides("gguf_refused")
    for line in lines[:-2]:
        name, rest = line.split(" ", 1)
        assert name in ("deepseek-llm",) or re.fullmatch(r"\d+\.\d+", rest), line
    split, whole = (float(re.search(r"\d+\.\d+", line)[0]) for line in lines[-2:])
    assert split == whole


def test_the_ends_of_turns_of_a_template_end_an_answer():
    assert both_sides("gguf_end_of_turn") == ["{'stopped_by': 'end of text', 'tokens_written': 1}"]


def test_families_are_read_or_named():
    lines = both_sides("families_refused")
    for line in lines[:-1]:
        name = line.split(" ", 1)[0]
        assert re.search(r" \d+\.\d+$", line) or " Phi3ForCausalLM" in line, line  # the end of what is supported
        assert name != "SmolLM3" or re.search(r" \d+\.\d+$", line), line
    assert "without a head" in lines[-1]
