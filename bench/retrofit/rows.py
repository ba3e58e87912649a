"""Rows of a study's table, kept as they come."""
import csv
import json


def append(path, fields, row):
    """To the CSV at `path`, which begins with its fields' names; and printed."""
    new = not path.exists()
    with open(path, "a", newline="") as out:
        writer = csv.DictWriter(out, fields)
        if new:
            writer.writeheader()
        writer.writerow(row)
    print(json.dumps(row), flush=True)
