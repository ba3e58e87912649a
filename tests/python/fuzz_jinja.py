"""Runs generated programs (jinja_programs.py) through our interpreter and jinja2, and names every difference and every crash.

    python tests/python/fuzz_jinja.py --probe build/sanitize/tests/formats_probe --seconds 3600 [--seed N] [--log FILE]

One program a seed, so that a report's number is all that is needed to see it again (--seed N --programs 1)."""
import argparse
import json
import pathlib
import re
import resource
import signal
import subprocess
import sys
import time

import jinja_programs
import jinja_reference

# What is no difference: texts with addresses in memory, and bounds that are ours on purpose (docs/chat_templates.md).
ADDRESS = re.compile(r" at 0x[0-9a-f]+|<(built-in )?(function|method)|<bound method|<class |<Cycler|<Joiner|&lt;(function|built|bound|class)")
BOUNDS = re.compile(r"64 bits|too much work|nest deeper|nests deeper|more than \d+|64-bit|lists and dictionaries nest|cannot be printed|a slice's bounds must|has no slices|does not work between dict_|does not work between \w+ and dict_")
FOLDED = re.compile(r"\*\*' needs a dictionary, not (str|tuple)")  # dict(**'') is one to jinja2 where it folds constants, and nowhere else
LAZY = re.compile(r"\|\s*(slice|unique|items|reverse|batch|select|reject|map)\b.*\[")  # a part of what is lazy is undefined there, and not made
LENIENT = re.compile(r"\|\s*(tojson|length|count|last)|\.length|\.revindex|:")  # lazy sequences have a length and a JSON form here


class Slow(Exception):
    pass


def expected(case):
    def stop(*_):
        raise Slow
    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, 2)
    try:
        return jinja_reference.render_or_raise(case), None
    except Slow:
        raise
    except Exception as error:  # noqa: BLE001
        return None, error
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def ask(probe, cases):
    """Our answers, or nothing where the probe died."""
    unlimited = lambda: resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))  # noqa: E731
    done = subprocess.run([probe, "render"], input=json.dumps(cases).encode(), capture_output=True, preexec_fn=unlimited)
    return (json.loads(done.stdout), "") if done.returncode == 0 else (None, done.stderr.decode(errors="replace"))


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
    if isinstance(error, (MemoryError, RecursionError)) or (isinstance(error, NameError) and error.name in ("inf", "nan")):
        return True  # the latter where jinja2 folds a constant that has no literal
    if want is not None and re.search(r"\(\) -|- \w+\.(keys|items)\(\)", case["template"]) and sorted(answer.get("text", "")) == sorted(want):
        return True  # a set's order is nobody's
    if want is not None and (LAZY.search(case["template"]) or ("error" in answer and FOLDED.search(answer["error"]))):
        return True
    if "error" in answer and want is not None and BOUNDS.search(answer["error"]):
        return True
    return error is not None and isinstance(error, TypeError) and bool(re.search(
        r"has no len|is not JSON serializable|(generator|iterator)' object is not (reversible|subscriptable)", str(error))) and bool(LENIENT.search(case["template"]))


def run(probe, first, programs, seconds, report, batch=250):
    """Programs run, rendered by jinja2, and lists of seeds that crash or differ."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, before[1]))  # jinja2's, not the probe's: see ask()
    try:
        return run_within_limit(probe, first, programs, seconds, report, batch)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)  # other tests start programs, too


def run_within_limit(probe, first, programs, seconds, report, batch):
    counts = dict(programs=0, rendered=0, excused=0, differences=0, crashes=0)
    end = time.monotonic() + seconds
    while counts["programs"] < programs and time.monotonic() < end:
        seeds = list(range(first + counts["programs"], first + min(programs, counts["programs"] + batch)))
        cases = [jinja_programs.program(seed) for seed in seeds]
        for seed, case, answer in zip(seeds, cases, answers_of(probe, seeds, cases, report)):
            counts["programs"] += 1
            if "crash" in answer:
                counts["crashes"] += 1
                continue
            try:
                want, error = expected(case)
            except Slow:
                counts["excused"] += 1
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
    return counts


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

    counts = run(options.probe, options.seed, options.programs, options.seconds, report)
    report(f"seeds {options.seed}..{options.seed + counts['programs'] - 1}: {counts}")
    print(counts)
    return 1 if counts["crashes"] or counts["differences"] else 0


if __name__ == "__main__":
    sys.exit(main())
