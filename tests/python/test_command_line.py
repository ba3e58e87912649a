"""What the program says of words that it does not know, and what is generated from its declarations."""
import json
import os
import pathlib
import shutil
import subprocess

import pytest
from conftest import BUILD

ROOT = pathlib.Path(__file__).resolve().parents[2]
READER = ROOT / "models" / "reader-17m"
EMMA = ROOT / "examples" / "data" / "emma.txt"


def refused(done, status, *words):
    assert done.returncode == status, done.stdout + done.stderr
    for word in words:
        assert word in done.stderr, done.stderr


def commands(ingrain):
    listed = ingrain("--help").stdout.split("Subcommands:")[1].splitlines()
    return [line.split()[0] for line in listed if line.startswith("  ")]


def test_unknown_commands_options_and_models_suggest_the_nearest(ingrain):
    refused(ingrain("raed"), 2, "no command 'raed'", "did you mean 'read'")
    refused(ingrain("memory", "inof"), 2, "did you mean 'info'")
    refused(ingrain("generate", READER, "--tempereture", "1"), 2, "no option --tempereture", "did you mean '--temperature'")
    refused(ingrain("frobnicate"), 2, "--help")
    refused(ingrain("generate", "reader-17", "--prompt", "x"), 1, "did you mean 'reader-17m'", "ingrain models")
    refused(ingrain("generate", ROOT / "models" / "raeder-17m", "--prompt", "x"), 1, "did you mean 'reader-17m'")


def test_models_are_known_by_name(ingrain):
    done = ingrain("generate", "reader-17m", "--prompt", "x", "--max-tokens", "1", "--json")
    assert done.returncode == 0, done.stderr


def test_a_memory_given_as_a_model_and_the_reverse_is_said(ingrain, tmp_path):
    memory = tmp_path / "m.memory"
    assert ingrain("read", READER, EMMA, "-o", memory, "--limit", "50").returncode == 0
    refused(ingrain("generate", memory, "--prompt", "x"), 2, "this is a memory, not a model", "--memory")
    for words in (("ask", READER, "Who?"), ("chat", "--memory", READER), ("generate", READER, "--memory", READER)):
        refused(ingrain(*words, input=""), 1, "a model, not a memory")
    refused(ingrain("ask", READER / "model.safetensors", "Who?"), 1, "of a model, not a memory")


def test_ranges_are_said_in_words(ingrain, tmp_path):
    refused(ingrain("read", READER, EMMA, "-o", tmp_path / "m", "--limit", "0"), 2, "--limit", "1 or more")
    refused(ingrain("eval", READER, EMMA, "--limit", "-3"), 2, "--limit", "1 or more")
    refused(ingrain("eval", READER, EMMA, "--limit", "ten"), 2, "--limit", "number")
    refused(ingrain("generate", READER, "--max-tokens", "-1"), 2, "--max-tokens", "0 or more")
    refused(ingrain("generate", READER, "--prompt", "x", "--top-p", "2"), 2, "top-p is 2")


def test_models_lists_what_is_there_with_sizes(ingrain, tmp_path):
    done = ingrain("models")
    assert done.returncode == 0, done.stderr
    line = next(line for line in done.stdout.splitlines() if "reader-17m" in line)
    assert "17M" in line and "MB" in line and "learns" in line
    listed = {pathlib.Path(m["path"]).name: m for m in json.loads(ingrain("models", "--json").stdout)}
    assert listed["reader-17m"]["usable"] and listed["reader-17m"]["bytes"] > 30e6
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text("{}")
    done = ingrain("models", "--json", env={**os.environ, "INGRAIN_MODELS": str(tmp_path)})
    assert any(m["path"].endswith("broken") and not m["usable"] for m in json.loads(done.stdout))


def test_models_are_found_beside_the_program_wherever_it_was_copied(tmp_path):
    """Its libraries are found by their paths; the sources it was built from are hidden from it by INGRAIN_HOME."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "ingrain"
    shutil.copy(BUILD / "src" / "cli" / "ingrain", program)
    (tmp_path / "share" / "ingrain" / "models").mkdir(parents=True)
    (tmp_path / "share" / "ingrain" / "models" / "mine").symlink_to(READER)
    done = subprocess.run([program, "models", "--json"], capture_output=True, text=True,
                          env={**os.environ, "INGRAIN_HOME": str(tmp_path / "none")})
    assert done.returncode == 0, done.stderr
    assert [pathlib.Path(m["path"]).name for m in json.loads(done.stdout)] == ["mine"]


def test_a_shell_completes_what_the_program_declares(ingrain, tmp_path):
    script = tmp_path / "ingrain.bash"
    script.write_text(ingrain("completion", "bash").stdout)

    def complete(*words):
        line = " ".join(f"'{w}'" for w in ("ingrain", *words))
        code = f"source {script}; COMP_WORDS=({line}); COMP_CWORD={len(words)}; _ingrain; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        done = subprocess.run(["bash", "-c", code], capture_output=True, text=True)
        assert done.stderr == ""
        return done.stdout.split()

    assert set(commands(ingrain)) <= set(complete(""))
    assert complete("re") == ["read", "retrofit"]
    assert complete("memory", "in") == ["info"]
    assert complete("generate", "m", "--temp") == ["--temperature"]
    assert complete("generate", "--learn", "") == ["all", "input", "off"]
    assert complete("generate", "--prompt", "") == [], "a text is the person's own"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions_name_every_command_and_option(ingrain, shell, tmp_path):
    text = ingrain("completion", shell).stdout
    for command in commands(ingrain):
        assert command in text
    assert "temperature" in text and "native q8_0 q4_1" in text
    if shutil.which(shell):
        (tmp_path / "it").write_text(text)
        done = subprocess.run([shell, "-n", tmp_path / "it"], capture_output=True, text=True)
        assert done.returncode == 0 and done.stderr == ""


def test_manual_pages_say_what_help_says(ingrain, tmp_path):
    done = ingrain("man", "-o", tmp_path)
    assert done.returncode == 0, done.stderr
    pages = {p.name: p.read_text() for p in tmp_path.iterdir()}
    assert {"ingrain.1", "ingrain-read.1", "ingrain-memory-info.1"} <= set(pages)
    for command in commands(ingrain):
        page = pages[f"ingrain-{command}.1"].replace("\\-", "-")
        assert page.startswith(f'.TH "INGRAIN-{command.upper()}" 1') and ".SH SYNOPSIS" in page
        for word in ingrain(command, "--help").stdout.split():
            option = word.split(",")[-1].split("[")[0]
            if option.startswith("--") and option.strip("-").replace("-", "").isalpha():
                assert option in page, (command, option)
    assert ingrain("man", "read").stdout == pages["ingrain-read.1"]
    refused(ingrain("man", "raed"), 2, "did you mean 'read'")
    if shutil.which("groff"):
        done = subprocess.run(["groff", "-man", "-ww", "-z", *tmp_path.iterdir()], capture_output=True, text=True)
        assert done.stderr == ""
