"""ingrain train from outside: kills, resumes, interrupts, refusals."""
import hashlib
import json
import os
import signal
import subprocess
import time

import pytest
from conftest import default_signals
from tiny_run import PROGRAM, write_run

RUN = """
[data]
train = "tokens.bin"
sequence_length = 128

[train]
steps = 40
batch = 4
lr = 0.01

[checkpoint]
folder = "run"
every = 5
keep = 2
"""


@pytest.fixture
def folder(tmp_path):
    return write_run(tmp_path, RUN)


def train(folder, *args, **kwargs):
    environment = dict(os.environ, OMP_NUM_THREADS="1")
    return subprocess.Popen([PROGRAM, "train", folder / "run.toml", *args], env=environment, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=default_signals, **kwargs)


def finish(process, status=0):
    out, err = process.communicate(timeout=600)
    assert process.returncode == status, out + err
    return out + err


def wait_for(condition, process):
    while not condition():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


def model_hash(folder):
    return hashlib.sha256((folder / "model" / "model.safetensors").read_bytes()).hexdigest()


def test_killed_and_resumed_gives_the_bits_of_an_uninterrupted_run(folder):
    finish(train(folder, "--set", f"checkpoint.folder={folder}/whole"))
    process = train(folder)
    for step in (5, 15):  # killed twice, somewhere between two checkpoints
        wait_for((folder / "run" / f"checkpoint-{step:08}.safetensors").exists, process)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.communicate()
        process = train(folder, "--resume")
    assert "continuing after step" in finish(process)
    assert model_hash(folder / "run") == model_hash(folder / "whole")
    steps = [json.loads(line)["step"] for line in (folder / "run" / "log.jsonl").read_text().splitlines()]
    assert steps == list(range(1, 41))
    assert len(list((folder / "run").glob("checkpoint-*"))) == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_writes_a_checkpoint_and_ends_in_order(folder, number):
    process = train(folder, "--set", "train.steps=100000", "--set", "checkpoint.every=100000")
    wait_for(lambda: (folder / "run" / "log.jsonl").exists() and (folder / "run" / "log.jsonl").stat().st_size > 0, process)
    process.send_signal(number)
    process.send_signal(number)  # as timeout does: the second within two seconds is not more
    out = finish(process, 128 + number)
    assert "ingrain: stopping; a checkpoint is written" in out and "resume to go on" in out
    assert len(list((folder / "run").glob("checkpoint-*"))) == 1


def test_a_truncated_checkpoint_is_named_and_the_older_one_used(folder):
    finish(train(folder))
    newest = folder / "run" / "checkpoint-00000040.safetensors"
    before = model_hash(folder / "run")
    newest.write_bytes(newest.read_bytes()[:-1000])
    out = finish(train(folder, "--resume"))
    assert f"not used: {newest}" in out and "continuing after step 35" in out
    assert model_hash(folder / "run") == before


def test_refusals_are_sentences_with_a_remedy(folder):
    def refused(status, *args):
        return finish(train(folder, *args), status)

    assert "did you mean 'train.steps'" in refused(1, "--set", "train.stepz=1")
    assert "section.key=value" in refused(2, "--set", "steps")
    assert "without resuming" in refused(1, "--resume")
    (folder / "run.toml").write_text("[train\n")
    assert "run.toml:1" in refused(1)
    (folder / "run.toml").unlink()
    assert "run.toml" in refused(1)


def test_a_dry_run_changes_nothing_and_prints_a_configuration_that_works(folder):
    out = finish(train(folder, "--dry-run"))
    assert "# parameters" in out and "steps = 40" in out
    assert not (folder / "run").exists()
    (folder / "run.toml").write_text(out)
    assert finish(train(folder, "--dry-run")) == out


def test_no_model_of_somebody_elses_is_replaced(folder):
    """By a run, one that is resumed, and --export: known before the first step. What a run wrote itself it writes again."""
    finish(train(folder, "--set", "train.steps=5"))
    victim = folder / "victim"
    victim.mkdir()
    (victim / "config.json").write_text('{"mine": true}')

    def refused(*args):
        out = finish(train(folder, "--set", f"checkpoint.model={victim}", *args), 1)
        assert "victim: holds files already; choose another checkpoint.model" in out
        assert (victim / "config.json").read_text() == '{"mine": true}' and len(list(victim.iterdir())) == 1

    refused("--set", "checkpoint.folder=other")
    assert not (folder / "other").exists()
    refused("--resume")
    checkpoint = folder / "run" / "checkpoint-00000005.safetensors"
    command = [PROGRAM, "train", "--export", victim, checkpoint]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1 and "victim: exists already" in done.stderr and len(list(victim.iterdir())) == 1
    done = subprocess.run([PROGRAM, "train", "--export", "", checkpoint], capture_output=True, text=True)
    assert done.returncode == 2 and "must name something" in done.stderr
    before = model_hash(folder / "run")
    finish(train(folder, "--resume", "--set", "train.steps=6"))
    assert model_hash(folder / "run") != before, "its own model is written again"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_an_error_before_the_first_step(folder):
    (folder / "run").mkdir(mode=0o500)
    assert "run" in finish(train(folder), 1)


def plan(folder, *args, status=0):
    done = subprocess.run([PROGRAM, "plan", folder / "run.toml", *map(str, args)], capture_output=True, text=True)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_a_plan_counts_memory_by_part_and_says_where_communication_binds(folder):
    batch = ("--set", "train.batch=512", "--json")
    one, many = (json.loads(plan(folder, "--gpus", n, *batch)) for n in (1, 64))
    assert many["optimizer"] * 64 == pytest.approx(one["optimizer"], rel=0.01), "moments are spread over the ranks"
    assert many["weights"] == one["weights"] and many["gradients"] == one["gradients"]
    assert many["rows_at_once"] == 8 and one["rows_at_once"] == 512
    for counted in (one, many):
        parts = ("weights", "gradients", "optimizer", "sharing", "fast", "activations", "head")
        assert counted["bytes"] == sum(counted[part] for part in parts)
        assert counted["largest_batch"] % counted["gpus"] == 0 and counted["largest_batch"] > 0
    # Another sequence a rank than the largest batch has does not fit, and the largest does.
    memory = one["bytes"] / 1e9
    rows = json.loads(plan(folder, "--gpu-memory", memory, *batch))["largest_batch"]
    assert 512 <= rows < 600
    times = json.loads(plan(folder, "--gpus", 8, "--time", *batch))["time"]
    assert [t["gpus"] for t in times] == [2**i for i in range(10)]
    assert times[0]["reducing"] == times[0]["publishing"] == 0
    for less, more in zip(times, times[1:]):
        assert more["computing"] == pytest.approx(less["computing"] / 2), "a batch is shared"
    said = plan(folder, "--gpus", 8, "--time", "--set", "train.batch=512")
    assert "Communication binds from" in said and "Assumed, not measured" in said, "a tiny model is all messages"
    slow = plan(folder, "--gpus", 8, "--time", "--tflops", 1e-6, "--set", "train.batch=512")
    assert "Computing takes longer than communication on all of these" in slow
    assert "MORE than there is" in plan(folder, "--gpu-memory", 0.001)
    assert "not even one sequence a rank fits" in plan(folder, "--gpu-memory", 0.001)
    assert "choose a multiple: --set train.batch=6" in plan(folder, "--gpus", 3, status=1)
