"""Which runs of an experiment a person wants: those of a method, a pair, a seed."""

from __future__ import annotations

from distillery.core.errors import UnknownName, UserError
from distillery.planning.plan import Plan
from distillery.runs.run import Run


def chosen(plan: Plan, entry: str | None, pair: str | None, seed: int | None) -> list[Run]:
    """Return the runs that some students of the comparison need, inputs before what reads them.

    Their protocols belong to them, and so does everything that either reads.

    Args:
        plan: the experiment.
        entry: id of a method entry; None for all.
        pair: id of a pair; None for all.
        seed: seed of the students; None for all.

    Raises:
        UserError: the comparison has no such students.
    """
    rows = [row for row in plan.rows if row.table == "main"]
    for kind, wanted, known in (
        ("method entry", entry, {row.method for row in rows}),
        ("pair", pair, {row.pair for row in rows}),
        ("seed", seed, {row.seed for row in rows}),
    ):
        if wanted is not None and wanted not in known:
            raise UnknownName(f"{kind} of the comparison", str(wanted), map(str, known))
    wanted_rows = [
        row
        for row in rows
        if (entry in (None, row.method) and pair in (None, row.pair) and seed in (None, row.seed))
    ]
    if not wanted_rows:
        raise UserError(f"pair '{pair}' has no students of '{entry}' with these seeds")
    needed = {place for row in wanted_rows for place in (row.run, *row.evaluations.values())}
    # Inputs come before what reads them.
    for location in reversed(plan.runs):
        if location in needed:
            needed.update(plan.runs[location].inputs.values())
    return [run for location, run in plan.runs.items() if location in needed]
