"""Our run's losses beside the reference run's, at the steps that both logged.

    python3 examples/reference-17m/compare.py [OUR_LOG] [REFERENCE_LOG] [--steps 200,400,800,1000] [--within 0.05]

Both saw the same batches in the same order from other random weights: losses of a single batch are compared. Exits with 1
where one of --steps is further apart than --within; a step that ours has not reached is said and does not count.
"""
import argparse
import json
import pathlib
import sys

WORK = pathlib.Path(__file__).resolve().parent / "work"


def losses(path, first):
    """loss by the number of steps made before; `first`: what a log calls its first step."""
    rows = (json.loads(line) for line in path.read_text().splitlines())
    return {row["step"] - first: row["loss"] for row in rows if "loss" in row}


def main():
    p = argparse.ArgumentParser()
    p.add_argument("ours", nargs="?", type=pathlib.Path, default=WORK / "run" / "log.jsonl")
    p.add_argument("reference", nargs="?", type=pathlib.Path, default=WORK / "meta_log.jsonl")
    p.add_argument("--steps", default="200,400,800,1000")
    p.add_argument("--within", type=float, default=0.05)
    o = p.parse_args()
    ours, reference = losses(o.ours, 1), losses(o.reference, 0)  # ours counts steps done
    print(f"{'step':>6} {'ours':>8} {'reference':>10} {'difference':>11}")
    for step in sorted(ours.keys() & reference.keys()):
        print(f"{step:6} {ours[step]:8.4f} {reference[step]:10.4f} {ours[step] - reference[step]:+11.4f}")
    apart = False
    for step in map(int, o.steps.split(",")):
        if step not in ours or step not in reference:
            print(f"step {step}: not reached")
            continue
        far = abs(ours[step] - reference[step]) > o.within
        apart |= far
        print(f"step {step}: {'FAIL, further apart than' if far else 'ok, within'} {o.within}")
    return int(apart)


if __name__ == "__main__":
    sys.exit(main())
