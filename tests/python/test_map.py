"""docs/architecture.md's table of folders against every #include of src."""

import collections
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def table():
    """What each folder knows of: {"ttt": {"base", ...}}; a row may name several folders, "all" is None."""
    out = {}
    for line in (ROOT / "docs" / "architecture.md").read_text().splitlines():
        row = re.fullmatch(r"\| `src/([^`]*)` \|.*\| ([^|]*) \|", line)
        if not row:
            continue
        known = re.sub(r"\([^)]*\)", "", row[2])
        names = {name.strip("` ") for name in known.split(",")} - {"nothing", "libtorch"}
        braces = re.fullmatch(r"(.*)\{(.*)\}", row[1])
        folders = [braces[1] + part for part in braces[2].split(",")] if braces else [row[1]]
        for folder in folders:
            out[folder] = None if names == {"all"} else names
    return out


def folder_of(path):
    parts = path.split("/")
    return "/".join(parts[:2]) if parts[0] == "serve" else parts[0]


def includes():
    out = collections.defaultdict(dict)
    for path in sorted((ROOT / "src").rglob("*")):
        if path.suffix not in {".cpp", ".h", ".cu", ".cuh"}:
            continue
        name = str(path.relative_to(ROOT / "src"))
        for included in re.findall(r'#include "([^"<]+/[^"]+)"', path.read_text()):
            # Of the model, families know the description: its config, and the kinds of mixers that are named there.
            described = included in {"model/config.h", "model/mixers/kinds.h"} and folder_of(name) == "families"
            known_as = "model/config.h" if described else folder_of(included)
            out[folder_of(name)].setdefault(known_as, name)
    return out


def test_a_folder_includes_what_the_map_says_it_knows_of():
    known, found = table(), includes()
    assert set(found) == set(known), "every folder has a row"
    for folder, others in found.items():
        if known[folder] is None:
            continue
        allowed = known[folder] | {folder, "ingrain"}
        if folder.startswith("serve/"):  # the server's own headers, by the rule below the table
            allowed |= {name for name in known if name.startswith("serve/")}
        if folder == "ops":  # bench.cpp and test.cpp of an operation
            allowed |= {"bench"}
        extra = {other: where for other, where in others.items() if other not in allowed}
        assert not extra, f"src/{folder} includes {extra}, which docs/architecture.md does not say"
        if not folder.startswith("serve/"):  # whose rows stand for several
            unused = known[folder] - set(others)
            assert not unused, f"src/{folder} does not include {unused}, which docs/architecture.md says"


def test_no_two_folders_know_of_each_other():
    known = table()
    order = list(known)
    for folder, names in known.items():
        for name in names or ():
            if name in known and not folder.startswith("serve/"):
                assert order.index(name) < order.index(folder), f"src/{folder} stands above src/{name}, of which it knows"
