"""What the program says of words that it does not know, and what is generated from its declarations."""
import itertools
import json
import os
import pathlib
import shutil
import signal
import struct
import subprocess
import time

import pytest
from conftest import BUILD
from terminal import Terminal

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
    refused(ingrain("generate", "READER-17M", "--prompt", "x"), 1, "did you mean 'reader-17m'")
    refused(ingrain("generate", "17m", "--prompt", "x"), 1, "did you mean 'reader-17m'")
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
    (tmp_path / "empty").touch()
    for other in (EMMA, tmp_path / "empty", READER / "config.json"):
        refused(ingrain("memory", "info", other), 1, f"{other}: no memory file; 'ingrain read' makes them")


def test_ranges_are_said_in_words(ingrain, tmp_path):
    refused(ingrain("read", READER, EMMA, "-o", tmp_path / "m", "--limit", "0"), 2, "--limit", "1 or more")
    refused(ingrain("eval", READER, EMMA, "--limit", "-3"), 2, "--limit", "1 or more")
    refused(ingrain("eval", READER, EMMA, "--limit", "ten"), 2, "--limit", "number")
    refused(ingrain("generate", READER, "--max-tokens", "-1"), 2, "--max-tokens", "0 or more")
    refused(ingrain("generate", READER, "--prompt", "x", "--top-p", "2"), 2, "top-p is 2")
    refused(ingrain("generate", READER, "--seed", "18446744073709551616"), 2, "out of range", "from 0 to 18446744073709551615")
    refused(ingrain("ask", "m", "q", "--passages", "65"), 2, "65 is out of range; it must be a whole number from 1 to 64")
    refused(ingrain("serve", "--lease", "nan"), 2, "nan is out of range; it must be a number from 1 to 86400")
    refused(ingrain("serve", env={**os.environ, "INGRAIN_SERVE_PORT": "65536"}), 2, "from 0 to 65535")


def every_command(ingrain, *path):
    """All commands by their words, with what --help says of each."""
    text = ingrain(*path, "--help").stdout
    if path:
        yield path, text
    if "Subcommands:" in text:
        listed = text.split("Subcommands:")[1].split("\n\n")[0].splitlines()
        for line in listed:
            if line.startswith("  ") and not line.startswith("   "):
                yield from every_command(ingrain, *path, line.split()[0])


def number_options(text, kinds):
    return [line.split()[0].split(",")[-1] for line in text.splitlines()
            if line.strip().startswith("-") and len(line.split()) > 1 and line.split()[1].split(":")[0].split("=")[0] in kinds]


def test_every_option_that_takes_a_number_refuses_what_is_none_with_its_range(ingrain):
    """One value each, in turn: starting the program takes longer than all that it does here."""
    whole = itertools.cycle((("18446744073709551616", "is out of range; it must be a whole number from "), ("1.5", "'1.5' is no whole number; it must be"),
                             ("-9223372036854775809", "is out of range; it must be a whole number"), ("0x10", "'0x10' is no whole number"), ("5 ", "'5 '")))
    real = itertools.cycle(("many", "nan", "inf", "1e999"))
    asked = set()
    for path, text in every_command(ingrain):
        for option in number_options(text, {"INT", "UINT"}):
            value, words = next(whole)
            done = ingrain(*path, f"{option}={value}")
            assert done.returncode == 2 and option in done.stderr and words in done.stderr, (path, option, value, done.stderr)
            assert " from " in done.stderr or " or more" in done.stderr, (path, option, value, done.stderr)
            asked.add(option)
        for option in number_options(text, {"FLOAT"}):
            value = next(real)
            done = ingrain(*path, option, value)
            assert done.returncode == 2 and option in done.stderr and "it must be a" in done.stderr, (path, option, value, done.stderr)
        assert "{" not in "".join(line.split()[0] for line in text.splitlines() if line.strip().startswith("-")), (path, "a flag's value")
    assert len(asked) > 20, "as many as there are; --help is read wrongly if there are few"


def test_text_for_tokens_may_come_through_a_pipe(ingrain):
    done = ingrain("tokens", READER, "-", "--json", input="Emma")
    assert done.returncode == 0 and json.loads(done.stdout) == json.loads(ingrain("tokens", READER, "Emma", "--json").stdout), done.stderr


def test_a_number_with_leading_zeros_is_decimal(ingrain):
    done = ingrain("eval", READER, EMMA, "--limit", "010", "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["tokens"] == 10


def test_a_step_s_delay_is_below_the_chunk_and_changes_what_is_read(ingrain):
    refused(ingrain("eval", READER, EMMA, "--step-delay", "256"), 1, "'inner_step_delay' is 256", "below 'chunk_size' (256)")
    refused(ingrain("chat", READER, "--step-delay", "-1", input=""), 2, "--step-delay", "out of range")
    eval_ = ("eval", READER, EMMA, "--limit", "300", "--dtype", "fp32", "--json", "--per-token", "--step-delay")
    now, later = (json.loads(ingrain(*eval_, delay).stdout) for delay in ("0", "8"))
    on, off, delayed = now["learning_on"]["nll"], now["learning_off"]["nll"], later["learning_on"]["nll"]
    close = lambda a, b: abs(a - b) < 1e-4
    assert all(close(a, b) for a, b in zip(delayed[1:265], off[1:265])), "the chunk of 256 and eight tokens more"
    assert not all(close(a, b) for a, b in zip(on[257:265], off[257:265]))
    assert not all(close(a, b) for a, b in zip(delayed[265:], off[265:]))


def test_words_that_are_none_of_the_known_ones_suggest_the_nearest(ingrain):
    refused(ingrain("completion", "bsh"), 2, "'bsh' is not known; choose one of: bash, zsh, fish", "did you mean 'bash'")
    refused(ingrain("generate", READER, "--learn", "inputs"), 2, "choose one of: all, input, off", "did you mean 'input'")
    refused(ingrain("retrofit", READER, "-o", "x", "--start", "copy"), 2, "choose one of: copied, random")
    refused(ingrain("eval", READER, EMMA, "--weights", "q4_0"), 2, "choose one of: native, expanded, q8_0, q4_1")


def test_logit_biases_blame_what_is_wrong(ingrain):
    bias = lambda text: ingrain("generate", READER, "--prompt", "x", "--logit-bias", text)
    refused(bias("-1=1"), 2, "the id -1 is out of range", "from 0 to 2147483647")
    refused(bias("99999999999=1"), 2, "the id 99999999999 is out of range")
    refused(bias("1.5=1"), 2, "the id '1.5' is no whole number")
    refused(bias("13"), 2, "not ID=VALUE")
    for value in ("1e999", "nan", "inf", "", "x", "1x"):
        refused(bias(f"13={value}"), 2, f"'{value}' is no bias")


def test_what_is_no_model_says_what_to_give(ingrain, tmp_path):
    weights = READER / "model.safetensors"
    commands = lambda given: [("generate", given, "--prompt", "x"), ("eval", given, EMMA), ("bench", "read", given), ("retrofit", given, "-o", tmp_path / "o"),
                              ("export", given, "-o", tmp_path / "o"), ("import", given, "-o", tmp_path / "o"), ("demo", "--model", given, "--output", tmp_path / "o"),
                              ("serve", given, "--store", "none", "--port", "0"), ("chat", given)]
    for words in commands(weights):
        refused(ingrain(*words, input=""), 1, "the weights of a model, not the model", f"give the folder {READER}")
    for words in commands(READER / "tokenizer.json"):
        if words[0] != "bench":  # to which a .json is a shape
            refused(ingrain(*words, input=""), 1, "a file of a model, not the model", f"give the folder {READER}")
    (tmp_path / "page.gguf").write_text("<html>")
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "empty").mkdir()
    for words in commands(tmp_path / "page.gguf"):
        refused(ingrain(*words, input=""), 1, "no GGUF file")
    for words in commands(tmp_path / "notes.txt"):
        refused(ingrain(*words, input=""), 1, "a file that is no model; a model is a folder")
    for words in commands(tmp_path / "empty"):
        if words[0] != "import":
            refused(ingrain(*words, input=""), 1, "no model lies in this folder")
    memory = tmp_path / "m.memory"
    assert ingrain("read", READER, EMMA, "-o", memory, "--limit", "50").returncode == 0
    for words in commands(memory):
        refused(ingrain(*words, input=""), 2, "this is a memory, not a model")
    for words in commands("nofile"):
        refused(ingrain(*words, input=""), 1, "nofile: no such")
    refused(ingrain("bench", "read", "nofile"), 1, "no such model", "ingrain models", "125m")
    refused(ingrain("bench", "read", "125"), 1, "did you mean '125m'")
    refused(ingrain("data", "prepare", EMMA, "-t", weights, "-o", tmp_path / "o"), 2, "the weights of a model, not its tokenizer", str(READER))
    assert not (tmp_path / "o").exists()


def test_a_file_of_another_kind_is_called_what_it_is(ingrain, tmp_path):
    """Whatever takes a model, a tokenizer, a memory, tokens, settings or a text; a text is not taken for one that is read."""
    memory, notes, shards, pdf = tmp_path / "m.memory", tmp_path / "m.memory.notes", tmp_path / "shards", tmp_path / "x.pdf"
    assert ingrain("read", READER, EMMA, "-o", memory, "--limit", "50").returncode == 0
    (tmp_path / "a.txt").write_text("a")
    assert ingrain("data", "prepare", tmp_path / "a.txt", "-t", READER, "-o", shards).returncode == 0
    shard = shards / "shard-00000.tokens"
    pdf.write_bytes(b"%PDF-1.7\n%\xe2\xe3\n")
    weights = READER / "model.safetensors"
    kinds = {memory: "a memory", notes: "an SQLite database", shard: "token shards", pdf: "a PDF", weights: "the weights of a model"}
    before = sorted(path.name for path in tmp_path.iterdir())
    for given, kind in kinds.items():
        for words in (("read", READER, given, "-o", tmp_path / "o"), ("data", "prepare", given, "-t", READER, "-o", tmp_path / "o"), ("eval", READER, given),
                      ("demo", "--text", given, "--output", tmp_path / "o"), ("bench", "decode", READER, "--text", given)):
            refused(ingrain(*words), 1, f"{given}: cannot be read as text: it is {kind}")
        refused(ingrain("train", given), 1, f"{given}: {kind}", "not settings")
        refused(ingrain("serve", "--config", given), 1, f"{given}: {kind}", "not settings")
        refused(ingrain("serve", READER, "--keys", given, "--store", "none", "--port", "0"), 1, f"{given}: {kind}", "not a file of keys")
        refused(ingrain("ask", memory, "--questions", given), 1, f"{given}: {kind}", "not questions")
        if given != weights:  # whose folder is named
            refused(ingrain("data", "prepare", EMMA, "-t", given, "-o", tmp_path / "o"), 1, f"{given}: {kind}", "not a tokenizer")
        if given != shard:
            for words in (("data", "info", given), ("eval", READER, "--tokens", given)):
                refused(ingrain(*words), 1, f"{given}: {kind}", "not raw tokens")
        if given not in (memory, weights):
            refused(ingrain("generate", READER, "--memory", given), 1, f"{given}: {kind}", "not a memory")
            refused(ingrain("generate", given, "--prompt", "x"), 1, f"{given}: {kind}", "not a model")
            refused(ingrain("tokens", given, "x"), 1, f"{given}: {kind}", "not a tokenizer")
    refused(ingrain("generate", READER, "--memory", shards), 1, "a folder of token shards, not a memory")
    refused(ingrain("generate", shards, "--prompt", "x"), 1, "a folder of token shards, not a model")
    refused(ingrain("data", "prepare", EMMA, "-t", shards, "-o", tmp_path / "o"), 1, "there is no tokenizer.json in this folder")
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    (tmp_path / "gguf.txt").write_text("GGUF is a form of files, %PDF- another.")
    assert ingrain("eval", READER, tmp_path / "gguf.txt", "--json").returncode == 0, "which a text may say"


def test_a_tokenizer_may_be_a_gguf_files(ingrain, tmp_path):
    assert ingrain("quantize", READER, "-o", tmp_path / "m.gguf", "--type", "q8_0").returncode == 0
    (tmp_path / "a.txt").write_text("Emma Woodhouse, handsome")
    for name, place in (("a", READER), ("b", tmp_path / "m.gguf")):
        done = ingrain("data", "prepare", tmp_path / "a.txt", "-t", place, "-o", tmp_path / name)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "a" / "shard-00000.tokens").read_bytes() == (tmp_path / "b" / "shard-00000.tokens").read_bytes()


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


GGUF = ROOT / "tests" / "fixtures" / "families" / "phi3" / "gguf" / "weights.gguf"


def test_a_folder_with_one_gguf_is_that_model_and_one_with_several_names_them(ingrain, tmp_path):
    """As downloads leave them: listed, taken by the folder's path or name, imported; a memory finds its model there."""
    (tmp_path / "models" / "tiny").mkdir(parents=True)
    shutil.copy(GGUF, tmp_path / "models" / "tiny" / "phi.Q8_0.gguf")
    known = {**os.environ, "INGRAIN_MODELS": str(tmp_path / "models")}
    listed = json.loads(ingrain("models", "--json", env=known).stdout)
    assert any(m["path"].endswith("tiny/phi.Q8_0.gguf") and m["usable"] for m in listed), listed
    ids = tmp_path / "ids"
    ids.write_bytes(struct.pack("<8I", *range(3, 11)))
    scores = set()
    for name in (tmp_path / "models" / "tiny", "tiny", "phi.Q8_0", tmp_path / "models" / "tiny" / "phi.Q8_0.gguf"):
        done = ingrain("eval", name, "--tokens", ids, "--token-type", "u32", "--learning", "off", "--json", env=known)
        assert done.returncode == 0, done.stderr
        scores.add(json.loads(done.stdout)["learning_off"]["mean_nll"])
    assert len(scores) == 1
    assert ingrain("import", tmp_path / "models" / "tiny", "-o", tmp_path / "made").returncode == 0
    shutil.copy(GGUF, tmp_path / "models" / "tiny" / "phi.Q4_0.gguf")
    for words in (("tokens", tmp_path / "models" / "tiny", "x"), ("eval", tmp_path / "models" / "tiny", EMMA),
                  ("import", tmp_path / "models" / "tiny", "-o", tmp_path / "again"), ("tokens", "tiny", "x")):
        refused(ingrain(*words, env=known), 1, "give the file: phi.Q4_0.gguf, phi.Q8_0.gguf")
    (tmp_path / "models" / "empty").mkdir()
    refused(ingrain("eval", tmp_path / "models" / "empty", EMMA), 1, "no model lies in this folder")


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


class Bash:
    def __init__(self, ingrain, folder):
        self.script = folder / "ingrain.bash"
        self.script.write_text(ingrain("completion", "bash").stdout)

    def __call__(self, line):
        words = line.replace("=", " = ").split(" ") if "=" in line else line.split(" ")  # as readline cuts it
        given = " ".join(f"'{word}'" for word in words)
        code = f"source {self.script}; COMP_WORDS=({given}); COMP_CWORD={len(words) - 1}; _ingrain; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, cwd=self.script.parent)
        assert done.stderr == ""
        return done.stdout.split()


class Fish:
    """Its script lies where fish looks for it, and is read at its first use."""

    def __init__(self, ingrain, folder):
        self.folder = folder
        place = folder / "fish" / "completions"
        place.mkdir(parents=True)
        (place / "ingrain.fish").write_text(ingrain("completion", "fish").stdout)
        (folder / "ingrain").symlink_to(BUILD / "src" / "cli" / "ingrain")

    def __call__(self, line):
        environment = {**os.environ, "XDG_CONFIG_HOME": str(self.folder), "XDG_DATA_HOME": str(self.folder / "data"), "HOME": str(self.folder),
                       "PATH": f"{self.folder}:{os.environ['PATH']}"}
        done = subprocess.run(["fish", "-c", 'complete -C "$argv[1]"', line], capture_output=True, text=True, cwd=self.folder, env=environment)
        assert done.returncode == 0 and done.stderr == "", done.stderr
        return [row.split("\t")[0].split("=")[-1] for row in done.stdout.splitlines()]


class Zsh:
    """A person's shell with compinit, and the Tab key: the words that it finds, and whether files are among them."""

    SETUP = """PS1='%% '
fpath=({folder}/functions $fpath)
autoload -Uz compinit && compinit -u -D
zstyle ':completion:*' verbose no
compadd() {{ local -a found; builtin compadd -O found "$@"; (( $#found )) && print -rl -- $found >> {folder}/found; builtin compadd "$@" }}
_files() {{ print FILES >> {folder}/found }}
tab() {{ zle complete-word; print -r -- "END" >> {folder}/found }}
zle -N tab; bindkey '^I' tab
print READY
"""

    def __init__(self, ingrain, folder):
        self.folder = folder
        (folder / "functions").mkdir()
        (folder / "functions" / "_ingrain").write_text(ingrain("completion", "zsh").stdout)
        (folder / ".zshrc").write_text(self.SETUP.format(folder=folder))

    def __call__(self, line):
        found = self.folder / "found"
        found.write_text("")
        shell = Terminal(shutil.which("zsh"), "-i", "-d", ZDOTDIR=str(self.folder), HOME=str(self.folder))
        try:
            shell.wait_for("READY")
            shell.wait_for("%")
            shell.type(line)
            shell.wait_for(line.rstrip(" "))
            shell.type("\t")
            end = time.monotonic() + 60
            while "END" not in found.read_text():
                assert time.monotonic() < end, shell.seen
                time.sleep(0.02)
        finally:
            os.kill(shell.pid, signal.SIGKILL)
            os.waitpid(shell.pid, 0)
            os.close(shell.fd)
        assert list(self.folder.glob("[0-9]*")) == [], "no word is a redirection"
        return list(dict.fromkeys(found.read_text().split("END")[0].split()))


@pytest.mark.parametrize("shell", [Bash, Zsh, Fish])
def test_a_shell_completes_what_the_program_declares(ingrain, tmp_path, shell):
    if not shutil.which(shell.__name__.lower()):
        pytest.skip(f"no {shell.__name__.lower()} here")
    complete = shell(ingrain, tmp_path)
    assert set(commands(ingrain)) <= set(complete("ingrain "))
    assert sorted(complete("ingrain re")) == ["read", "retrofit"]
    assert complete("ingrain memory in") == ["info"]
    assert complete("ingrain generate m --temp") == ["--temperature"]
    assert set(complete("ingrain generate --learn ")) == {"all", "input", "off"}
    assert set(complete("ingrain generate --learn=")) == {"all", "input", "off"}
    assert set(complete("ingrain retrofit --start ")) == {"copied", "random"}
    assert {"bash", "zsh", "fish"} <= set(complete("ingrain completion "))
    assert not {"info", "--help", "read"} & set(complete("ingrain generate --prompt ")), "a text is the person's own"
    assert not {"info", "read"} & set(complete("ingrain read m "))


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions_name_every_command_and_option(ingrain, shell, tmp_path):
    text = ingrain("completion", shell).stdout
    for command in commands(ingrain):
        assert command in text
    assert "temperature" in text and all(word in text for word in ("native", "q8_0", "q4_1"))
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
    # Flags take nothing, and what must be given is in the synopsis.
    assert "\n.B \\-\\-json\n" in pages["ingrain-read.1"] and "\\-\\-help\n" in pages["ingrain-read.1"]
    fork = pages["ingrain-memory-fork.1"]
    assert ".B \\-o\n.I TEXT\n" in fork.split(".SH ARGUMENTS")[0] and "(required)" in fork
    assert "\ningrain \\- language models" in pages["ingrain.1"]
    refused(ingrain("man", "raed"), 2, "did you mean 'read'")
    if shutil.which("groff"):
        done = subprocess.run(["groff", "-man", "-ww", "-z", *tmp_path.iterdir()], capture_output=True, text=True)
        assert done.stderr == ""
