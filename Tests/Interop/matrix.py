"""Who talks to whom over what: Moonrail and upstream's wheels in both directions, every byte compared at the far end.

usage: matrix.py --peer BINARY --moonrail BINARY --work DIRECTORY [--efa PYTHON --fake-efa DIRECTORY] [--tcp PYTHON]
                 [--tcp-old PYTHON] [--quick] [--most GIB] [--parts transfers,bench,stores] [--table FILE]

Run by scripts/interop.sh, which makes the virtual environments. Exits with 1 if anything fails. FILE gets the short
table, and a file beside it, named full.md, every run.
"""

import argparse
import pathlib
import sys

import bench_runs
import store_runs
import transfers
from results import Results
from settings import settings


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--peer", required=True)
    parser.add_argument("--moonrail", required=True)
    parser.add_argument("--work", required=True, type=pathlib.Path)
    parser.add_argument("--fake-efa")
    parser.add_argument("--efa")
    parser.add_argument("--tcp")
    parser.add_argument("--tcp-old")
    parser.add_argument("--quick", action="store_true", help="up to 1 MiB x 128")
    parser.add_argument("--most", type=float, default=4, help="leave out what moves more than so many GiB")
    parser.add_argument("--parts", default="transfers,bench,stores")
    parser.add_argument("--table", type=pathlib.Path)
    options = parser.parse_args()
    parts = options.parts.split(",")
    results = Results()
    mover = transfers.Transfers(results, int(options.most * (1 << 30)))
    sizes = transfers.SIZES[:3] if options.quick else transfers.SIZES
    batches = transfers.BATCHES[:2] if options.quick else transfers.BATCHES
    for setting in settings(options):
        if "transfers" in parts:
            transfers.run(options, results, setting, mover, sizes, batches)
        if "bench" in parts:
            bench_runs.run(options, results, setting)
        if "stores" in parts:
            store_runs.run(options, results, setting, mover)
    if options.table:
        options.table.write_text(results.short())
        options.table.with_name("full.md").write_text(results.full())
    passed = sum(1 for row in results.rows if row[3] == "ok")
    print(f"{passed} passed, {results.failures} failed, {len(results.rows) - passed - results.failures} not run")
    sys.exit(1 if results.failures or not passed else 0)


main()
