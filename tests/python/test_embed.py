"""examples/embed: a program against the public headers alone."""
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


def test_the_public_headers_need_nothing_of_ours_but_themselves():
    for header in (ROOT / "include/ingrain").glob("*.h"):
        for line in header.read_text().splitlines():
            if line.startswith("#include \""):
                assert line.startswith("#include \"ingrain/"), f"{header.name}: {line}"
