import pandas as pd

from distillery.reporting.tables import cells, columns
from distillery.reporting.tables.building import build, each, groups

DATA = pd.DataFrame(
    {
        "method": ["kd", "kd", "crd"],
        "device": ["gpu", "gpu", None],
        "metric": ["top1", "nll", "top1"],
        "mean": [71.5, 0.25, 70.0],
        "std": [0.5, float("nan"), float("nan")],
        "runs": ["k1 k2", "k1", "k3"],
    }
)


def test_a_group_is_a_row_and_a_metric_that_it_lacks_a_dash() -> None:
    table = build(
        "name",
        "Caption.",
        [
            columns.label("Method", lambda row: row.method.upper()),
            columns.device(),
            *columns.metrics(DATA, {"top1": "Top-1", "nll": "NLL"}),
        ],
        groups(DATA, ["method", "device"]),
        DATA,
    )
    assert [[cell.text for cell in row] for row in table.rows] == [
        ["KD", "gpu", "71.50 ± 0.50", "0.2500", "2"],
        ["CRD", "–", "70.00", "–", "1"],
    ]
    assert table.header == (("Method",), ("Device",), ("Top-1",), ("NLL",), ("Runs",))
    assert table.labels == 2
    assert table.rows[0][2].runs == ("k1", "k2")
    assert table.rows[0][3].runs == ("k1",)
    assert table.rows[0][4].runs == ("k1", "k2")


def test_headings_of_one_level_stand_below_those_of_two() -> None:
    shown = [columns.label("Method", str), columns.statistic(("Test", "Top-1"), "top1", cells.mean)]
    table = build("name", "", shown, groups(DATA, ["method"]), DATA, with_runs=False)
    assert table.header == (("", "Method"), ("Test", "Top-1"))


def test_each_row_of_wide_data_is_a_row() -> None:
    shown = [columns.number("Percent", "mean", lambda value: f"{value:g} %", 0.01)]
    table = build("name", "", shown, each(DATA), DATA)
    assert [row[0].text for row in table.rows] == ["7150 %", "25 %", "7000 %"]
    assert [row[0].order for row in table.rows] == [7150.0, 25.0, 7000.0]


def test_the_best_is_strong() -> None:
    best = next(iter(DATA.assign(is_best=[True, False, False]).itertuples()))
    assert cells.percent(best).strong
    assert not cells.percent(next(iter(DATA.itertuples()))).strong
