"""Tests from outside. INGRAIN_TEST_BUILD names the CMake build folder (default: build/release)."""
import os
import pathlib
import signal
import subprocess
import time

import pytest

import warm

ROOT = pathlib.Path(__file__).resolve().parents[2]
# One thread for whatever a test starts, unless it says otherwise: several tests run at once, and threads that wait for each
# other on a core that they share compute for nothing.
os.environ.setdefault("OMP_NUM_THREADS", "1")
BUILD = pathlib.Path(os.environ.get("INGRAIN_TEST_BUILD", ROOT / "build" / "release"))

# Of the files the longest, longest first: each is one process's (xdist's loadfile), and none shall be left alone at the end.
LONG = ("test_tokenizer", "test_signals", "test_page_text", "test_chat", "test_serve_schema", "test_serve", "test_distributed",
        "test_python_training", "test_bench", "test_chat_template", "test_sentencepiece", "test_python_package", "test_cli",
        "test_serve_two", "test_unlucky", "test_compare", "test_serve_memory", "test_page_controls", "test_faults", "test_train",
        "test_gguf", "test_notepad", "test_python_notebooks", "test_page", "test_embed", "test_python_wheel")


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: LONG.index(item.path.stem) if item.path.stem in LONG else len(LONG))


def default_signals():
    """In the child of a test that sends signals: as a terminal starts programs, though the tests run under nohup or as a
    background job, whose SIGHUP or SIGINT is ignored and would be by whatever they start."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def wait_until_caught(process, number):
    """Until a program has said what it does at a signal: before that the signal would end it as any program."""
    end = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < end:
        status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
        if int(status.split("SigCgt:")[1].split()[0], 16) >> (number - 1) & 1:
            return
        time.sleep(0.01)
    raise AssertionError(f"no handler for {number} came; status {process.poll()}")


def runner(name):
    """A function that runs a program of the tests and returns its standard output; a failure raises with its message."""
    program = BUILD / "tests" / name
    assert program.exists(), f"{program} is not built; set INGRAIN_TEST_BUILD to the build folder"

    def run(*args, stdin=b""):
        done = subprocess.run([program, *map(str, args)], input=stdin, capture_output=True)
        if done.returncode:
            raise RuntimeError(done.stderr.decode(errors="replace").strip())
        return done.stdout

    return run


@pytest.fixture(scope="session")
def ingrain():
    """Runs the built program; returns the finished process with text output."""
    program = BUILD / "src" / "cli" / "ingrain"
    assert program.exists(), f"{program} is not built; set INGRAIN_TEST_BUILD to the build folder"
    started = warm.WarmProgram(BUILD / "tests" / "warm_program", program)

    def run(*args, **options):
        options.setdefault("timeout", 300)
        if options.keys() <= {"input", "cwd", "env", "timeout"}:
            return started.run(args, **options)
        return subprocess.run([program, *map(str, args)], capture_output=True, text=True, **options)

    yield run
    started.end()


@pytest.fixture(scope="session")
def probe():
    """Runs tests/tools/formats_probe.cpp."""
    return runner("formats_probe")


@pytest.fixture(scope="session")
def data_probe():
    """Runs tests/tools/data_probe.cpp."""
    return runner("data_probe")


@pytest.fixture
def ops_probe(tmp_path):
    """Runs tests/tools/ops_probe.cpp on torch's tensors, by name."""
    torch = pytest.importorskip("torch")
    run = runner("ops_probe")

    def probe(what, **tensors):
        torch.save({name: x.detach() for name, x in tensors.items()}, tmp_path / "in.pt")
        run(what, tmp_path / "in.pt", tmp_path / "out.pt")
        return torch.load(tmp_path / "out.pt", weights_only=False)

    return probe
