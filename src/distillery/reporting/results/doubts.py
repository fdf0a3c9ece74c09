"""Teachers that have little to teach, said at the top of the page and in the log."""

from __future__ import annotations

import math

from distillery.reporting.results.collected import LAST, Results, records


def doubts(results: Results) -> list[str]:
    """Return a sentence for each teacher at chance, or worse than its student by itself."""
    found = []
    for row in records(results.teachers.drop_duplicates("key")):
        chance = getattr(row, "chance_top1", math.nan)
        accuracy = getattr(row, LAST)
        if accuracy <= chance:
            found.append(
                f"Teacher {row.title}, {row.key}, is no better than chance: {accuracy:.2f} %, and "
                f"naming the most frequent class gives {chance:.2f} %."
            )
    for pair, names in results.compared.items():
        baseline = results.baselines.get(pair, math.nan)
        for row in records(results.teacher_of(pair)):
            accuracy = getattr(row, LAST)
            if accuracy < baseline:
                found.append(
                    f"Teacher {row.title}, {row.key}, is worse than its student "
                    f"{names.student} without a teacher: {accuracy:.2f} % against {baseline:.2f} % "
                    f"of {results.labels.get(results.baseline, results.baseline)}."
                )
    return found
