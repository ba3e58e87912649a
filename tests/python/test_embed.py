"""examples/embed: a program against the public headers alone."""
import shutil
import subprocess

from conftest import BUILD, ROOT


def test_the_example_reads_once_and_goes_on_from_its_memory(tmp_path):
    text, memory = tmp_path / "text.txt", tmp_path / "text.memory"
    text.write_bytes((ROOT / "examples/data/emma.txt").read_bytes()[:3000])
    command = [BUILD / "examples/embed/embed_example", ROOT / "models/reader-17m", text, memory]
    first, second = (subprocess.run(command, capture_output=True, text=True, timeout=300) for _ in range(2))
    assert first.returncode == 0, first.stderr
    assert "tokens read" in first.stdout and memory.exists()
    assert second.stdout == first.stdout  # from the file, with the same seed


def test_another_project_finds_an_installed_ingrain(tmp_path):
    def run(*command):
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("cmake", "--install", BUILD, "--prefix", tmp_path / "installed")
    prefix = (tmp_path / "installed").rename(tmp_path / "moved")  # the package finds itself wherever it is
    project, text = tmp_path / "project", tmp_path / "text.txt"
    project.mkdir()
    shutil.copy(ROOT / "examples/embed/main.cpp", project)
    (project / "CMakeLists.txt").write_text("""cmake_minimum_required(VERSION 3.25)
project(other LANGUAGES CXX)
find_package(ingrain 0.1 REQUIRED)
add_executable(other main.cpp)
target_compile_features(other PRIVATE cxx_std_20)
target_link_libraries(other PRIVATE ingrain::ingrain)
""")
    run("cmake", "-S", project, "-B", project / "build", f"-DCMAKE_PREFIX_PATH={prefix}")
    run("cmake", "--build", project / "build")
    text.write_bytes((ROOT / "examples/data/emma.txt").read_bytes()[:3000])
    assert "tokens read" in run(project / "build" / "other", ROOT / "models/reader-17m", text, tmp_path / "text.memory")
    assert "ingrain" in run(prefix / "bin" / "ingrain", "--version")
    assert not list(prefix.glob("lib/*serve*")) and not list(prefix.glob("lib/*bench*"))


def test_the_public_headers_need_nothing_of_ours_but_themselves():
    for header in (ROOT / "include/ingrain").glob("*.h"):
        for line in header.read_text().splitlines():
            if line.startswith("#include \""):
                assert line.startswith("#include \"ingrain/"), f"{header.name}: {line}"
