from collections.abc import Callable
from pathlib import Path

import pytest
from made_up_results import Study
from published import read

from distillery.reporting.figures.ranks import ranks as drawn_ranks
from distillery.reporting.figures.style import make_styles
from distillery.reporting.tables import comparisons, writing


def test_claims_show_difference_interval_p_effect_and_verdict(study: Study, tmp_path: Path) -> None:
    study.report["claims"] = [{"better": "kd", "worse": "ce", "text": None}]
    table = comparisons.claims(read(study, tmp_path))
    headings = [heading for (heading,) in table.header]
    assert headings[:4] == ["Claim", "Verdict", "Difference (points)", "95 % interval"]
    assert {"p (Holm)", "Hedges’ g", "Ahead in", "Runs"} <= set(headings)
    (row,) = table.rows
    assert [cell.text for cell in row[:2]] == ["KD > CE", "supported"]
    assert row[headings.index("Ahead in")].text == "6 of 6"
    assert "…" in row[3].text


@pytest.mark.parametrize("seeds", [1, 3])
def test_every_table_can_be_written_and_every_figure_drawn(
    make: Callable[..., Study], tmp_path: Path, in_theme: None, seeds: int
) -> None:
    results = read(make(seeds=seeds), tmp_path)
    for table in (comparisons.ranks(results), comparisons.differences(results)):
        assert bool(table.rows) == (seeds == 3)
        assert ("Nothing is tested" in " ".join(table.notes)) == (seeds == 1)
        for write in writing.FORMATS.values():
            assert write(table)
    figure = drawn_ranks(results, make_styles(results.labels, results.baseline))
    (panel,) = figure.figure.axes
    texts = [text.get_text().strip() for text in panel.texts]
    if seeds == 1:
        assert texts == ["Too few seeds to test anything."]
    else:
        assert texts[:3] == ["CRD + KD  1.00", "KD  2.00", "CE  3.00"]
        # q(0.05, 3) = 2.343 of Demšar's table, times sqrt(3 * 4 / (6 * 6)).
        assert texts[3] == "CD = 1.35"
