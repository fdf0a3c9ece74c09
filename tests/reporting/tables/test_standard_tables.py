from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_up_results import Study

from distillery.reporting.figures import ablation
from distillery.reporting.figures.style import make_styles
from distillery.reporting.page import build
from distillery.reporting.results.collected import Results
from distillery.reporting.tables import standard
from distillery.reporting.tables.model import Table


def read(study: Study) -> Results:
    numbers = dict.fromkeys(("seconds", "peak_memory_mb", "images_per_second"), float)
    return Results(study.settings, study.runs.astype(numbers), pd.concat(study.curves))


def shown(table: Table) -> list[list[str]]:
    return [[cell.text for cell in row] for row in table.rows]


def values(study: Study, **chosen: str) -> np.ndarray:
    """Return last-epoch accuracies, picked by hand."""
    runs = study.runs
    for column, value in chosen.items():
        runs = runs[runs[column] == value]
    return runs["test_top1"].to_numpy()


def test_main_table_is_mean_and_deviation_of_the_last_epoch(study: Study) -> None:
    table = standard.main(read(study))
    assert [row[0] for row in shown(table)] == ["Teacher", "CE", "KD", "CRD + KD"]
    assert table.header == (
        ("Teacher", "Student"),
        ("resnet56", "resnet20"),
        ("resnet57", "resnet21"),
    )
    for column, pair in enumerate(["p0", "p1"], start=1):
        for row, method in enumerate(["ce", "kd", "crd"], start=1):
            numbers = values(study, table="main", pair=pair, method=method)
            text = f"{numbers.mean():.2f} ± {numbers.std(ddof=1):.2f}"
            assert shown(table)[row][column] == text
    assert shown(table)[0][1] == f"{values(study, title='t0 (resnet56)')[0]:.2f}"


def test_the_best_student_of_each_pair_is_strong(study: Study) -> None:
    table = standard.main(read(study))
    strong = [[cell.strong for cell in row[1:]] for row in table.rows]
    assert strong == [[False, False], [False, False], [False, False], [True, True]]


def test_what_is_not_separable_from_the_best_is_as_strong(make: Callable[..., Study]) -> None:
    study = make(pairs=1)
    for row in study.rows:
        if row["table"] == "main" and row["method"] == "kd":
            row["test_top1"] = 72.5 + row["seed"]
    table = standard.main(read(study))
    assert [row[1].strong for row in table.rows] == [False, False, True, True]
    (note,) = table.notes
    assert "all that paired t tests over at least three seeds do not separate" in note


def test_with_one_seed_nothing_is_strong_and_the_caption_says_why(
    make: Callable[..., Study],
) -> None:
    table = standard.main(read(make(seeds=1)))
    assert not any(cell.strong for row in table.rows for cell in row)
    assert "Nothing is bold: with fewer than three seeds" in table.notes[0]


def test_gains_have_intervals_from_three_seeds_on(make: Callable[..., Study]) -> None:
    headings = [heading for (heading,) in standard.gains(read(make())).header]
    of_mean, of_gain = (headings.index(f"95 % interval{of}") for of in ("", " of the gain"))
    # Rows: teacher, baseline, KD.
    teacher, baseline, kd = shown(standard.gains(read(make(pairs=1))))[:3]
    assert (teacher[of_mean], teacher[of_gain], baseline[of_gain]) == ("–", "–", "–")
    assert " … " in baseline[of_mean]
    assert kd[of_gain].startswith("+")
    few = shown(standard.gains(read(make(pairs=1, seeds=2))))
    assert {row[of_mean] for row in few} == {row[of_gain] for row in few} == {"–"}


def test_the_baseline_comes_first(make: Callable[..., Study]) -> None:
    study = make(methods={"kd": "KD", "ce": "CE"}, ablations={})
    table = standard.main(read(study))
    assert [row[0] for row in shown(table)] == ["Teacher", "CE", "KD"]
    assert table.references == 2


def test_without_the_baseline_there_are_no_gains(make: Callable[..., Study]) -> None:
    study = make(methods={"kd": "KD", "crd": "CRD"})
    results = read(study)
    assert standard.main(results).references == 1
    assert {row[4] for row in shown(standard.gains(results))} == {"–"}
    assert {row[2] for row in shown(standard.ablation(results, "temperature"))} == {"–"}


def test_gaps_are_dashes(study: Study) -> None:
    study.rows = [r for r in study.rows if (r["pair"], r["method"]) != ("p1", "kd")]
    for row in study.rows:
        if (row["pair"], row["method"]) == ("p0", "crd"):
            row["test_top1"] = np.nan
    table = standard.main(read(study))
    assert shown(table)[2][::2] == ["KD", "–"]
    assert shown(table)[3][:2] == ["CRD + KD", "–"]
    found = set(zip(table.data["pair"], table.data["method"], strict=True))
    assert found >= {("p0", "kd"), ("p1", "crd")}
    assert not found & {("p1", "kd"), ("p0", "crd")}


def test_one_seed_has_no_deviation(make: Callable[..., Study]) -> None:
    table = standard.main(read(make(seeds=1)))
    assert not any("±" in text for row in shown(table) for text in row)
    assert "±" not in table.caption
    assert table.data["std"].isna().all()


def test_a_seed_named_twice_counts_once(study: Study, tmp_path) -> None:
    twin = next(row for row in study.rows if row["method"] == "ce")
    study.rows.append(dict(twin))
    results = Results.read(study.settings, study.publish(tmp_path))
    assert results.summary.loc[("p0", "ce"), "n"] == 3


def test_every_number_names_its_runs(study: Study) -> None:
    data = standard.main(read(study)).data.set_index(["pair", "method"])
    runs = study.runs
    for (pair, method), row in data[data["role"] != "teacher"].iterrows():
        chosen = runs[(runs.table == "main") & (runs.pair == pair) & (runs.method == method)]
        assert row["runs"].split() == chosen["key"].tolist()
        assert row["n"] == 3
        assert row["mean"] == pytest.approx(chosen["test_top1"].mean())
        assert row["best_epoch_mean"] == pytest.approx(chosen["best_test_top1"].mean())
        assert row["gain"] == pytest.approx(row["mean"] - data.loc[(pair, "ce"), "mean"])
    assert data.loc[("p1", ""), "runs"] == runs[runs.title == "t1 (resnet57)"]["key"].item()


def test_best_epochs_are_in_no_cell_of_the_comparison(study: Study) -> None:
    best = {f"{value:.2f}" for value in study.runs["best_test_top1"]}
    last = {f"{value:.2f}" for value in study.runs["test_top1"]}
    cells = {text for row in shown(standard.main(read(study))) for text in row}
    assert not cells & (best - last)


def test_ablation_has_a_row_for_each_variant(study: Study) -> None:
    table = standard.ablation(read(study), "temperature")
    baseline = values(study, table="main", pair="p0", method="ce").mean()
    assert [row[0] for row in shown(table)] == ["1", "4"]
    for row, variant in zip(
        shown(table), ['{"options.temperature": 1}', '{"options.temperature": 4}'], strict=True
    ):
        numbers = values(study, table="temperature", variant=variant)
        assert row[1] == f"{numbers.mean():.2f} ± {numbers.std(ddof=1):.2f}"
        assert row[2] == f"{numbers.mean() - baseline:+.2f}"
    assert table.data.columns[0] == "options.temperature"


def test_evaluation_shows_whatever_the_protocols_measured(study: Study) -> None:
    for row in study.rows[:3]:
        row["robustness/mce"] = 0.5
    study.report["headings"] = {"classification/nll": "NLL (nats)"}
    table = standard.evaluation(read(study))
    assert table.header[2:] == (
        ("Classification", "NLL (nats)"),
        ("Classification", "Top1"),
        ("Classification", "Agreement"),
        ("Robustness", "Mce"),
        ("", "Runs"),
    )
    assert shown(table)[0][:2] == ["–", "Teacher t0 (resnet56)"]
    assert [row[5] for row in shown(table)][:4] == ["0.5000", "0.5000", "0.5000", "–"]
    numbers = study.runs.query("pair == 'p0' and method == 'kd' and table == 'main'")
    nll = numbers["classification/nll"]
    assert shown(table)[3][2] == f"{nll.mean():.3f} ± {nll.std():.3f}"


def test_evaluation_without_protocols_is_empty(make: Callable[..., Study]) -> None:
    table = standard.evaluation(read(make(protocols=False)))
    assert table.rows == ()
    assert table.data.empty


def test_cost_keeps_devices_apart(make: Callable[..., Study]) -> None:
    study = make(timings=True, pairs=1)
    changed = [row for row in study.rows if row["method"] == "kd"]
    changed[0]["device"] = "A Slow Device"
    study.rows[0].update(device=None, images_per_second=None)
    rows = {(row[1], row[2]): row for row in shown(standard.cost(read(study)))}
    assert rows["KD", "A Slow Device"][-1] == "1"
    assert rows["KD", "A Fast Device"][-1] == "2"
    assert rows["Teacher t0 (resnet56)", "–"][5] == "–"


@pytest.mark.parametrize("timings", [True, False])
def test_runs_show_timings_only_when_asked(make: Callable[..., Study], timings: bool) -> None:
    study = make(timings=timings)
    table = standard.runs(read(study))
    assert len(table.rows) == len(study.rows) == len(table.data)
    assert {"table", "pair", "method", "variant", "seed", "key", "location", "adopted"} <= set(
        table.data
    )
    assert ("seconds" in table.data) == timings
    assert ("device" in table.data) == timings


def test_a_run_may_be_in_two_tables(study: Study) -> None:
    shared = next(row for row in study.rows if row["table"] == "main")
    study.rows.append({**shared, "table": "temperature", "variant": '{"options.temperature": 9}'})
    table = standard.runs(read(study))
    assert sorted({row[-1].text for row in table.rows}) == sorted(set(study.runs["key"]))


def test_methods_and_pairs_of_one_name_are_told_apart(make: Callable[..., Study]) -> None:
    study = make(methods={"ce": "CE", "crd": "CRD", "crd-hard": "CRD"}, ablations={})
    study.report["pairs"]["p1"].update(study.report["pairs"]["p0"])
    results = read(study)
    assert list(results.methods.values()) == ["CE", "CRD (crd)", "CRD (crd-hard)"]
    assert [str(pair) for pair in results.pairs.values()] == [
        "resnet56 → resnet20 (p0)",
        "resnet56 → resnet20 (p1)",
    ]


def test_what_an_untrained_classifier_says_is_no_accuracy(study: Study, tmp_path: Path) -> None:
    for row in study.rows:
        row["classifies"] = row["method"] != "kd"
    results = Results.read(study.settings, study.publish(tmp_path))
    assert [row[0] for row in shown(standard.main(results))] == ["Teacher", "CE", "CRD + KD"]
    of_kd = [row for row in shown(standard.runs(results)) if row[2] == "KD"]
    assert of_kd
    assert all(row[5:7] == ["–", "–"] for row in of_kd)
    assert {row[2] for row in shown(standard.runs(results))} > {"KD"}
    curves = results.learning_curves()
    assert set(curves["method"]) == {"ce", "crd"}
    drawn = [drawing.name for drawing in build.all_figures(results)]
    assert "accuracy" in drawn


def test_methods_of_one_title_are_told_apart_wherever_they_are(make: Callable[..., Study]) -> None:
    study = make(pairs=1)
    for row in study.rows:
        if row["table"] == "temperature":
            row |= {"method": "crd-alone", "title": "CRD + KD"}
    results = read(study)
    labels = {"ce": "CE", "kd": "KD", "crd": "CRD + KD (crd)", "crd-alone": "CRD + KD (crd-alone)"}
    assert results.labels == labels
    assert {row[2] for row in shown(standard.runs(results))} >= {*labels.values()}
    assert [row[0] for row in shown(standard.main(results))][1:] == [*labels.values()][:3]


def test_each_pair_of_an_ablation_has_a_best_variant(make: Callable[..., Study]) -> None:
    study = make(pairs=2)
    varied = [row for row in study.rows if row["table"] == "temperature"]
    twins = [{**row, "pair": "p1", "key": f"{row['key']}1"} for row in varied]
    study.rows += twins
    for place, row in enumerate(varied + twins):
        row["test_top1"] = 70.0 + place + 0.1 * (place % 4)
    table = standard.ablation(read(study), "temperature")
    assert [row[1].strong for row in table.rows] == [False, True, False, True]
    assert "Bold: the best variant of each pair" in table.notes[0]


def test_settings_that_a_variant_leaves_alone_are_dashes(make: Callable[..., Study]) -> None:
    study = make(pairs=1, ablations={"listed": {"training.lr": [1, 2], "weights.kd": [0]}})
    kept = {'{"training.lr": 1, "weights.kd": 0}': '{"training.lr": 1}'}
    for row in study.rows:
        row["variant"] = kept.get(row["variant"], row["variant"])
    results = read(study)
    table = standard.ablation(results, "listed")
    assert [row[:2] for row in shown(table)] == [["1", "–"], ["2", "0"]]
    variants = {row[3] for row in shown(standard.runs(results))}
    assert variants == {"", "lr 1", "lr 2, kd 0"}
    styles = make_styles(results.labels, results.baseline)
    assert ablation.draw(results, "listed", styles).figure.axes
