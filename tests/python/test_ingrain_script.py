"""The ./ingrain script from outside: what can be seen without setting anything up."""

import os
import pathlib
import subprocess
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def ingrain(*arguments, cwd=ROOT, **environment):
    return subprocess.run(
        [str(ROOT / "ingrain"), *arguments],
        env={**os.environ, **environment},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_help_explains_the_set_up_where_nothing_is_built(tmp_path):
    done = ingrain("--help", INGRAIN_BUILD=str(tmp_path / "none"))
    assert done.returncode == 0
    for word in ("setup", "build", "test", "bundle DIR", "INGRAIN_TORCH", "INGRAIN_DEPS"):
        assert word in done.stdout
    for command in ("setup", "clean"):
        assert ingrain("help", command).stdout == ingrain(command, "--help").stdout
    assert ingrain("help", "raed", INGRAIN_BUILD=str(tmp_path / "none")).returncode == 2
    assert not (tmp_path / "none").exists(), "help sets nothing up"


@pytest.mark.parametrize("command", ["setup", "build", "test", "bundle", "clean"])
@pytest.mark.parametrize("asked", [["help"], ["--help"], ["-h"], ["--all", "--help"], ["--unit", "-R", "x", "--help"]])
def test_help_of_a_set_up_command_explains_and_does_nothing_else(command, asked, tmp_path):
    build = tmp_path / "build"
    build.mkdir()
    (build / "kept").write_text("")
    done = ingrain(command, *asked, INGRAIN_BUILD=str(build), INGRAIN_TORCH=str(tmp_path / "none"))
    assert done.returncode == 0 and done.stdout.startswith(f"usage: ./ingrain {command}") and done.stderr == ""
    assert [p.name for p in build.iterdir()] == ["kept"]


@pytest.mark.parametrize("words", [["clean", "--al"], ["clean", "everything"], ["setup", "now"], ["build", "x"]])
def test_words_that_a_set_up_command_does_not_take_are_refused(words, tmp_path):
    build = tmp_path / "build"
    build.mkdir()
    done = ingrain(*words, INGRAIN_BUILD=str(build))
    assert done.returncode == 2 and words[1] in done.stderr and "--help" in done.stderr
    assert list(build.iterdir()) == []


@pytest.mark.parametrize("word, meant", [("tset", "test"), ("raed", "read"), ("chta", "chat"), ("mem", "memory"), ("MEM", "memory"), ("frobnicate", None)])
def test_an_unknown_command_is_refused_before_anything_is_set_up(word, meant, tmp_path):
    done = ingrain(word, INGRAIN_BUILD=str(tmp_path / "none"))
    assert done.returncode == 2 and f"no command '{word}'" in done.stderr
    assert (f"did you mean {meant}?" in done.stderr) if meant else ("did you mean" not in done.stderr)
    assert not (tmp_path / "none").exists()


def test_a_wrong_torch_folder_is_named_with_the_remedy(tmp_path):
    done = ingrain("demo", INGRAIN_BUILD=str(tmp_path / "build"), INGRAIN_TORCH=str(tmp_path))
    assert done.returncode == 1
    assert f"INGRAIN_TORCH={tmp_path} holds no torch" in done.stderr
    assert "lib/libtorch.so" in done.stderr


def test_a_bundle_never_overwrites_a_folder_of_something_else(tmp_path):
    (tmp_path / "letters.txt").write_text("keep me")
    done = ingrain("bundle", str(tmp_path), INGRAIN_BUILD=str(tmp_path.parent / "build"))
    assert done.returncode == 2
    assert "neither empty nor a bundle" in done.stderr
    assert (tmp_path / "letters.txt").read_text() == "keep me"


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    done = ingrain("build", INGRAIN_BUILD=str(blocked / "build"))
    assert done.returncode == 1
    assert str(blocked / "build") in done.stderr


def test_it_works_from_any_folder_and_through_a_link(tmp_path):
    link = tmp_path / "ingrain"
    link.symlink_to(ROOT / "ingrain")
    done = subprocess.run([str(link), "--help"], cwd=tmp_path, capture_output=True, text=True, timeout=60,
                          env={**os.environ, "INGRAIN_BUILD": str(tmp_path / "none")})
    assert done.returncode == 0
    assert "usage: ./ingrain COMMAND" in done.stdout


@pytest.fixture
def built(tmp_path):
    """A build folder whose program only tells how it was called, and an (empty) torch to have built it with."""
    build, torch = tmp_path / "build", tmp_path / "torch"
    torch.mkdir()
    program = build / "release" / "src" / "cli" / "ingrain"
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\npwd\nprintf "<%s>" "$@"\nexit 7\n')
    program.chmod(0o755)
    mark = build / "release" / "ingrain-built"
    mark.write_text(f"torch={torch} deps=")
    return mark, {"INGRAIN_BUILD": str(build), "INGRAIN_TORCH": str(torch), "INGRAIN_DEPS": ""}


def test_a_built_program_gets_arguments_folder_and_the_last_word(built, tmp_path):
    _, environment = built
    started = time.monotonic()
    done = ingrain("read", "two words", "*", cwd=tmp_path, **environment)
    assert done.returncode == 7
    assert done.stdout == f"{tmp_path}\n<read><two words><*>"
    assert done.stderr == ""
    assert time.monotonic() - started < 3, "0.02 s on an idle machine"


def test_sources_newer_than_the_program_are_built_first(built):
    mark, environment = built
    os.utime(mark, (0, 0))
    done = ingrain("read", **environment)
    assert done.returncode == 1 and "holds no torch" in done.stderr, "set-up began"


def test_another_torch_than_the_programs_means_building_again(built, tmp_path):
    _, environment = built
    other = tmp_path / "other"
    other.mkdir()
    done = ingrain("read", **{**environment, "INGRAIN_TORCH": str(other)})
    assert done.returncode == 1 and f"INGRAIN_TORCH={other} holds no torch" in done.stderr
