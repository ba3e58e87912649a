"""ingrain train on several processes, started by mpirun on this machine: the same numbers as one process, checkpoints that
any number of processes writes and reads, and what happens when one of them dies."""
import json
import os
import pathlib
import shutil
import signal
import struct
import subprocess
import time

import pytest
from conftest import BUILD, default_signals
from tiny_run import PROGRAM, write_run

pytestmark = [
    pytest.mark.skipif(not shutil.which("mpirun"), reason="no mpirun here: install openmpi-bin"),
    pytest.mark.skipif(not (BUILD / "src" / "cli" / "libingrain_mpi.so").exists(),
                       reason="built without MPI: install libopenmpi-dev and build again"),
]

RUN = """
[data]
train = "tokens.bin"
sequence_length = 64

[train]
steps = 20
batch = 4
lr = 0.001
dtype = "fp32"

[checkpoint]
folder = "run"
every = 10
keep = 3
"""
# Processes that wait give way to those that compute: there may be more of them than cores.
MPI = {
    "OMP_NUM_THREADS": "1",
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "OMPI_MCA_hwloc_base_binding_policy": "none",
    "OMPI_MCA_mpi_yield_when_idle": "1",
}


@pytest.fixture
def folder(tmp_path):
    return write_run(tmp_path, RUN)


def start(folder, ranks, *args, transport="vader", settings=()):
    words = [PROGRAM, "train", folder / "run.toml", *args]
    for setting in settings:
        words += ["--set", setting]
    if ranks > 1:
        words = ["mpirun", "-n", str(ranks), "--mca", "btl", f"self,{transport}", *words]
    # A session of its own, so that a test that fails can end all of it.
    return subprocess.Popen(words, env=dict(os.environ, **MPI), text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, preexec_fn=default_signals, start_new_session=True)


def finish(process, status=0):
    try:
        out, err = process.communicate(timeout=120)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    if status is not None:
        assert process.returncode == status, out + err
    return out + err


def train(folder, ranks, *args, to="run", **kwargs):
    settings = (*kwargs.pop("settings", ()), f"checkpoint.folder={folder / to}")
    return finish(start(folder, ranks, *args, settings=settings, **kwargs))


def checkpoint(folder, step=20):
    return (folder / f"checkpoint-{step:08}.safetensors").read_bytes()


def tensors(folder, step=20):
    """{name: numbers} of a checkpoint."""
    data = checkpoint(folder, step)
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + size])
    header.pop("__metadata__")
    return {name: memoryview(data)[8 + size + entry["data_offsets"][0]:8 + size + entry["data_offsets"][1]].cast("f")
            for name, entry in header.items()}


def bits(folder, step=20):
    """A checkpoint's tensors: its metadata holds paths and the log's length."""
    return {name: bytes(x) for name, x in tensors(folder, step).items()}


def farthest(a, b):
    return max(abs(x - y) for name in a if not name.endswith("moment") for x, y in zip(a[name], b[name]))


def test_two_ranks_train_what_one_does_to_rounding_and_repeat_themselves_bit_for_bit(folder):
    out = train(folder, 1, to="one")
    assert "ranks share" not in out
    out = train(folder, 2, to="two")
    assert out.count("2 ranks share each batch") == 1 and out.count("20 steps done") == 1, out
    train(folder, 2, to="tcp", transport="tcp")
    one, two = tensors(folder / "one"), tensors(folder / "two")
    assert one.keys() == two.keys()
    assert 0 < farthest(one, two) < 1e-6
    assert bits(folder / "two") == bits(folder / "tcp"), "neither time nor transport decides a bit"
    lines = [json.loads(line) for line in (folder / "two" / "log.jsonl").read_text().splitlines()]
    alone = [json.loads(line) for line in (folder / "one" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 21)) and [line["tokens"] for line in lines] == [
        line["tokens"] for line in alone]
    assert all(abs(a["loss"] - b["loss"]) < 1e-5 for a, b in zip(alone, lines))
    # Gradients out and weights in, 4 bytes a number and half of them one's own already, and what a few messages take.
    numbers = sum(len(x) for name, x in two.items() if not name.endswith("moment"))
    assert 4 * numbers < lines[5]["bytes_sent"] < 4.5 * numbers + 20000
    assert all(line["communication_seconds"] >= 0 for line in lines) and "bytes_sent" not in alone[0]


def test_in_order_one_two_and_four_ranks_train_the_same_bits_over_any_transport(folder):
    ordered = ["train.reduction=ordered"]
    train(folder, 1, to="one", settings=ordered)
    train(folder, 2, to="two", settings=ordered)
    train(folder, 4, to="four", settings=ordered, transport="tcp")
    assert bits(folder / "one") == bits(folder / "two") == bits(folder / "four")
    models = {(folder / name / "model" / "model.safetensors").read_bytes() for name in ("one", "two", "four")}
    assert len(models) == 1


def test_a_checkpoint_goes_on_with_another_number_of_ranks(folder):
    """What two ranks wrote after 5 steps, one takes to 10 and on, and four from there: in order, all of it is one run."""
    settings = ["train.reduction=ordered", "checkpoint.every=5", "checkpoint.keep=9"]
    train(folder, 2, to="two", settings=settings)
    for ranks, step, source, to in ((1, 5, "two", "one"), (4, 10, "one", "four")):
        (folder / to).mkdir()
        name = f"checkpoint-{step:08}.safetensors"
        shutil.copy(folder / source / name, folder / to / name)
        assert f"continuing after step {step}" in train(folder, ranks, "--resume", to=to, settings=settings)
        assert bits(folder / to) == bits(folder / "two")


def wait_for(path, process):
    while not path.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


def children(pid):
    """Processes of the program below `pid`, by rank."""
    out = {}
    for status in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(status.read_text().rsplit(")", 1)[1].split()[1])
            environment = dict(word.split("=", 1) for word in (status.parent / "environ").read_text().split("\0") if "=" in word)
        except (OSError, ValueError):
            continue
        if parent == pid and "OMPI_COMM_WORLD_RANK" in environment:
            out[int(environment["OMPI_COMM_WORLD_RANK"])] = int(status.parent.name)
    return out


def runs(pid):
    """Whether a process is there, and not only its exit status, for which nobody has asked."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_when_a_rank_is_killed_the_others_end_and_name_it_and_the_run_can_go_on(folder):
    whole = train(folder, 2, to="whole")
    assert "20 steps done" in whole
    process = start(folder, 2, settings=["train.steps=100000", "train.warmup=2", "train.ilr_warmup=2"])
    wait_for(folder / "run" / "checkpoint-00000010.safetensors", process)
    ranks = children(process.pid)
    os.kill(ranks[1], signal.SIGKILL)
    began = time.monotonic()
    out = finish(process, None)
    while runs(ranks[0]) and time.monotonic() - began < 30:
        time.sleep(0.01)
    assert time.monotonic() - began < 30 and process.returncode != 0
    assert f"process {ranks[1]}) has ended without a word" in out and "rank 1 (" in out, out
    newest = max((folder / "run").glob("checkpoint-*.safetensors"))
    step = int(newest.stem.split("-")[1])
    out = train(folder, 2, "--resume", settings=[f"train.steps={step + 3}", "train.warmup=2", "train.ilr_warmup=2"])
    assert f"continuing after step {step}" in out and f"{step + 3} steps done" in out


def test_an_error_of_one_rank_is_told_once_and_ends_all_of_them(folder):
    process = start(folder, 2, "--set", "train.batch=3")
    out = finish(process, 1)
    assert "a batch of 3 sequences cannot be shared equally by 2 ranks" in out
    process = start(folder, 2, "--set", "train.stepz=3")
    assert "did you mean 'train.steps'" in finish(process, 1)


def test_a_signal_to_one_rank_is_a_checkpoint_of_all(folder):
    process = start(folder, 2, settings=["train.steps=100000", "checkpoint.every=100000"])
    wait_for(folder / "run" / "log.jsonl", process)
    os.kill(children(process.pid)[1], signal.SIGTERM)
    out = finish(process, None)
    assert "resume to go on" in out
    assert len(list((folder / "run").glob("checkpoint-*"))) == 1


LARGER = """
[model]
vocab_size = 4000
hidden_size = 256
num_hidden_layers = 4
num_attention_heads = 4
intermediate_size = 688
suffix_len = 2
sliding_window = 128
chunk_size = 64

[data]
train = "tokens.bin"
sequence_length = 256

[train]
steps = 2
batch = 4
device = "cpu"
dtype = "fp32"

[checkpoint]
folder = "run"
"""


def test_gradients_that_travel_during_the_backward_pass_change_no_bit(folder):
    """A model of many buckets (src/train/reduction.h), which set out one by one: in order one, two and four ranks train the same bits over
    either transport, and out of order two and four ranks repeat themselves and are what one does to rounding."""
    (folder / "run.toml").write_text(LARGER)
    settings = ["train.steps=3", "train.warmup=1", "train.ilr_warmup=1"]
    ordered = [*settings, "train.reduction=ordered"]
    train(folder, 1, to="one", settings=ordered)
    train(folder, 2, to="two", settings=ordered)
    train(folder, 4, to="four", settings=ordered, transport="tcp")
    assert bits(folder / "one", 3) == bits(folder / "two", 3) == bits(folder / "four", 3)
    train(folder, 1, to="alone", settings=settings)
    for ranks in (2, 4):
        train(folder, ranks, to=f"shared-{ranks}", settings=settings)
        train(folder, ranks, to=f"tcp-{ranks}", settings=settings, transport="tcp")
        assert bits(folder / f"shared-{ranks}", 3) == bits(folder / f"tcp-{ranks}", 3)
        assert 0 < farthest(tensors(folder / "alone", 3), tensors(folder / f"shared-{ranks}", 3)) < 1e-5


def anonymous_bytes(pid):
    """What a process holds of its own. Not VmHWM: pages of mapped files are in it, libtorch's, which a kernel takes back as it likes (DAMON's
    pageout scheme, on some virtual machines, while the process runs)."""
    try:
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return int(status.split("RssAnon:")[1].split()[0]) * 1024 if "RssAnon:" in status else 0


def peak_bytes(folder, *settings):
    """The most that a run of one process held."""
    process = start(folder, 1, settings=settings)
    most = 0
    while process.poll() is None:
        most = max(most, anonymous_bytes(process.pid))
        time.sleep(0.001)
    finish(process)
    return most


def peak_of_ranks(folder, ranks, *settings):
    """The most that rank 0 held in two steps and some more."""
    process = start(folder, ranks, settings=("train.steps=100000", "train.warmup=2", "train.ilr_warmup=2", "checkpoint.every=100000",
                                             *settings, f"checkpoint.folder={folder}/many"))
    log, most, first = folder / "many" / "log.jsonl", 0, None
    try:
        while not log.exists() or log.read_text().count("\n") < 3:
            assert process.poll() is None, process.communicate()
            first = first or children(process.pid).get(0)
            most = max(most, anonymous_bytes(first) if first else 0)
            time.sleep(0.001)
        return most
    finally:
        for rank in children(process.pid).values():
            os.kill(rank, signal.SIGKILL)
        process.communicate(timeout=60)
        shutil.rmtree(folder / "many", ignore_errors=True)


def planned_bytes(folder, *settings, ranks=1):
    words = [word for setting in settings for word in ("--set", setting)]
    done = subprocess.run([PROGRAM, "plan", folder / "run.toml", "--gpus", str(ranks), "--gpu-memory", "8", "--json", *words],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["bytes"]


def test_a_plan_is_within_a_tenth_of_the_measured_peak(folder):
    """What a run needs beyond a tiny one, whose memory is the program's own."""
    own = peak_bytes(folder, "train.steps=1", f"checkpoint.folder={folder}/own") - planned_bytes(folder)
    (folder / "run.toml").write_text(LARGER)
    for mode, batch in (("meta", 4), ("standard", 12)):
        settings = (f"train.mode={mode}", f"train.batch={batch}")
        measured = peak_bytes(folder, f"checkpoint.folder={folder}/{mode}", *settings) - own
        planned = planned_bytes(folder, *settings)
        assert abs(planned / measured - 1) < 0.1, f"{mode}: planned {planned / 1e6:.1f} MB, measured {measured / 1e6:.1f} MB"


def test_a_plan_for_two_ranks_is_within_a_tenth_of_the_measured_peak(folder):
    own = peak_of_ranks(folder, 2) - planned_bytes(folder, ranks=2)
    (folder / "run.toml").write_text(LARGER)
    measured = peak_of_ranks(folder, 2, "train.batch=8") - own
    planned = planned_bytes(folder, "train.batch=8", ranks=2)
    assert abs(planned / measured - 1) < 0.1, f"planned {planned / 1e6:.1f} MB, measured {measured / 1e6:.1f} MB"
