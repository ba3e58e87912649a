"""The ./ingrain script from outside: what can be seen without setting anything up."""

import os
import pathlib
import subprocess

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
    assert not (tmp_path / "none").exists(), "help sets nothing up"


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
