import pandas as pd
import pytest

from distillery.reporting.statistics.best import is_best


def runs(**units: list[float]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"pair": "p", "method": name, "seed": seed, "top1": value}
            for name, values in units.items()
            for seed, value in enumerate(values)
        ]
    )


def marked(table: pd.DataFrame) -> list[str]:
    found = is_best(table, ["pair"], "method", "top1")
    return [method for _, method in found.index[found]]


def test_what_is_clearly_worse_is_not_marked() -> None:
    assert marked(runs(a=[1.0, 1.1, 1.3], b=[3.0, 3.2, 3.1])) == ["b"]


def test_what_is_inside_the_noise_is_marked_with_the_best() -> None:
    table = runs(a=[93.5, 92.0, 95.0], b=[91.8, 93.0, 90.6], c=[10.0, 11.0, 10.4])
    assert sorted(marked(table)) == ["a", "b"]


def test_correction_counts_the_rivals() -> None:
    # Alone its p is 0.034; beside a second rival twice that.
    best, near = [4.0, 5.0, 6.0], [3.0, 3.3, 5.0]
    assert marked(runs(best=best, near=near)) == ["best"]
    beside = runs(best=best, near=near, other=[3.9, 5.2, 5.8])
    assert sorted(marked(beside)) == ["best", "near", "other"]


@pytest.mark.parametrize("table", [runs(a=[1.0, 2.0], b=[5.0, 6.1]), runs(a=[1.0, 2.0, 3.0])])
def test_nothing_is_marked_without_three_seeds_or_a_rival(table: pd.DataFrame) -> None:
    assert marked(table) == []


def test_a_rival_of_few_seeds_cannot_be_told_from_the_best() -> None:
    assert sorted(marked(runs(a=[5.0, 5.2, 5.1], b=[1.0]))) == ["a", "b"]


def test_no_runs_have_no_marks() -> None:
    found = is_best(runs(a=[1.0]).iloc[:0], ["pair"], "method", "top1")
    assert found.empty
    assert found.index.names == ["pair", "method"]
