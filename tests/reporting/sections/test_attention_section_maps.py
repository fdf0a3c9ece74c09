from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_up_results import Study, make_study, with_teachers
from published import read

from distillery.reporting.figures.model import ReportFigure
from distillery.reporting.figures.style import make_styles
from distillery.reporting.results.collected import Results
from distillery.reporting.sections import registry

pytestmark = pytest.mark.usefixtures("in_theme")

SECTION = registry.load("attention-maps")

ENTRY = "attention-maps"
CLASSES = ("apple", "aquarium fish", "baby", "bear", "pickup truck", "lawn mower", "sea", "skunk")


def observed(run: str, seed: int, channels: int = 3, side: int = 32) -> pd.DataFrame:
    shared, own = np.random.default_rng(0), np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] / side
    rows = []
    for label, name in enumerate(CLASSES):
        place = shared.uniform(0.3, 0.7, 2)
        blob = np.exp(-8 * ((x - place[0]) ** 2 + (y - place[1]) ** 2))
        image = 60 + 150 * blob[:, :, None] * shared.uniform(0.3, 1, channels)
        moved = place + own.normal(0, 0.1, 2)
        predicted = (label + 1) % len(CLASSES) if own.random() < 0.2 else label
        rows.append(
            {
                "position": 10 * label,
                "label": label,
                "class": name,
                "predicted": predicted,
                "predicted_class": CLASSES[predicted],
                "height": side,
                "width": side,
                "channels": channels,
                "image": image.astype(np.uint8).tobytes(),
                "map": np.exp(-10 * ((x - moved[0]) ** 2 + (y - moved[1]) ** 2)).reshape(-1),
                "run": run,
            }
        )
    return pd.DataFrame(rows)


def results_of(study: Study, folder: Path, channels: int = 3) -> Results:
    details = []
    for number, row in enumerate(study.rows):
        details.append(observed(row["run"], number + 1, channels))
        row[f"{ENTRY}/map_cosine"] = 0.9 + number / 1000
    results = read(study, folder)
    return replace(results, found={ENTRY: with_teachers(results, pd.concat(details))})


def drawn(results: Results) -> ReportFigure:
    styles = make_styles(results.labels, results.baseline)
    (only,) = SECTION.figures(results, ENTRY, styles)
    return only


def test_images_are_columns_and_networks_rows(tmp_path: Path) -> None:
    shown = drawn(results_of(make_study(), tmp_path))
    grid = np.array(shown.figure.axes).reshape(5, 8)
    assert [panel.get_ylabel() for panel in grid[:, 0]] == [
        "Image",
        "Teacher",
        "CE",
        "KD",
        "CRD + KD",
    ]
    assert [panel.get_title().replace("\n", " ") for panel in grid[0]] == [*CLASSES]
    assert shown.name == "section-attention-maps"


def test_maps_and_wrong_predictions_are_those_of_the_first_seed(tmp_path: Path) -> None:
    study = make_study()
    results = results_of(study, tmp_path)
    run = study.runs.query("table == 'main' and pair == 'p0' and method == 'kd' and seed == 0")
    expected = results.found[ENTRY].query(f"run == '{run['run'].item()}'").reset_index()
    grid = np.array(drawn(results).figure.axes).reshape(5, 8)
    for panel, (_, row) in zip(grid[3], expected.iterrows(), strict=True):
        picture, overlay = panel.images
        assert np.allclose(np.asarray(overlay.get_array()).reshape(-1), row["map"])
        assert np.asarray(picture.get_array()).shape == (32, 32)
        is_wrong = row["predicted"] != row["label"]
        assert panel.get_xlabel().replace("\n", " ") == (row["predicted_class"] if is_wrong else "")


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_images_of_any_channels_are_shown(tmp_path: Path, channels: int) -> None:
    shown = drawn(results_of(make_study(), tmp_path, channels))
    image = np.asarray(shown.figure.axes[0].images[0].get_array())
    assert image.shape == ((32, 32, 3) if channels == 3 else (32, 32))


def test_many_methods_are_cut_and_the_caption_says_so(tmp_path: Path) -> None:
    methods = {"ce": "CE", **{f"m{number}": f"Method {number}" for number in range(12)}}
    shown = drawn(results_of(make_study(methods=methods, seeds=1, ablations={}), tmp_path))
    assert len(shown.figure.axes) == (2 + 8) * 8
    assert "first 8 of 13" in shown.caption


def test_the_table_has_the_similarity_of_every_network(tmp_path: Path) -> None:
    (table,) = SECTION.tables(results_of(make_study(), tmp_path), ENTRY)
    assert table.name == "section-attention-maps"
    assert ("Cosine with the teacher’s map",) in table.header
    assert len(table.rows) == 2 + 2 * 3


def test_without_maps_it_says_so(tmp_path: Path) -> None:
    study = make_study()
    shown = drawn(read(study, tmp_path))
    assert "No attention maps" in shown.figure.axes[0].texts[0].get_text()
