"""RULER's tasks against the task code of lm-eval 0.4.13, where that is installed (its sources are read, nothing of it is run but its
scorer, so that none of what it needs is needed here): the words of prompts, what an answer may have, needles, noise, the score."""
import ast
import importlib.util
import json
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
READER = ROOT / "models" / "reader-17m"
EMMA = ROOT / "examples" / "data" / "emma.txt"
NEEDLES = {  # of niah_utils.py: what each task says, over the defaults of generate_samples
    "type_haystack": "repeat", "type_needle_k": "words", "type_needle_v": "numbers", "num_needle_k": 1, "num_needle_v": 1, "num_needle_q": 1,
}
KINDS = {"words": r"[a-z]+-[a-z]+", "numbers": r"\d{7}", "uuids": r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"}


@pytest.fixture(scope="module")
def theirs():
    found = importlib.util.find_spec("lm_eval")
    if found is None:
        pytest.skip("lm-eval 0.4.13 is not installed")
    return pathlib.Path(found.submodule_search_locations[0]) / "tasks" / "ruler"


def constants(file):
    """The module's constants that are written out."""
    out = {}
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Assign):
            try:
                out[node.targets[0].id] = ast.literal_eval(node.value)
            except ValueError:
                pass
    return out


def strings(file):
    return {node.value for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


@pytest.fixture(scope="module")
def ours(ingrain):
    done = ingrain("eval", READER, EMMA, "--measure", "ruler", "--print-tasks", "--lengths", "2048,8192", "--samples", "2")
    assert done.returncode == 0, done.stderr
    tasks = {}
    for line in done.stdout.splitlines():
        one = json.loads(line)
        tasks.setdefault(one["task"], []).append(one)
    assert len(tasks) == 11 and all(len(x) == 4 for x in tasks.values())
    return tasks


def pattern_of(template, **groups):
    """A regular expression for a template's texts: {name} matches what `groups` says."""
    parts = re.split(r"\{(\w+)\}", template)
    return "".join(re.escape(p) if i % 2 == 0 else f"(?s:{groups[p]})" for i, p in enumerate(parts))


def settings(file):
    """{task: arguments of generate_samples} of niah_utils.py."""
    out = {}
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("niah_"):
            call = next(n for n in ast.walk(node) if isinstance(n, ast.Call) and getattr(n.func, "id", "") == "generate_samples")
            out[node.name] = {**NEEDLES, **{k.arg: k.value.value for k in call.keywords if isinstance(k.value, ast.Constant)}}
    return out


def test_needles(theirs, ours):
    template, needle = constants(theirs / "niah_utils.py")["TEMPLATE"], constants(theirs / "prepare_niah.py")["NEEDLE"]
    tasks = settings(theirs / "niah_utils.py")
    assert set(tasks) == {name for name in ours if name.startswith("niah")}
    noise = next(s for s in strings(theirs / "prepare_niah.py") if s.startswith("The grass is green."))
    for name, s in tasks.items():
        keys, values = KINDS[s["type_needle_k"]], KINDS[s["type_needle_v"]]
        count = max(s["num_needle_k"], s["num_needle_q"]) * s["num_needle_v"]
        one = s["num_needle_q"] * s["num_needle_v"] == 1
        frame, what = template, s["type_needle_v"]
        if one:  # as generate_input_output changes it
            frame, what = frame.replace("Some", "A").replace("are all", "is").replace("are", "is"), what[:-1]
        for made in ours[name]:
            query = r".*?"
            assert re.fullmatch(pattern_of(frame, type_needle_v=what, context=".*", query=query), made["prompt"]), (name, made["prompt"][-300:])
            asked = re.search(pattern_of(frame.split("{context}")[1].strip(), type_needle_v=what, query="(.*?)") + "$", made["prompt"])[1]
            verb = "is" if one else "are"
            assert made["answer_prefix"].strip() == f"The special magic {what} for {asked} mentioned in the provided text {verb}"
            assert made["answer_tokens"] == 128 and len(made["answers"]) == s["num_needle_q"] * s["num_needle_v"]
            said = re.findall(pattern_of(needle, type_needle_v=s["type_needle_v"], key=f"({keys})", value=f"({values})"), made["prompt"])
            if s["type_haystack"] == "needle":
                assert len(said) > count
            else:
                assert len(said) == count
            assert {v for k, v in said if k in asked} == set(made["answers"])
            if s["type_haystack"] == "repeat":
                lines = made["prompt"].split("\n")[1:-1]
                assert sum(line == noise for line in lines) == len(lines) - count > 10


def test_variables_and_words(theirs, ours):
    vt = constants(theirs / "vt_utils.py")["CONFIG"]["variable_tracking"]
    for made in ours["vt"]:
        frame = pattern_of(vt["template"], context=".*", query=r"\d{5}")
        prefix = pattern_of(vt["answer_prefix"], num_v="5", query=r"\d{5}")
        names = r"(?:[A-Z]{3} ?){5}"
        assert re.fullmatch(f"{frame}{prefix}{names}\n\n{frame}", made["prompt"]), made["prompt"][-400:]
        assert re.fullmatch(prefix, made["answer_prefix"]) and made["answer_tokens"] == vt["tokens_to_generate"]
        assert len(made["answers"]) == 5
    for name in ("cwe", "fwe"):
        config = constants(theirs / f"{name}_utils.py")["CONFIG"]
        for made in ours[name]:
            assert made["answer_prefix"].strip() == config["answer_prefix"].strip()
            assert made["answer_tokens"] == config["tokens_to_generate"]
            assert re.search(pattern_of(config["template"], context=".*") + "$", made["prompt"]), made["prompt"][-300:]
            assert len(made["answers"]) == {"cwe": 10, "fwe": 3}[name]
    example = constants(theirs / "cwe_utils.py")["CONFIG"]
    assert ours["cwe"][0]["prompt"].count(example["template"].split("{context}")[1].strip()) == 2, "an example goes before"


def test_lengths_count_prompt_and_answer(ingrain, ours):
    for name, samples in ours.items():
        for made in samples[::2]:
            done = ingrain("tokens", READER, "-", "--json", input=made["prompt"] + made["answer_prefix"])
            assert done.returncode == 0, done.stderr
            used = len(json.loads(done.stdout)) + 1 + made["answer_tokens"]
            assert made["length"] * 0.8 < used <= made["length"], (name, used)


def test_the_score_is_theirs(theirs):
    """The values in tests/tasks_test.cpp are what their scorer gives."""
    scorer = next(n for n in ast.parse((theirs / "common_utils.py").read_text()).body if getattr(n, "name", "") == "string_match_all")
    scorer.returns = None
    for argument in scorer.args.args:
        argument.annotation = None
    scope = {}
    exec(compile(ast.Module([scorer], []), "scorer", "exec"), scope)
    cases = re.findall(r'EXPECT_EQ\(contained\("(.*?)", \{(.*?)\}\), ([\d.]+)\);', (ROOT / "tests" / "tasks_test.cpp").read_text())
    checked = 0
    for output, answers, score in cases:
        if answers:
            assert scope["string_match_all"]([output], [json.loads(f"[{answers}]")]) == float(score)
            checked += 1
    assert checked >= 3
