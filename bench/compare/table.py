"""The table that a comparison prints: a row for each contestant, the medians of its runs against ours, which comes first."""
import statistics


def print_table(tokens, threads, seconds, peaks=None):
    """seconds: {name: one per run}, each for this many tokens; peaks: {name: MB}, a column of its own if given."""
    width, runs = max(map(len, seconds)) + 4, len(next(iter(seconds.values())))
    first = statistics.median(next(iter(seconds.values())))
    peak = f" {'peak MB':>9}" if peaks else ""
    print(f"{'':{width}} {'tokens/s':>9} {'slowest':>9}{peak} {'ours is':>9}   ({threads} threads, median of {runs})")
    for name, values in seconds.items():
        middle = statistics.median(values)
        peak = f" {peaks[name]:9.0f}" if peaks else ""
        print(f"{name:{width}} {tokens / middle:9.0f} {tokens / max(values):9.0f}{peak} {middle / first:8.2f}x")
