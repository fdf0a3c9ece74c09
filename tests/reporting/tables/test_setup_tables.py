from collections.abc import Callable
from pathlib import Path

import pytest
from made_up_results import Study
from published import read

from distillery.reporting.tables import setup


def shown(table: setup.Table) -> list[list[str]]:
    return [[cell.text for cell in row] for row in table.rows]


def test_settings_say_what_was_run(study: Study, tmp_path: Path) -> None:
    facts = {(row[0], row[1]): row[2] for row in shown(setup.settings(read(study, tmp_path)))}
    assert facts["Students", "Data set"] == "made-up: 10 classes, images of 8 × 8 × 1 pixels"
    assert facts["Students", "Images"] == "100 trained on, 50 tested on"
    assert facts["Students", "Schedule"] == (
        "20 epochs, batches of 64, learning rate 0.05, times 0.1 after epochs 12 and 15"
    )
    assert facts["Students", "Optimiser"] == "SGD with momentum 0.9, weight decay 0.0005"
    assert facts["Teachers", "Augmentation"] == "crops after padding by 4 and flips"
    assert facts["Students", "Seeds"] == "0, 1, 2"


def test_entries_show_what_is_not_the_method_s_default(study: Study, tmp_path: Path) -> None:
    rows = shown(setup.entries(read(study, tmp_path)))
    assert rows[0] == ["CE", "Somebody 2020", "1 CE + 0.8 method", "–"]
    assert rows[2][3] == "Negatives 64"


def test_networks_show_the_compression(study: Study, tmp_path: Path) -> None:
    rows = shown(setup.networks(read(study, tmp_path)))
    assert rows[0][:5] == ["resnet56", "resnet20", "0.860", "0.278", "3.1"]


def test_sizes_that_the_plan_cannot_know_are_dashes(study: Study, tmp_path: Path) -> None:
    study.report["pairs"]["p0"]["teacher_parameters"] = None
    rows = shown(setup.networks(read(study, tmp_path)))
    assert rows[0][2:5] == ["–", "0.278", "–"]


def test_provenance_is_that_of_the_manifests(study: Study, tmp_path: Path) -> None:
    facts = dict(shown(setup.provenance(read(study, tmp_path))))
    assert facts["Command"] == "snakemake --cores all --configfile params/made-up.yaml"
    assert facts["Code"] == "commit 0123456789ab"
    assert facts["Dates"] == "2020-01-01 to 2020-01-03"
    assert facts["Versions"] == "python 3.11.1, torch 2.9.0"


@pytest.mark.parametrize("counts", [(2, 1)])
def test_what_differs_is_counted(
    make: Callable[..., Study], tmp_path: Path, counts: tuple[int, int]
) -> None:
    results = read(make(pairs=1, methods={"ce": "CE"}, ablations={}), tmp_path)
    is_first = results.made["run"] == results.students["run"].iloc[0]
    results.made.loc[is_first, "train"] = 50
    facts = {row[1]: row[2] for row in shown(setup.settings(results)) if row[0] == "Students"}
    assert facts["Images"] == (
        f"100 trained on, 50 tested on ({counts[0]} runs); "
        f"50 trained on, 50 tested on ({counts[1]} run)"
    )
