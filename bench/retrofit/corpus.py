"""The retrofit's corpus: text out of the packages that fetch.sh got.

    python corpus.py DIR --emma examples/data/emma.txt

Writes DIR/train.jsonl (a document a line: text, kind, source), DIR/held-out/{test,choice}/NAME.txt and DIR/corpus.json (bytes by kind
and source, what was left out). `test` are the six documents that results are reported on, `choice` the four on which forms are
chosen; none of either is trained on: a paragraph that has 12 words in a row with one of them is left out (licences of manuals, for
the most part), and a document that would lose a tenth of its words so, as a whole. A paragraph of 200 bytes and more is kept once.
"""
import argparse
import bz2
import collections
import gzip
import hashlib
import html
import io
import json
import lzma
import random
import re
import struct
import subprocess
import tarfile
import tempfile
import zlib
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("dir", type=Path)
parser.add_argument("--emma", type=Path, required=True)
args = parser.parse_args()
packages = args.dir / "packages"


# --- files in packages

def deb(name, pattern):
    """(path, bytes) of a Debian package's files whose path matches."""
    path = next(iter(sorted((packages / "deb").glob(name + "_*.deb"))))
    stream = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", path], stdout=subprocess.PIPE)
    wanted = re.compile(pattern)
    with tarfile.open(fileobj=stream.stdout, mode="r|") as tar:
        for member in tar:
            if member.isfile() and wanted.search(member.name):
                yield member.name, tar.extractfile(member).read()
    stream.wait()


def source(name, pattern):
    path = next(iter(sorted((packages / "src").glob(name + "_*.orig.tar.*"))))
    wanted = re.compile(pattern)
    with tarfile.open(path) as tar:
        for member in tar:
            if member.isfile() and wanted.search(member.name):
                yield member.name, tar.extractfile(member).read()


def text_of(data):
    return data.decode("utf-8", errors="replace").replace("\r\n", "\n")


def unzipped(path, data):
    return gzip.decompress(data) if path.endswith(".gz") else data


def without_tags(page):
    """A page of a manual as text: what scripts, styles and navigation say is left out."""
    body = re.search(r'(?s)role="main">(.*?)<div class="clearer">', page)
    page = body[1] if body else page
    page = re.sub(r"(?is)<(script|style|nav|head|footer)\b.*?</\1>", " ", page)
    page = re.sub(r"(?i)<(p|div|h[1-6]|li|tr|dt|dd|br|pre|table)\b[^>]*>", "\n", page)
    page = html.unescape(re.sub(r"<[^>]+>", "", page))
    page = re.sub(r"[ \t]+\n", "\n", page)
    return re.sub(r"\n{3,}", "\n\n", page).strip()


def info(data):
    """An info file's text without its nodes' headers and menus' machinery."""
    text = re.sub(r"\x1f\n(File: [^\n]*\n|Tag Table:.*|Indirect:.*)", "\n", text_of(data), flags=re.S if b"Tag Table" in data[-4000:] else 0)
    text = re.sub(r"(?s)\x1f\nTag Table:.*", "", text)
    return re.sub(r"\x00\x08\[[^\]]*\x00\x08\]|\x1f", "", text).strip()


# --- documents: (kind, source, name, text)

def strings_of_r(data):
    """The strings of a character vector that R serialized (XDR)."""
    at, out = data.index(b"UTF-8") + 5, []
    kind, count = struct.unpack_from(">ii", data, at)
    assert kind & 255 == 16, kind
    at += 8
    for _ in range(count):
        _, size = struct.unpack_from(">ii", data, at)
        out.append(data[at + 8:at + 8 + size].decode())
        at += 8 + size
    return out


def austen():
    """R keeps one variable after another: the length of what is packed, then zlib's bytes."""
    data = next(data for _, data in deb("r-cran-janeaustenr", r"/data/Rdata\.rdb$"))
    while data:
        unpack = zlib.decompressobj()
        lines = strings_of_r(unpack.decompress(data[4:]))
        data = unpack.unused_data
        name = re.sub("[^a-z]", "", next(line for line in lines if line.strip()).lower())
        yield "novel", "r-cran-janeaustenr", name, "\n".join(lines)


def bible():
    """Its text is packed in a way of its own; its program unpacks it."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("bible-kjv", "bible-kjv-text"):
            subprocess.run(["dpkg-deb", "-x", next((packages / "deb").glob(name + "_*.deb")), folder], check=True)
        said = subprocess.run([folder + "/usr/bin/bible", "-p", folder + "/usr/lib", "gen1:1-rev22:21"], check=True, capture_output=True)
    books = collections.OrderedDict()
    for chapter in re.split(r"\n\n(?=[1-3A-Z][A-Za-z ]* \d+\n\n)", text_of(said.stdout)):
        found = re.match(r"\s*(.*) \d+\n", chapter)
        if found:
            books.setdefault(found[1], []).append(re.sub(r"\n(?! )", " ", chapter.strip()))
    for name, chapters in books.items():
        yield "novel", "bible-kjv-text", name, "\n\n".join(chapters)


def anarchism():
    for path, data in deb("anarchism", r"\.html(\.gz)?$"):
        yield "essay", "anarchism", Path(path).stem, without_tags(text_of(unzipped(path, data)))


def classics():
    """The texts that compressors are measured with, out of snappy's source."""
    for path, data in source("snappy", r"testdata/(alice29|asyoulik|plrabn12|lcet10)\.txt$"):
        kind = {"alice29": "novel", "asyoulik": "dialogue", "plrabn12": "novel", "lcet10": "essay"}[Path(path).stem]
        yield kind, "snappy", Path(path).stem, text_of(data)


def wesnoth():
    """What the people of a campaign say, scene by scene, and what the narrator tells."""
    for package in sorted((packages / "deb").glob("wesnoth-1.16-*_*.deb")):
        name = package.name.split("_")[0]
        scenes = []
        for path, data in sorted(deb(name, r"/scenarios/.*\.cfg$|/utils/.*\.cfg$|_main\.cfg$")):
            said, text = [], text_of(data)
            for block in re.finditer(r"\[message\](.*?)\[/message\]|\[(?:part|event)\]\s*story\s*=\s*_?\s*\"([^\"]*)\"|story\s*=\s*_?\s*\"([^\"]*)\"", text, re.S):
                if block[1] is None:
                    said.append(re.sub(r"\s+", " ", block[2] or block[3]).strip())
                    continue
                words = re.search(r"message\s*=\s*_\s*\"([^\"]*)\"", block[1], re.S)
                speaker = re.search(r"(?:speaker|id|role)\s*=\s*\"?([^\"\n]+)", block[1])
                if words and speaker:
                    said.append(speaker[1].strip() + ": " + re.sub(r"\s+", " ", words[1]).strip())
            if said:
                scenes.append("\n\n".join(said))
        if scenes:
            yield "dialogue", name, name, "\n\n* * *\n\n".join(scenes)


def endless_sky():
    for path, data in deb("endless-sky-data", r"/data/.*\.txt$"):
        said = []
        for line in text_of(data).splitlines():
            found = re.match(r"\t+[`](.*)[`]\s*$", line)
            if found and len(found[1]) > 20:
                said.append(found[1].strip())
        if said:
            yield "dialogue", "endless-sky-data", Path(path).stem, "\n\n".join(said)


def fortunes():
    for name in ("fortunes", "fortunes-min"):
        for path, data in deb(name, r"games/fortunes/[a-z-]+$"):
            parts = [p.strip("\n") for p in text_of(data).split("\n%\n")]
            yield "dialogue", name, Path(path).name, "\n\n".join(p for p in parts if p)


def adventure():
    for path, data in deb("open-adventure", r"\.(txt|yaml|adoc)(\.gz)?$"):
        yield "dialogue", "open-adventure", Path(path).stem, text_of(unzipped(path, data))


def manuals():
    for name in ("emacs-common-non-dfsg", "glibc-doc-reference", "make-doc", "autoconf-doc", "gawk-doc", "bash-doc", "gdb-doc", "bison-doc",
                 "r-doc-info", "zsh-doc"):
        parts = collections.OrderedDict()
        for path, data in sorted(deb(name, r"/info/[^/]*\.info(-\d+)?(\.gz)?$|/info/[^/.]+(-\d+)?\.gz$"), key=lambda x: [int(t) if t.isdigit() else t for t in re.split(r"(\d+)", x[0])]):
            parts.setdefault(re.sub(r"(\.info)?(-\d+)?(\.gz)?$", "", Path(path).name), []).append(info(unzipped(path, data)))
        for manual, texts in parts.items():
            yield "manual", name, manual, "\n\n".join(texts)
    for name, pattern in (("debian-reference-en", r"\.html$"), ("debian-policy", r"policy.*\.txt(\.gz)?$"),
                          ("developers-reference", r"\.txt(\.gz)?$|en/.*\.html$"), ("jargon-text", r"jargon"), ("git-doc", r"\.txt(\.gz)?$"),
                          ("vim-runtime", r"/doc/[a-z_0-9]+\.txt(\.gz)?$"), ("perl-doc", r"\.pod(\.gz)?$"),
                          ("python3.11-doc", r"/html/(library|reference|howto|using|extending|c-api|faq|tutorial|distributing|installing)/.*\.html$")):
        for path, data in deb(name, pattern):
            text = text_of(unzipped(path, data))
            label = "/".join(Path(path).parts[-2:])
            yield "manual", name, label, without_tags(text) if ".html" in path else text


def linux():
    inner = next(data for _, data in deb("linux-source-6.1", r"linux-source-6\.1\.tar\.xz$"))
    wanted = re.compile(r"^[^/]+/(kernel|mm|lib|block|ipc|init|security|fs/(ext4|xfs|btrfs|proc|nfs|overlayfs|fuse)|net/(core|ipv4|sched|unix)|"
                        r"drivers/(base|char|tty|pci|md))/.*\.c$")
    with tarfile.open(fileobj=lzma.open(io.BytesIO(inner)), mode="r|") as tar:
        for member in tar:
            if member.isfile() and wanted.search(member.name):
                yield "code", "linux-source-6.1", member.name.split("/", 1)[1], text_of(tar.extractfile(member).read())


def git():
    for path, data in source("git", r"^[^/]+/[a-z-]+\.c$|builtin/[a-z-]+\.c$"):
        yield "code", "git", path.split("/", 1)[1], text_of(data)


def lua():
    files = dict(source("lua5.4", r"/src/l[a-z]+\.c$"))
    yield "code", "lua5.4", "lua", "\n".join(text_of(files[p]) for p in sorted(files))


def sqlite():
    for path, data in source("sqlite3", r"/src/btree\.c$"):
        yield "code", "sqlite3", "btree.c", text_of(data)


# --- what is held out

HELD_OUT = {  # (source, name): (what for, its file)
    ("snappy", "alice29"): ("test", "novel-alice"),
    ("gdb-doc", "gdb"): ("test", "manual-gdb"),
    ("sqlite3", "btree.c"): ("test", "code-btree"),
    ("wesnoth-1.16-dm", "wesnoth-1.16-dm"): ("test", "dialogue-delfador"),
    ("r-cran-janeaustenr", "northangerabbey"): ("choice", "novel-northanger"),
    ("make-doc", "make"): ("choice", "manual-make"),
    ("lua5.4", "lua"): ("choice", "code-lua"),
    ("snappy", "asyoulik"): ("choice", "dialogue-asyoulik"),
}
SKIPPED = {("r-cran-janeaustenr", "emma")}


def words_of(text):
    return re.findall(r"[A-Za-z0-9]+", text.lower())


def shingles(text, n=12):
    words = words_of(text)
    return {hash(tuple(words[i:i + n])) for i in range(0, max(0, len(words) - n + 1))}


def main():
    held = {("emma", "emma"): ("test", "novel-emma", args.emma.read_text())}
    documents, tutorial = [], []
    for make in (austen, bible, anarchism, classics, wesnoth, endless_sky, fortunes, adventure, manuals, linux, git, lua, sqlite):
        count = 0
        for kind, origin, name, text in make():
            count += 1
            if origin == "python3.11-doc" and name.startswith("tutorial/"):
                tutorial.append((name, text))
            elif (origin, name) in HELD_OUT:
                held[origin, name] = (*HELD_OUT[origin, name], text)
            elif (origin, name) not in SKIPPED and len(text) > 1000:
                documents.append((kind, origin, name, text))
        print(make.__name__, count, flush=True)
    order = ["index", "appetite", "interpreter", "introduction", "controlflow", "datastructures", "modules", "inputoutput", "errors", "classes",
             "stdlib", "stdlib2", "venv", "whatnow", "interactive", "floatingpoint", "appendix"]
    pages = {Path(name).stem: text for name, text in tutorial}
    held["python3.11-doc", "tutorial"] = ("test", "manual-python-tutorial", "\n\n".join(pages[p] for p in order if p in pages))
    missing = [name for name in HELD_OUT if name not in held]
    assert not missing and pages, missing

    for purpose, name, text in held.values():
        folder = args.dir / "held-out" / purpose
        folder.mkdir(parents=True, exist_ok=True)
        (folder / (name + ".txt")).write_text(text)
    seen_held = set().union(*(shingles(text) for _, _, text in held.values()))

    left_out, kept, passages = [], [], set()
    random.Random(1).shuffle(documents)
    room, share = collections.Counter(), {"novel": 8e6, "essay": 3e6, "dialogue": 6e6, "manual": 10e6, "code": 8e6}
    for kind, origin, name, text in documents:
        if room[kind] > share[kind]:  # code and manuals could drown the rest
            continue
        fresh, held_words, all_words = [], 0, 0
        for paragraph in re.split(r"\n[ \t]*\n", text):
            words = words_of(paragraph)
            all_words += len(words)
            if any(hash(tuple(words[i:i + 12])) in seen_held for i in range(len(words) - 11)):
                held_words += len(words)
                continue
            key = hashlib.blake2b(" ".join(words).encode(), digest_size=8).digest()
            if len(paragraph) >= 200 and key in passages:
                continue
            passages.add(key)
            fresh.append(paragraph)
        if held_words:
            left_out.append({"source": origin, "name": name, "words": held_words, "of": all_words, "all": held_words > all_words / 10})
        text = "\n\n".join(fresh)
        if held_words <= all_words / 10 and len(text) > 1000:
            kept.append({"text": text, "kind": kind, "source": origin, "name": name})
            room[kind] += len(text)

    room.clear()
    with open(args.dir / "train.jsonl", "w") as out:
        for document in kept:
            size = len(document["text"].encode())
            room[document["kind"]] += size
            room[document["kind"], document["source"]] += size
            out.write(json.dumps(document) + "\n")
    summary = {"bytes_by_kind": {k: v for k, v in room.items() if isinstance(k, str)},
               "bytes_by_source": {"/".join(k): v for k, v in room.items() if not isinstance(k, str)},
               "held_out_bytes": {name: len(text.encode()) for _, name, text in held.values()}, "left_out_for_likeness": left_out}
    (args.dir / "corpus.json").write_text(json.dumps(summary, indent=1))
    print(json.dumps({**summary, "left_out_for_likeness": sum(x["words"] for x in left_out)}, indent=1))


main()
