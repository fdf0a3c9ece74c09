"""The command: measure, print the tables, and keep them in a document."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from distillery.core.errors import exit_on_failure


def main() -> None:
    """Run the measures that are asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="repeatable")
    parser.add_argument("--quick", action="store_true", help="fewer repeats, and fewer rows")
    parser.add_argument("--markdown", action="store_true", help="print tables of Markdown")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the tables into a document")
    parser.add_argument("--list", action="store_true", help="name the measures and do nothing")
    given = parser.parse_args()
    with exit_on_failure():
        measure(given)


def measure(given: argparse.Namespace) -> None:
    """Measure; every table is shown and kept as soon as it is there."""
    import torch

    from benchmarks import machine, rows, table

    # As a run has it by default; results of comparisons depend on it.
    torch.set_num_threads(1)
    torch.manual_seed(0)
    for name, module in rows.chosen(given.only).items():
        if given.list:
            print(f"{name:16} {table.title(module)}")
            continue
        found_on, start = machine.described(), time.perf_counter()
        found = module.measure(quick=given.quick)
        print(f"{name}: {time.perf_counter() - start:.0f} s", file=sys.stderr)
        block = table.Block(name, table.title(module), found_on, tuple(found))
        print(table.markdown(block) if given.markdown else table.plain(block), flush=True)
        if given.write:
            table.put(given.write, block)


if __name__ == "__main__":
    main()
