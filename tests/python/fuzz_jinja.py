"""Runs generated programs (jinja_programs.py) through our interpreter and jinja2, and names every difference and every crash.

    python tests/python/fuzz_jinja.py --probe build/sanitize/tests/formats_probe --seconds 3600 [--seed N] [--log FILE]

(`ninja -C build/sanitize formats_probe` builds it: the tests need it in build/release only.) One program a seed, so that a report's number is all that is needed to see it again (--seed N --programs 1)."""
import argparse
import json
import math
import multiprocessing
import pathlib
import re
import resource
import subprocess
import sys
import time
import typing

import jinja_programs
import jinja_reference

# What is no difference: texts with addresses in memory, and bounds that are ours on purpose (docs/chat_templates.md).
ADDRESS = re.compile(r" at 0x[0-9a-f]+|<(built-in )?(function|method)|<bound method|<class |<Cycler|<Joiner|&lt;(function|built|bound|class)")
BOUNDS = re.compile(r"64 bits|too much work|nest deeper|nests deeper|more than \d+|64-bit|lists and dictionaries nest|cannot be printed|a slice's bounds must|has no slices|does not work between dict_|does not work between \w+ and dict_")
FOLDED = re.compile(r"\*\*' needs a dictionary, not (str|tuple|list)")  # dict(**'') is one to jinja2 where it folds constants, and nowhere else
LAZY = re.compile(r"\|\s*(slice|unique|items|reverse|batch|select|reject|map)\b.*\[")  # a part of what is lazy is undefined there, and not made
LENIENT = re.compile(r"\|\s*(tojson|length|count|last|truncate)|\.length|\.revindex|:")  # lazy sequences have a length and a JSON form here


# Python 3.12 takes any truth value for splitlines' and sort's flag, as we do; before it an integer of 32 bits.
FLAG = re.compile(r"cannot be interpreted as an integer|too large to convert to C int")
SET = re.compile(r"\(\) -|- [\w.\[\]{}]+\.(keys|items)\(\)")  # what `-` of keys or items gives has nobody's order


class Slow(Exception):
    """jinja2 did not end within its limit."""


class Refusal(typing.NamedTuple):
    """An exception of jinja2's, as it comes out of its process."""
    kinds: tuple[str, ...]  # the class and those it is derived from
    text: str
    name: str  # a NameError's


class Oracle:
    """jinja2 in a process of its own. A program may stand still inside C, where no handler of Python's runs: the system
    ends the process at its limit of processor time, and the next program gets a new one."""

    def __init__(self, seconds=3, memory=8 << 30):
        self.seconds, self.memory, self.process = seconds, memory, None

    def expected(self, case):
        """The text, or None and the Refusal. Raises Slow."""
        if self.process is None:
            self.start()
        try:
            self.pipe.send(case)
            if self.pipe.poll(600):  # processor time ends it long before, however busy the machine is
                return self.pipe.recv()
        except (EOFError, ConnectionError):
            pass
        self.close()
        raise Slow

    def start(self):
        forked = multiprocessing.get_context("fork")
        self.pipe, end = forked.Pipe()
        self.process = forked.Process(target=self.serve, args=(end,), daemon=True)
        self.process.start()
        end.close()  # so that its death is seen as the pipe's end

    def close(self):
        if self.process is not None:
            self.pipe.close()
            self.process.kill()
            self.process.join()
            self.process = None

    def serve(self, pipe):
        self.pipe.close()
        limit(resource.RLIMIT_AS, self.memory)
        limit(resource.RLIMIT_CORE, 0)
        while True:
            try:
                case = pipe.recv()
            except EOFError:
                return
            limit(resource.RLIMIT_CPU, math.ceil(time.process_time()) + self.seconds)
            try:
                answer = jinja_reference.render_or_raise(case), None
            except Exception as error:  # noqa: BLE001
                kinds = tuple(kind.__name__ for kind in type(error).__mro__)
                answer = None, Refusal(kinds, str(error), getattr(error, "name", None) or "")
            pipe.send(answer)


def limit(what, soft):
    resource.setrlimit(what, (soft, resource.getrlimit(what)[1]))


def ask(probe, cases):
    """Our answers, or nothing where the probe died or took minutes."""
    done = subprocess.run([probe, "render"], input=json.dumps(cases).encode(), capture_output=True,
                          preexec_fn=lambda: limit(resource.RLIMIT_CPU, 300))
    return (json.loads(done.stdout), "") if done.returncode == 0 else (None, f"{done.returncode}: " + done.stderr.decode(errors="replace"))


def answers_of(probe, seeds, cases, report):
    answers, said = ask(probe, cases)
    if answers is not None:
        return answers
    if len(cases) == 1:
        report(f"CRASH seed {seeds[0]}: {cases[0]['template']}\n{said[-3000:]}")
        return [{"crash": True}]
    half = len(cases) // 2
    return answers_of(probe, seeds[:half], cases[:half], report) + answers_of(probe, seeds[half:], cases[half:], report)


def excused(case, want, error, answer):
    if want is not None and ADDRESS.search(want):
        return True
    if "autoescape" in case["template"] and "~" in case["template"].partition("autoescape")[2]:
        return True  # jinja2 joins constants otherwise than variables
    if error is not None and ({"MemoryError", "RecursionError"} & set(error.kinds) or error.name in ("inf", "nan")):
        return True  # the latter where jinja2 folds a constant that has no literal
    if want is not None and SET.search(case["template"]) and sorted(answer.get("text", "")) == sorted(want):
        return True
    if want is not None and (LAZY.search(case["template"]) or ("error" in answer and FOLDED.search(answer["error"]))):
        return True
    if "error" in answer and want is not None and BOUNDS.search(answer["error"]):
        return True
    if error is not None and FLAG.search(error.text) and re.search(r"splitlines|sort", case["template"]):
        return True
    return error is not None and "TypeError" in error.kinds and bool(re.search(
        r"has no len|is not JSON serializable|(generator|iterator)' object is not (reversible|subscriptable)", error.text)) and bool(LENIENT.search(case["template"]))


def run(probe, first, programs, seconds, report, batch=250):
    """Counts: programs run, rendered by jinja2, excused, slow in jinja2, different, crashed."""
    counts = dict(programs=0, rendered=0, excused=0, slow=0, differences=0, crashes=0)
    oracle, end = Oracle(), time.monotonic() + seconds
    try:
        while counts["programs"] < programs and time.monotonic() < end:
            begin = first + counts["programs"]
            run_batch(probe, oracle, list(range(begin, min(first + programs, begin + batch))), counts, report)
    finally:
        oracle.close()
    return counts


def run_batch(probe, oracle, seeds, counts, report):
    cases = [jinja_programs.program(seed) for seed in seeds]
    for seed, case, answer in zip(seeds, cases, answers_of(probe, seeds, cases, report)):
        counts["programs"] += 1
        if "crash" in answer:
            counts["crashes"] += 1
            continue
        try:
            want, error = oracle.expected(case)
        except Slow:
            counts["slow"] += 1
            continue
        counts["rendered"] += want is not None
        if answer.get("text") == want:
            continue
        if excused(case, want, error, answer):
            counts["excused"] += 1
            continue
        counts["differences"] += 1
        shown = case["template"].removeprefix(jinja_programs.HEAD)
        report(f"DIFFERS seed {seed}: {shown}\n   jinja2 {want!r} {error!r}\n   ours   {answer}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--probe", required=True, type=pathlib.Path)
    parser.add_argument("--seconds", type=float, default=1e9)
    parser.add_argument("--programs", type=int, default=10**12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--log", type=pathlib.Path)
    options = parser.parse_args()
    log = options.log.open("a") if options.log else sys.stdout

    def report(text):
        print(text, file=log, flush=True)

    begin = time.monotonic()
    counts = run(options.probe, options.seed, options.programs, options.seconds, report)
    report(f"seeds {options.seed}..{options.seed + counts['programs'] - 1} in {(time.monotonic() - begin) / 60:.1f} minutes: {counts}")
    print(counts)
    return 1 if counts["crashes"] or counts["differences"] else 0


if __name__ == "__main__":
    sys.exit(main())
