"""Training in PyTorch: the exact gradient as autograd's, in one process and in two."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest

from conftest import ROOT
from python_package import EMMA, PACKAGE, save_tiny, tiny_config

import torch  # noqa: E402, I001
import ingrain  # noqa: E402
from ingrain.torch import TTTModel  # noqa: E402


def tokens(batch, length, seed=1):
    return torch.randint(1, 257, (batch, length + 1), generator=torch.Generator().manual_seed(seed))


def gradients(model):
    return {name: x.grad for name, x in model.named_parameters() if x.grad is not None}


def difference(ours, theirs):
    """Of each parameter's gradient, as a share of its largest element; the largest."""
    assert ours.keys() == theirs.keys()
    return max(((ours[name] - theirs[name]).abs().max() / theirs[name].abs().max()).item() for name in ours)


def test_the_gradient_is_that_of_a_central_difference_in_fp64():
    model = TTTModel.draw(tiny_config(num_hidden_layers=2, suffix_len=1, learned_inner_rates=True), dtype="fp64")
    names, parameters = zip(*model.named_parameters())

    def loss(*values):
        return torch.func.functional_call(model, dict(zip(names, values)), (tokens(2, 24),))

    assert torch.autograd.gradcheck(loss, parameters, fast_mode=True, nondet_tol=1e-12)


def test_the_gradient_is_our_own_trainer_s(tmp_path):
    from safetensors.torch import load_file

    folder, data = save_tiny(tmp_path / "tiny"), tokens(1, 32 * 9)[0]
    data.numpy().astype("uint16").tofile(tmp_path / "tokens.bin")
    order = np.random.default_rng(1)  # docs/data.md
    first = order.integers(0, 32)
    sequences = data[first:].unfold(0, 33, 32)
    batch = sequences[order.permutation(len(sequences))[:3].tolist()]
    (tmp_path / "run.toml").write_text(f"""
        [model]
        folder = "{folder}"
        [data]
        train = "tokens.bin"
        raw_type = "u16"
        sequence_length = 32
        order = "numpy"
        [train]
        steps = 1
        batch = 3
        lr = 1e-3
        init_lr = 1e-3
        clip = 1e12
        dtype = "fp32"
        device = "cpu"
        [checkpoint]
        folder = "run"
    """)
    ingrain.train(tmp_path / "run.toml")
    theirs = {name.removesuffix(".first_moment"): x / 0.1
              for name, x in load_file(tmp_path / "run/checkpoint-00000001.safetensors").items() if name.endswith("first_moment")}
    model = TTTModel.load(folder)
    model(batch).backward()
    assert difference(gradients(model), theirs) < 1e-6


def test_parameters_are_the_weights_and_the_loss_is_what_reading_says(tmp_path):
    folder = save_tiny(tmp_path / "tiny")
    model = TTTModel.load(folder, dtype="fp64")
    batch = tokens(1, 32)
    with torch.no_grad():
        silent = model(batch)
        memory = ingrain.Memory(ingrain.Model.load(folder, dtype="fp64"))
        nll = memory.read(batch[0]).nll[1:]
        assert silent.item() == pytest.approx(nll.mean().item(), rel=1e-6) and torch.allclose(model.nll[0].float(), nll)
        model.get_parameter("embedding").mul_(0.5)
        assert model(batch).item() != silent.item()
    loss = model(batch)
    assert loss.requires_grad and loss.item() == pytest.approx(model.chunk_loss.mean().item())
    assert model.chunk_loss.shape == (1, 4) and model.inner_norm.shape == (1, 3)
    (3 * loss).backward()
    three = gradients(model)
    model.zero_grad()
    model(batch).backward()
    assert difference(three, {name: 3 * x for name, x in gradients(model).items()}) < 1e-12
    assert all(x.dtype == torch.float64 for x in three.values())


def test_what_is_frozen_gets_no_gradient_and_standard_training_another(tmp_path):
    model = TTTModel.draw(tiny_config())
    batch = tokens(2, 24)
    model(batch).backward()
    everything = gradients(model)
    model.zero_grad()
    model.through_steps = False
    model(batch).backward()
    assert difference(gradients(model), everything) > 1e-2
    model.zero_grad()
    model.through_steps = True
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("fast" in name)
    model(batch).backward()
    fast = gradients(model)
    assert set(fast) == {name for name in everything if "fast" in name}
    assert difference(fast, {name: everything[name] for name in fast}) < 1e-6
    with pytest.raises(ingrain.Error, match="multiple of the chunk"):
        model(batch[:, :20])


def test_a_module_is_copied_pickled_and_loaded_by_its_state():
    model, batch = TTTModel.draw(tiny_config()), tokens(1, 16)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert other(batch).item() == model(batch).item()
        with torch.no_grad():
            other.get_parameter("embedding").zero_()
        assert other(batch).item() != model(batch).item()
        other.load_state_dict(model.state_dict())
        assert other(batch).item() == model(batch).item()


def test_under_autocast_it_computes_in_that_type_and_reading_as_always(tmp_path):
    model, batch = TTTModel.draw(tiny_config()), tokens(2, 24)
    model.compute = "bf16"
    model(batch).backward()
    asked = gradients(model)
    model.compute = ""
    model.zero_grad()
    memory = ingrain.Memory(ingrain.Model.load(save_tiny(tmp_path / "tiny"), dtype="fp32", device="cpu"))
    other = memory.fork()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = model(batch)
        assert torch.equal(memory.read(EMMA[:60]).nll[1:], other.read(EMMA[:60]).nll[1:]) and memory.steps > 1
    loss.backward()
    assert loss.dtype == torch.float32 and difference(gradients(model), asked) == 0
    model.zero_grad()
    assert torch.equal(model(batch), TTTModel.draw(tiny_config())(batch)) and not torch.equal(model(batch), loss)
    with torch.autocast("cpu", dtype=torch.float16), pytest.raises(ingrain.Error, match="torch.float16.*use torch.bfloat16"):
        model(batch)


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    """A folder with a model, a text to train on, and what one process makes of it by examples/python/ddp_train.py in out-ddp."""
    folder = tmp_path_factory.mktemp("task")
    save_tiny(folder / "tiny", initializer_range=0.1)
    (folder / "text.txt").write_text(EMMA[:2000])
    example(folder, "ddp", 1)
    return folder


def example(folder, name, processes=0, *more, steps=3, to=None):
    """What examples/python/NAME_train.py prints; processes: torchrun's, 0: none."""
    start = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)] if processes else []
    done = subprocess.run(
        [sys.executable, *start, ROOT / f"examples/python/{name}_train.py", folder / "tiny", folder / "text.txt", "-o", folder / (to or f"out-{name}"),
         "--steps", str(steps), "--batch", "4", "--length", "64", "--lr", "1e-3", *more],
        capture_output=True, text=True, timeout=300, env={"PYTHONPATH": str(PACKAGE), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"})
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"step {steps}:" in done.stdout
    return done.stdout


def losses(said):
    return [float(line.split()[2]) for line in said.splitlines() if line.startswith("step ")]


def as_trained_by_one(folder, name):
    """Whether the weights in folder/name are those of the one process, as far as they moved."""
    one, other = (dict(TTTModel.load(folder / made).named_parameters()) for made in ("out-ddp", name))
    start = dict(TTTModel.load(folder / "tiny").named_parameters())
    moved = {n: (x - start[n]).abs().max().item() for n, x in one.items()}
    assert max(moved.values()) > 1e-3
    return all((x - other[n]).abs().max() <= 1e-5 + 1e-2 * moved[n] for n, x in one.items())


def test_two_processes_train_as_one_does(task):
    example(task, "ddp", 2, to="two")
    assert as_trained_by_one(task, "two")


def test_fsdp_trains_as_one_process_does_and_resumes_on_another_number(task):
    example(task, "fsdp", 2, steps=2)
    said = example(task, "fsdp", 1, "--resume", steps=3)
    assert "step 2:" not in said and as_trained_by_one(task, "out-fsdp")


@pytest.mark.parametrize("name, package", [("accelerate", "accelerate"), ("lightning", "lightning")])
def test_trainers_that_others_wrote_train_it(task, name, package):
    pytest.importorskip(package, reason=f"{package} is not installed, and large: pip install {package} to run this")
    said = example(task, name)
    assert as_trained_by_one(task, f"out-{name}")
    mixed = ("--mixed-precision", "bf16") if name == "accelerate" else ("--precision", "bf16-mixed")
    plain, rounded = losses(said), losses(example(task, name, 0, *mixed, to="mixed"))
    assert plain != rounded and rounded == pytest.approx(plain, rel=1e-2)
