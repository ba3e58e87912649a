"""The Python package: reading, memories, writing, and what Python asks of an extension."""

import asyncio
import copy
import gc
import os
import pathlib
import pickle
import re
import subprocess
import sys
import textwrap
import threading
import time
import tomllib

import pytest

from python_package import EMMA, PACKAGE, save_tiny

import torch  # noqa: E402, I001
import ingrain  # noqa: E402
from ingrain import _abi  # noqa: E402


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return ingrain.Model.load(save_tiny(tmp_path_factory.mktemp("package") / "tiny"), dtype="fp64", device="cpu")


def read(model, characters=200):
    memory = ingrain.Memory(model)
    memory.read(EMMA[:characters])
    return memory


def same(one, other):
    ours, theirs = one.tensors(), other.tensors()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_text_in_parts_gives_the_memory_and_the_scores_of_the_whole(model):
    whole, parts = ingrain.Memory(model), ingrain.Memory(model)
    scores = whole.read(EMMA[:200]).nll
    reader = ingrain.Reader(parts)
    pieces = [reader.feed(EMMA[i : min(i + 7, 200)]) for i in range(0, 200, 7)] + [reader.finish()]
    assert sum(piece.tokens for piece in pieces) == whole.position == parts.position
    joined = torch.cat([piece.nll for piece in pieces])
    assert torch.isnan(scores[0]) and torch.allclose(joined[1:], scores[1:], atol=1e-6)
    for name, x in whole.fast_weights().items():
        assert torch.allclose(parts.fast_weights()[name], x, atol=1e-11)
    assert not same(whole, ingrain.Memory(model)) and whole.steps == (whole.position - 1) // model.chunk


def test_a_delayed_step_leaves_the_next_chunks_first_tokens_their_weights(model):
    delay = model.chunk // 2
    delayed = ingrain.Model.load(model.path, dtype="fp64", device="cpu", step_delay=delay)
    tokens = model.encode(EMMA[:400])[: 2 * model.chunk]
    at_once, later = (ingrain.Memory(each).read(tokens).nll for each in (model, delayed))
    without = ingrain.Memory(model).read(tokens, learn=False).nll
    first = model.chunk + delay  # the score of token t comes from the row before it
    assert torch.allclose(later[1 : first + 1], without[1 : first + 1], atol=1e-12)
    assert not torch.allclose(later[first + 1 :], without[first + 1 :], atol=1e-6)
    assert not torch.allclose(at_once[model.chunk + 1 : first + 1], without[model.chunk + 1 : first + 1], atol=1e-6)
    with pytest.raises(ingrain.Error, match="chunk"):
        ingrain.Model.load(model.path, step_delay=model.chunk)


def test_inner_steps_are_reported_and_what_a_callback_raises_goes_on(model):
    steps = []
    memory = ingrain.Memory(model)
    ingrain.Reader(memory, measure_steps=True, on_step=steps.append).read(EMMA[:100])
    assert [step.step for step in steps] == list(range(memory.steps)) and steps[0].gradient_norm > 0
    assert steps[0].loss_after < steps[0].loss_before

    def stop(step):
        raise LookupError("enough")

    memory = ingrain.Memory(model)
    with pytest.raises(LookupError, match="enough"):
        memory.read(EMMA[:100], on_step=stop)
    assert memory.steps >= 1
    memory.read(EMMA[:50])  # it is whole


def test_a_fork_and_a_copy_go_on_independently(model):
    memory = read(model)
    for fork in (memory.fork(), copy.copy(memory), copy.deepcopy(memory)):
        assert same(fork, memory)
        fork.read("something else entirely")
        assert not same(fork, memory) and same(memory, read(model))


def test_files_bytes_and_pickles_hold_all_of_a_memory(model, tmp_path):
    memory = read(model)
    memory.save(tmp_path / "book.memory")
    again = [ingrain.Memory.load(tmp_path / "book.memory", model), ingrain.Memory.from_bytes(bytes(memory), model),
             pickle.loads(pickle.dumps(memory))]
    assert all(same(one, memory) for one in again)
    assert pickle.loads(pickle.dumps([memory, memory.fork()]))[1].model.fingerprint == model.fingerprint
    assert memory.least_file_bytes() <= (tmp_path / "book.memory").stat().st_size
    memory.save(tmp_path / "small.memory", compact=True)
    assert (tmp_path / "small.memory").stat().st_size < (tmp_path / "book.memory").stat().st_size


def test_a_memory_file_tells_of_itself_and_memories_of_what_they_learnt(model, tmp_path):
    memory, other = read(model), read(model, 100)
    assert model.learns and set(memory.learnt()) == {model.config["num_hidden_layers"] - 2, model.config["num_hidden_layers"] - 1}
    assert memory.distance(ingrain.Memory(model)) == memory.learnt() and set(memory.distance(memory).values()) == {0.0}
    assert memory.distance(other) == other.distance(memory) != memory.learnt()
    memory.save(tmp_path / "it.memory")
    for check in (False, True):
        info = ingrain.memory_info(tmp_path / "it.memory", check=check)
        assert (info.model_fingerprint, info.position, info.steps) == (model.fingerprint, memory.position, memory.steps)
        assert info.config["chunk_size"] == model.chunk and not info.compact and info.batch == 1
    content = bytearray((tmp_path / "it.memory").read_bytes())
    content[-1] ^= 1
    (tmp_path / "it.memory").write_bytes(content)
    assert ingrain.memory_info(tmp_path / "it.memory") == info
    with pytest.raises(ingrain.Error, match="checksum"):
        ingrain.memory_info(tmp_path / "it.memory", check=True)


def test_a_rewound_memory_is_what_it_was(model):
    memory = ingrain.Memory(model)
    memory.keep_boundaries(1 << 24)
    memory.read(EMMA[:100])
    at = memory.boundaries[-2]
    memory.rewind(at)
    shorter = ingrain.Memory(model)
    shorter.read(model.encode(EMMA[:100], document=True)[:at])
    assert memory.position == at
    assert torch.allclose(memory.next_logits(), shorter.next_logits(), atol=1e-11)
    with pytest.raises(ingrain.UsageError, match=f"position {at + 1} is not kept"):
        memory.rewind(at + 1)


def test_writing_gives_the_same_text_in_pieces_and_asynchronously(model):
    memory = read(model)
    options = dict(max_tokens=20, seed=3, temperature=0.5, logit_bias={i: -float("inf") for i in range(128, 257)})
    writing = memory.fork().generate(**options)
    text = "".join(writing)
    assert writing.text == text and len(writing.tokens) == 20 and writing.reason == "maximum of tokens"

    async def gather(pieces):
        return "".join([piece async for piece in pieces])

    assert asyncio.run(gather(memory.fork().agenerate(**options))) == text
    assert asyncio.run(gather(memory.fork().generate(**options))) == text
    assert "".join(memory.fork().generate(**options, stop=[text[5:7]])) == text[: text.index(text[5:7])]


def test_a_question_leaves_the_memory_as_it_is_and_a_dialogue_goes_on(model):
    memory = read(model)
    answer = memory.ask("Who?", max_tokens=5)
    assert answer.tokens_written <= 5 and answer.tokens_read > 0 and str(answer) == answer.text
    assert same(memory, read(model))
    dialogue = ingrain.Dialogue(memory)
    dialogue.say("user", "Who?")
    pieces = []
    assert dialogue.answer(pieces.append, max_tokens=5).text == "".join(pieces) == answer.text
    assert [role for role, _ in dialogue.messages] == ["user", "assistant"]
    state = dialogue.state()
    assert dialogue.undo() and dialogue.messages == [] and same(dialogue.memory(), memory)
    dialogue.restore(state)
    assert dialogue.messages[1] == ("assistant", answer.text)
    assert len(dialogue.scores(["a", "b"])) == 2


def test_tensors_cross_without_a_copy_and_outlive_what_they_came_from(model):
    memory = read(model)
    weights = memory.fast_weights()
    assert set(weights) == {f"fast.{s}.{w}" for s in (0, 1) for w in ("w13", "w2")}
    assert weights["fast.0.w13"].shape == (40, 16) and weights["fast.0.w2"].shape == (16, 20)
    assert weights["fast.0.w13"].data_ptr() == memory.fast_weights()["fast.0.w13"].data_ptr()
    assert torch.from_dlpack(weights["fast.0.w2"]).data_ptr() == weights["fast.0.w2"].data_ptr()
    before = {name: x.clone() for name, x in weights.items()}
    memory.read(EMMA[200:400])
    assert all(torch.equal(weights[name], before[name]) for name in before)  # what is held stays
    assert not torch.equal(memory.fast_weights()["fast.0.w2"], before["fast.0.w2"])
    place = memory.next_logits(copy=False)
    reader = ingrain.Reader(memory)
    writing = memory.generate(max_tokens=3)
    del memory
    gc.collect()
    assert sum(writing.__next__() is not None for _ in range(1)) and reader.read([5, 6]).tokens == 2
    del reader, writing
    gc.collect()
    torch.empty(1 << 20).fill_(7)  # would be seen in memory that was given back
    assert all(torch.equal(weights[name], before[name]) for name in before) and place.isfinite().all()
    assert model.parameters()["embedding"].data_ptr() == model.parameters()["embedding"].data_ptr()
    with torch.inference_mode():
        assert read(model).steps > 0


def test_scores_are_added_up_as_the_program_does(model):
    tokens = model.encode(EMMA[:100], document=True)
    nll = ingrain.Memory(model).read(tokens).nll
    score = model.score(tokens, nll)
    assert score.scored == len(tokens) - 1 and score.mean_nll == pytest.approx(nll[1:].mean().item(), rel=1e-6)
    assert model.decode(tokens) == EMMA[:100] and model.config["chunk_size"] == model.chunk


def test_errors_have_the_library_s_words(model, tmp_path):
    with pytest.raises(ingrain.Error, match="no-such"):
        ingrain.Model.load(tmp_path / "no-such")
    with pytest.raises(ingrain.OptionError, match="^dtype ") as caught:
        ingrain.Model.load(model.path, dtype="fp7")
    assert caught.value.option == "dtype" and pickle.loads(pickle.dumps(caught.value)).option == "dtype"
    with pytest.raises(ingrain.Error, match="nothing was read yet"):
        ingrain.Memory(model).generate()
    with pytest.raises(ingrain.OptionError, match="top_p"):
        read(model).generate(top_p=-1)
    with pytest.raises(ingrain.OptionError, match="max_tokens is 'many'; it must be a whole number"):
        read(model).generate(max_tokens="many")
    with pytest.raises(ingrain.OptionError, match="speed is no option of writing"):
        read(model).generate(speed=3)
    with pytest.raises(ingrain.Error):
        ingrain.Memory(model).read([1 << 20])
    other = ingrain.Model.load(save_tiny(tmp_path / "other", seed=2), dtype="fp64")
    read(model).save(tmp_path / "a.memory")
    with pytest.raises(ingrain.Error, match=other.fingerprint):
        ingrain.Memory.load(tmp_path / "a.memory", other)


def test_other_threads_run_while_it_computes_and_a_second_call_is_refused(model):
    memory, counted, refused = ingrain.Memory(model), 0, []

    def step(_):
        if not refused:
            with pytest.raises(ingrain.UsageError, match="at work in another call"):
                memory.position
            refused.append(True)

    tokens = model.encode(EMMA[:5000])
    thread = threading.Thread(target=lambda: memory.read(tokens, on_step=step))
    thread.start()
    while thread.is_alive():
        counted += 1
        time.sleep(0.001)
    thread.join()
    assert refused and counted > 20


WORK = {
    "reading": """
        memory.read(list(range(1, 257)) * 20000)
    """,
    "feeding": """
        ingrain.Reader(memory).feed("some text or other " * 300000)
    """,
    "writing": """
        memory.read("a beginning")
        list(memory.generate(max_tokens=1 << 30, logit_bias={0: -float("inf")}))
    """,
    "answering": """
        memory.read("a beginning")
        memory.ask("What then?", max_tokens=1 << 30, logit_bias={0: -float("inf")})
    """,
    "training": """
        ingrain.train(sys.argv[1])
    """,
}


@pytest.mark.parametrize("work", WORK)
def test_ctrl_c_raises_keyboard_interrupt_promptly_and_leaves_all_whole(model, tmp_path, work):
    (tmp_path / "tokens.bin").write_bytes(b"".join(i.to_bytes(2, "little") for i in range(1, 255)) * 50)
    (tmp_path / "run.toml").write_text(f"""
        [model]
        folder = "{model.path}"
        [data]
        train = "tokens.bin"
        sequence_length = 32
        [train]
        steps = 1000000
        batch = 2
        lr = 1e-5
        device = "cpu"
        dtype = "fp32"
        [checkpoint]
        folder = "run"
    """)
    program = textwrap.dedent(f"""
        import os, signal, sys, threading, time
        sys.path.insert(0, {str(PACKAGE)!r})
        import ingrain
        signal.signal(signal.SIGINT, signal.default_int_handler)
        model = ingrain.Model.load({model.path!r}, dtype="fp32", device="cpu")
        memory = ingrain.Memory(model)
        def interrupt():
            global asked
            asked = time.monotonic()
            os.kill(os.getpid(), signal.SIGINT)
        threading.Timer(0.5, interrupt).start()
        try:
            {WORK[work].strip().replace(chr(10) + "        ", chr(10) + "            ")}
        except KeyboardInterrupt:
            print("interrupted after", time.monotonic() - asked)
            memory.read("it goes on")
    """)
    done = subprocess.run([sys.executable, "-c", program, tmp_path / "run.toml"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and "interrupted after" in done.stdout, done.stdout + done.stderr
    assert float(done.stdout.split("interrupted after")[1].split()[0]) < 5  # parts of a second, where nothing else runs
    assert work != "training" or len(list((tmp_path / "run").glob("checkpoint-*"))) == 1


def test_a_notepad_finds_what_a_question_asks_for(model, tmp_path):
    notes = ingrain.Notepad()
    assert notes.add("walls.txt", "The walls are green.\n\n" * 40) + notes.add("gate.txt", "The code of the gate is 4711.") == len(notes)
    found = notes.search("What is the code of the gate?", limit=2)
    assert found[0].source == "gate.txt" and "4711" in found[0].text and found[0].offset == 0 and len(found) <= 2
    memory = read(model)
    plain, noted = memory.ask("The code?", max_tokens=3), memory.ask("The code?", notepad=notes, passages=1, max_tokens=3)
    assert noted.sources == tuple(notes.search("The code?", 1)) and plain.sources == () and noted.tokens_read > plain.tokens_read + 20
    memory.save(tmp_path / "a.memory")
    notes.save_beside(tmp_path / "a.memory")
    assert ingrain.Notepad.beside(tmp_path / "a.memory").search("gate") == notes.search("gate")
    with pytest.raises(ingrain.Error, match="b.memory.notes: there are no notes"):
        ingrain.Notepad.beside(tmp_path / "b.memory")
    (tmp_path / "c.memory.notes").write_text("a letter")
    with pytest.raises(ingrain.Error, match="c.memory.notes"):
        notes.save_beside(tmp_path / "c.memory")
    assert (tmp_path / "c.memory.notes").read_text() == "a letter"


def test_another_torch_is_refused_with_a_remedy():
    assert _abi.problem("2.13.0+cpu", "2.13.1+cu130") is None
    assert "built with torch 2.13.0+cpu, and this is torch 2.12.1" in _abi.problem("2.13.0+cpu", "2.12.1")
    assert "with CUDA" in _abi.problem("2.13.0+cu130", "2.13.0+cpu")
    program = (f"import sys, torch; sys.path.insert(0, {str(PACKAGE)!r}); torch.__version__ = '2.9.0'; import ingrain")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 1 and "ImportError: ingrain was built with torch" in done.stderr


def test_the_version_is_written_in_one_place():
    root = pathlib.Path(__file__).resolve().parents[2]
    version = re.search(r"^project\(ingrain VERSION ([\d.]+)", (root / "CMakeLists.txt").read_text(), re.M)[1]
    assert ingrain.__version__ == version
    project = tomllib.loads((root / "pyproject.toml").read_text())
    assert project["project"]["dynamic"] == ["version"] and "version" not in project["project"]
    source = project["tool"]["scikit-build"]["metadata"]["version"]  # where pip takes it from
    assert re.search(source["regex"], (root / source["input"]).read_text())["value"] == version


def test_the_annotations_are_strict():
    pytest.importorskip("mypy")
    done = subprocess.run([sys.executable, "-m", "mypy", "--strict", "--cache-dir", os.devnull, "-p", "ingrain"],
                          capture_output=True, text=True, timeout=300, cwd=PACKAGE, env={**os.environ, "MYPYPATH": str(PACKAGE)})
    assert done.returncode == 0, done.stdout + done.stderr
