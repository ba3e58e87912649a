"""The program from outside: what it answers to good and bad input."""

import json
import os
import pathlib
import re
import struct

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
READER = ROOT / "models" / "reader-17m"
EMMA = ROOT / "examples" / "data" / "emma.txt"
CASES = pathlib.Path(os.environ.get("INGRAIN_CASES", ROOT.parent / "shared"))


def tensors(path):
    """All of a safetensors file by name: dtype, shape, bytes."""
    data = pathlib.Path(path).read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])
    header.pop("__metadata__", None)
    start = 8 + size
    return {
        name: (t["dtype"], t["shape"], data[start + t["data_offsets"][0] : start + t["data_offsets"][1]])
        for name, t in header.items()
    }


def refused(done, status, *words):
    assert done.returncode == status, done.stderr
    for word in words:
        assert str(word) in done.stderr, done.stderr
    assert "defect" not in done.stderr and "Traceback" not in done.stderr


def test_help_lists_the_commands_and_each_shows_an_example(ingrain):
    listed = ingrain("--help").stdout
    for command in ("demo", "read", "generate", "eval", "import", "export", "verify"):
        assert command in listed
        assert "Example" in ingrain(command, "--help").stdout


def test_help_of_a_command_may_be_asked_for_in_a_word(ingrain):
    for words in (["read"], ["data", "prepare"], []):
        done = ingrain("help", *words)
        assert done.returncode == 0 and done.stdout == ingrain(*words, "--help").stdout
    refused(ingrain("help", "raed"), 2, "no command 'raed'", "did you mean 'read'")


def test_wrong_usage_is_status_2(ingrain):
    refused(ingrain(), 2, "--help")
    refused(ingrain("frobnicate"), 2)
    refused(ingrain("eval", READER), 2, "text file or --tokens")
    refused(ingrain("eval", READER, EMMA, "--dtype", "fp8"), 2, "fp8")
    refused(ingrain("eval", READER, EMMA, "--learning", "maybe"), 2, "maybe")
    refused(ingrain("eval", READER, EMMA, "--limit", "0"), 2, "limit")
    refused(ingrain("eval", READER, EMMA, "--at-once", "0"), 2, "at-once")


def test_every_command_that_loads_a_model_takes_a_device(ingrain, emma_memory, tmp_path):
    commands = [
        ("read", READER, EMMA, "-o", tmp_path / "m"),
        ("eval", READER, EMMA),
        ("generate", READER, "--prompt", "x"),
        ("ask", emma_memory, "Who?"),
        ("chat", READER),
        ("demo",),
        ("verify", READER),
        ("memory", "diff", READER, emma_memory, emma_memory),
        ("memory", "compact", READER, emma_memory, "-o", tmp_path / "m"),
    ]
    for command in commands:
        refused(ingrain(*command, "--device", "gpu", cwd=tmp_path), 2, "--device 'gpu' is not known", "cuda:N")
        refused(ingrain(*command, "--device", "cuda:99", cwd=tmp_path), 2, "--device cuda:99: ")
    done = ingrain("eval", READER, EMMA, "--limit", "50", "--device", "cpu", "--json")
    assert done.returncode == 0, done.stderr


def test_what_writes_or_scores_takes_weights_in_few_bits(ingrain, emma_memory):
    for command in (("eval", READER, EMMA), ("generate", READER, "--prompt", "x"), ("ask", emma_memory, "Who?"), ("chat", READER)):
        refused(ingrain(*command, "--weights", "q5_1"), 2, "q5_1", "q4_1")
        refused(ingrain(*command, "--device", "cuda", "--weights", "q8_0"), 2, "--weights q8_0 is for the CPU, not for the device cuda")


def test_memories_are_compared_and_shrunk_without_choices_that_change_nothing(ingrain, emma_memory, tmp_path):
    for command in (("diff", READER, emma_memory, emma_memory), ("compact", READER, emma_memory, "-o", tmp_path / "m")):
        for option in (("--weights", "q8_0"), ("--dtype", "fp32")):
            refused(ingrain("memory", *command, *option), 2, option[0])
    done = ingrain("memory", "diff", READER, emma_memory, emma_memory, "--json")
    assert done.returncode == 0, done.stderr
    assert all(b["difference"] == 0 and b["first_learnt"] > 0 for b in json.loads(done.stdout)["blocks"])


def test_a_missing_or_broken_model_folder_is_named(ingrain, tmp_path):
    refused(ingrain("eval", tmp_path / "none", EMMA), 1, tmp_path / "none", "no such model")
    refused(ingrain("eval", tmp_path, EMMA), 1, "config.json")
    (tmp_path / "config.json").write_text("{")
    refused(ingrain("eval", tmp_path, EMMA), 1, "config.json")


def test_a_truncated_model_file_is_named(ingrain, tmp_path):
    (tmp_path / "config.json").write_text((READER / "config.json").read_text())
    (tmp_path / "model.safetensors").write_bytes((READER / "model.safetensors").read_bytes()[:100_000])
    refused(ingrain("eval", tmp_path, EMMA), 1, "model.safetensors")


def test_texts_that_cannot_be_scored(ingrain, tmp_path):
    refused(ingrain("eval", READER, tmp_path / "none.txt"), 1, "none.txt")
    (tmp_path / "empty.txt").write_text("")
    refused(ingrain("eval", READER, tmp_path / "empty.txt"), 1, "empty")
    (tmp_path / "none.bin").write_bytes(b"")
    refused(ingrain("eval", READER, "--tokens", tmp_path / "none.bin"), 1, "at least two")
    (tmp_path / "one.bin").write_bytes(b"\5\0")
    refused(ingrain("eval", READER, "--tokens", tmp_path / "one.bin"), 1, "at least two")
    (tmp_path / "odd.bin").write_bytes(b"\5\0\1")
    refused(ingrain("eval", READER, "--tokens", tmp_path / "odd.bin"), 1, "odd.bin")
    (tmp_path / "beyond.bin").write_bytes(b"\xff\xff" * 4)
    refused(ingrain("eval", READER, "--tokens", tmp_path / "beyond.bin"), 1, "another tokenizer")


def folder_with_tokenizer(folder, change):
    for name in ("config.json", "model.safetensors"):
        (folder / name).symlink_to(READER / name)
    tokenizer = json.loads((READER / "tokenizer.json").read_text())
    change(tokenizer)
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    return folder


def test_a_tokenizer_of_another_model_is_refused(ingrain, tmp_path):
    folder = folder_with_tokenizer(tmp_path, lambda t: t["model"]["vocab"].update({"zqzqz": 9000}))
    refused(ingrain("eval", folder, EMMA), 1, "tokenizer.json", "another model")


def test_an_added_token_without_an_embedding_is_text_and_said(ingrain, tmp_path):
    later = {"id": 8192, "content": "<|later|>"}
    folder = folder_with_tokenizer(tmp_path, lambda t: t["added_tokens"].append({**t["added_tokens"][0], **later}))
    (tmp_path / "short.txt").write_text("He said <|later|> and went. " * 9)
    done = ingrain("eval", folder, tmp_path / "short.txt", "--learning", "off")
    assert done.returncode == 0, done.stderr
    assert "<|later|>" in done.stderr and "no embedding" in done.stderr
    shown = ingrain("tokens", folder, "<|later|>", "--special", "--json")
    assert "no embedding" in shown.stderr and len(json.loads(shown.stdout)) > 1, "what the model reads"


def test_eval_scores_text_and_tokens_alike(ingrain, tmp_path):
    (tmp_path / "short.txt").write_text(EMMA.read_text()[:3000])
    done = ingrain("eval", READER, tmp_path / "short.txt", "--json", "--per-token", "--dtype", "fp32")
    assert done.returncode == 0, done.stderr
    out = json.loads(done.stdout)
    on, off = out["learning_on"], out["learning_off"]
    assert on["scored"] == out["tokens"] - 1 == len([x for x in on["nll"] if x is not None])
    assert on["nll"][0] is None
    assert on["nll"][1:256] == pytest.approx(off["nll"][1:256], abs=1e-4), "nothing is learnt in the first chunk"
    assert on["mean_nll"] == pytest.approx(sum(on["nll"][1:]) / on["scored"], abs=1e-4)
    assert on["mean_nll"] < off["mean_nll"]
    assert on["bits_per_byte"] == pytest.approx(on["mean_nll"] * on["scored"] / 0.693147 / 3000, rel=1e-3)
    assert on["by_position"][0]["begin"] == 0 and on["by_position"][-1]["end"] == out["tokens"]


def test_a_folder_that_cannot_be_written_is_named(ingrain, tmp_path):
    (tmp_path / "file").write_text("")
    refused(ingrain("export", READER, "-o", tmp_path / "file" / "x.safetensors"), 1, tmp_path / "file")
    refused(ingrain("export", READER, "-o", tmp_path / "none" / "x.safetensors"), 1, "choose another place")


@pytest.mark.skipif(not (CASES / "reference-17m").is_dir(), reason="no reference model at hand")
def test_import_and_export_give_the_reference_model_back_bit_for_bit(ingrain, tmp_path):
    source = CASES / "reference-17m"
    assert ingrain("import", source, "-o", tmp_path / "model").returncode == 0
    assert ingrain("export", tmp_path / "model", "-o", tmp_path / "back.safetensors").returncode == 0
    expected = {}
    for shard in sorted(source.glob("params-*.safetensors")):
        expected.update(tensors(shard))
    assert tensors(tmp_path / "back.safetensors") == expected
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        assert (tmp_path / "model" / name).read_bytes() == (READER / name).read_bytes(), f"{name} is the committed one"


@pytest.mark.skipif(not (CASES / "golden" / "dev1").is_dir(), reason="no reference cases at hand")
def test_an_orbax_step_gives_the_parameters_of_the_golden_case(ingrain, tmp_path):
    step = CASES / "golden" / "dev1" / "orbax" / "2"
    done = ingrain("import", step, "-o", tmp_path / "model")
    if "tensorstore is missing" in done.stderr:
        pytest.skip("tensorstore is not installed, and there is no .venv to install it into")
    assert done.returncode == 0, done.stderr
    assert ingrain("export", tmp_path / "model", "-o", tmp_path / "back.safetensors").returncode == 0
    prefix = "outer.params3."
    golden = tensors(step.parents[1] / "expected.safetensors")
    expected = {name[len(prefix) :]: t for name, t in golden.items() if name.startswith(prefix)}
    assert len(expected) == 20
    assert tensors(tmp_path / "back.safetensors") == expected
    optimizer, model = tensors(tmp_path / "model" / "optimizer.safetensors"), tensors(tmp_path / "model" / "model.safetensors")
    assert set(optimizer) == {prefix + name for prefix in ("mean.", "square.") for name in model}


def test_import_needs_a_checkpoint(ingrain, tmp_path):
    refused(ingrain("import", tmp_path / "none", "-o", tmp_path / "out"), 1, "no such file or folder")
    refused(ingrain("import", tmp_path, "-o", tmp_path / "out"), 2, "--config is missing")
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """The first 700 tokens or so of Emma, in two files."""
    folder = tmp_path_factory.mktemp("text")
    text = EMMA.read_text()
    (folder / "one.txt").write_text(text[:1200])
    (folder / "two.txt").write_text(text[1200:2400])
    return folder


def test_read_and_generate_are_one_story(ingrain, short, tmp_path):
    first, second = tmp_path / "first.memory", tmp_path / "second.memory"
    done = ingrain("read", READER, short / "one.txt", "-o", first, "--json")
    assert done.returncode == 0, done.stderr
    out = json.loads(done.stdout)
    assert out["tokens_read"] == out["tokens_given"] == out["position"]
    assert first.stat().st_size == out["bytes"]
    before = first.read_bytes()

    done = ingrain("read", READER, short / "two.txt", "--memory", first, "-o", second, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["position"] > out["position"]
    assert first.read_bytes() == before, "the origin of a continued memory stays as it was"

    def write(*options):
        done = ingrain("generate", READER, "--memory", second, "--max-tokens", "12", "--json", *options)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    a, b, c = write("--seed", "7"), write("--seed", "7"), write("--seed", "8")
    assert a["tokens"] == b["tokens"] and a["text"] == b["text"]
    assert a["tokens"] != c["tokens"]
    assert len(a["tokens"]) == 12 and a["stopped_by"] == "maximum of tokens"
    assert write("--temperature", "0", "--seed", "1")["tokens"] == write("--temperature", "0", "--seed", "2")["tokens"]
    stopped = write("--seed", "7", "--stop", a["text"][3:6])
    assert stopped["text"] == a["text"][: a["text"].index(a["text"][3:6])] and stopped["stopped_by"] == "stop string"


def test_several_files_folders_patterns_and_standard_input_are_read(ingrain, short, tmp_path):
    def position(*inputs, **options):
        done = ingrain("read", READER, *inputs, "-o", tmp_path / "m", "--json", "--no-learning", **options)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    both = position(short / "one.txt", short / "two.txt")
    assert both["files"] == 2
    assert position(short)["tokens_read"] == both["tokens_read"]
    assert position(f"{short}/*.txt")["tokens_read"] == both["tokens_read"]
    one = position(short / "one.txt")
    assert position("-", input=(short / "one.txt").read_text())["tokens_read"] == one["tokens_read"]
    assert position(short / "one.txt", "--limit", "50")["tokens_read"] == 50


def test_folders_are_read_without_what_machines_wrote(ingrain, tmp_path):
    source = tmp_path / "project"
    for name in ("src/main.c", "README", ".git/config", "node_modules/x.js", "package-lock.json", "logo.bin"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(b"\0binary" if name == "logo.bin" else b"int main(void);\n")
    done = ingrain("read", READER, source, "-o", tmp_path / "m", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["files"] == 2


def test_bad_input_to_read_and_generate(ingrain, short, tmp_path):
    memory = tmp_path / "m.memory"
    refused(ingrain("read", READER, tmp_path / "none", "-o", memory), 1, "no such file or folder")
    refused(ingrain("read", READER, short, "-o", tmp_path / "none" / "m"), 1, "choose another place")
    (tmp_path / "empty.txt").write_text("")
    refused(ingrain("read", READER, tmp_path / "empty.txt", "-o", memory), 1, "empty")
    assert not memory.exists()
    refused(ingrain("read", READER, short), 2, "output")
    refused(ingrain("generate", READER, "--temperature", "-1"), 2, "temperature")
    refused(ingrain("generate", READER, "--logit-bias", "x"), 2, "ID=VALUE")
    refused(ingrain("generate", READER, "--memory", EMMA), 1, "emma.txt")
    (tmp_path / "wrong.memory").write_bytes((READER / "model.safetensors").read_bytes())
    refused(ingrain("generate", READER, "--memory", tmp_path / "wrong.memory"), 1, "no memory file")


def test_the_demo_computes_its_figures_and_writes_them(ingrain, tmp_path):
    as_people_have_it = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}  # every core's thread
    done = ingrain("demo", "--tokens", "1100", cwd=tmp_path, env=as_people_have_it)
    assert done.returncode == 0, done.stderr
    for words in ("learning on", "bits a byte", "tokens/s", "memory", "report.html"):
        assert words in done.stdout
    page = (tmp_path / "ingrain-demo" / "report.html").read_text()
    # What is drawn, and that nothing is asked of elsewhere: test_report.py.
    ours = page[: page.index("</figure>")]
    assert page.startswith("<!doctype html>") and '<script type="application/json">' in ours and "nan" not in ours and "http" not in ours
    assert (tmp_path / "ingrain-demo" / "book.memory").stat().st_size > 1_000_000


@pytest.mark.parametrize("tokens, rows, bins", [(2049, 1, ["0 - 1,024", "1,024 - 2,049"]), (300, 1, ["0 - 300"]), (2, 0, ["0 - 2"])])
def test_the_demo_tells_no_cost_of_few_tokens(ingrain, tmp_path, tokens, rows, bins):
    done = ingrain("demo", "--tokens", tokens, "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    cost = [line for line in done.stdout.splitlines() if "tokens/s" in line and "ms a token" in line]
    spans = [[int(number.replace(",", "")) for number in re.search(r"tokens +([\d,]+) - ([\d,]+)", line).groups()] for line in cost]
    assert len(spans) == rows and all(end - begin >= 256 for begin, end in spans), cost
    assert ("too few tokens" in done.stdout) == (rows == 0)
    shown = re.findall(r"^ +([\d,]+) - ([\d,]+)  ", done.stdout, re.M)
    assert [f"{begin} - {end}" for begin, end in shown] == bins
    assert (tmp_path / "out" / "report.html").read_text().count("<th>tokens ") == rows


@pytest.fixture(scope="module")
def emma_memory(ingrain, tmp_path_factory):
    path = tmp_path_factory.mktemp("memory") / "emma.memory"
    assert ingrain("read", READER, EMMA, "-o", path, "--limit", "3000").returncode == 0
    return path


def test_ask_finds_the_model_and_leaves_the_memory_as_it_is(ingrain, emma_memory, tmp_path):
    before = emma_memory.read_bytes()
    after = tmp_path / "after.memory"
    done = ingrain("ask", emma_memory, "Who is Emma?", "--max-tokens", "16", "--json", "--save", after)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["model"].endswith("reader-17m") and 0 < answer["tokens_written"] <= 16
    assert answer["position"] == 3000 + answer["tokens_read"] + answer["tokens_written"]
    assert emma_memory.read_bytes() == before and after.exists()
    again = json.loads(ingrain("ask", emma_memory, "Who is Emma?", "--max-tokens", "16", "--json").stdout)
    assert again["answer"] == answer["answer"]


def test_ask_names_an_unknown_model_and_bad_files(ingrain, emma_memory, tmp_path):
    refused(ingrain("ask", EMMA, "Who?"), 1, "emma.txt")
    refused(ingrain("ask", emma_memory), 2, "QUESTION")
    refused(ingrain("ask", emma_memory, "Who?", "--model", tmp_path), 1, "config.json")
    refused(ingrain("ask", emma_memory, "Who?", "--top-p", "2"), 2, "top")


def test_chat_answers_forgets_saves_and_forks(ingrain, emma_memory, tmp_path):
    first, second = tmp_path / "first.memory", tmp_path / "second.memory"
    lines = ["Who is Emma?", "/stats", f"/save {first}", "And Harriet?", f"/fork {second}", "/forget", "/forget", "/forget",
             "/sve", "/save", "/quit", "never read"]
    done = ingrain("chat", "--memory", emma_memory, "--max-tokens", "8", "--seed", "4", input="\n".join(lines))
    assert done.returncode == 0, done.stderr
    assert "having read 3,000 tokens" in done.stdout
    assert "did you mean 'save'" in done.stdout
    assert "nothing that could be forgotten" in done.stdout
    info = lambda path: json.loads(ingrain("memory", "info", "--json", path).stdout)
    assert info(first)["position"] > 3000
    assert info(second)["position"] == 3000  # forgotten twice, then saved again where the fork was
    assert emma_memory.exists() and info(emma_memory)["position"] == 3000
