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


def test_two_processes_train_as_one_does(tmp_path):
    folder = save_tiny(tmp_path / "tiny", initializer_range=0.1)
    (tmp_path / "text.txt").write_text(EMMA[:2000])
    said = {}
    for processes in (1, 2):
        done = subprocess.run(
            [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes),
             ROOT / "examples/python/ddp_train.py", folder, tmp_path / "text.txt", "-o", tmp_path / f"out{processes}",
             "--steps", "3", "--batch", "4", "--length", "64", "--lr", "1e-3"],
            capture_output=True, text=True, timeout=300, env={"PYTHONPATH": str(PACKAGE), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"})
        assert done.returncode == 0, done.stdout + done.stderr
        said[processes] = done.stdout
    assert "step 3:" in said[2]
    one, two = (dict(TTTModel.load(tmp_path / f"out{n}").named_parameters()) for n in (1, 2))
    start = dict(TTTModel.load(folder).named_parameters())
    for name, x in one.items():
        assert (x - two[name]).abs().max() <= 1e-5 + 1e-2 * (x - start[name]).abs().max(), name
    assert max((x - start[name]).abs().max().item() for name, x in one.items()) > 1e-3
