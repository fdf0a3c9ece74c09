"""What is compared, and what becomes of the claims."""

from collections.abc import Callable
from pathlib import Path

import pytest
from made_up_results import Study
from published import read
from scipy.stats import ttest_rel

from distillery.reporting.results import comparisons

CLAIMS = [
    {"better": "kd", "worse": "ce", "text": None},
    {"better": "ce", "worse": "crd", "text": "CE is best"},
    {"better": "twin", "worse": "crd", "text": None},
]
METHODS = {"ce": "CE", "kd": "KD", "crd": "CRD", "twin": "Twin"}


def claimed(make: Callable[..., Study], seeds: int) -> Study:
    study = make(methods=METHODS, seeds=seeds, ablations={})
    study.report["claims"] = CLAIMS
    of_crd = [row for row in study.rows if row["method"] == "crd"]
    twins = [row for row in study.rows if row["method"] == "twin"]
    for number, (row, twin) in enumerate(zip(of_crd, twins, strict=True)):
        twin["test_top1"] = row["test_top1"] + (0.2 if number % 2 else -0.2)
    return study


def test_blocks_are_the_seeds_of_all_pairs(study: Study, tmp_path: Path) -> None:
    found = comparisons.blocks(read(study, tmp_path))
    assert list(found.columns) == ["ce", "kd", "crd"]
    assert [*found.index] == [(pair, seed) for pair in ("p0", "p1") for seed in range(3)]


def test_blocks_leave_out_pairs_of_few_seeds_and_methods_that_a_pair_lacks(
    make: Callable[..., Study], tmp_path: Path
) -> None:
    study = make(pairs=3)
    study.rows = [
        row
        for row in study.rows
        if (row["pair"], row["method"]) != ("p1", "crd")
        and not (row["pair"] == "p2" and row["seed"] > 0)
    ]
    results = read(study, tmp_path)
    found = comparisons.blocks(results)
    assert list(found.columns) == ["ce", "kd"]
    assert {pair for pair, _ in found.index} == {"p0", "p1"}
    assert "2 methods over 6 blocks, each a seed of one of 2 pairs" in comparisons.basis(results)
    assert "1 that not each of these pairs was run for" in comparisons.basis(results)


def test_claims_get_their_verdicts(make: Callable[..., Study], tmp_path: Path) -> None:
    study = claimed(make, seeds=3)
    found = comparisons.claims(read(study, tmp_path))
    assert found["text"].tolist() == ["KD > CE", "CE is best", "Twin > CRD"]
    assert found["verdict"].tolist() == ["supported", "contradicted", "not separable"]
    assert found["n"].tolist() == [6, 6, 6]
    runs = study.runs
    kd, ce = (runs[runs["method"] == method] for method in ("kd", "ce"))
    p = ttest_rel(kd["test_top1"], ce["test_top1"]).pvalue
    assert found["p"][0] == pytest.approx(p)
    assert found["p_holm"][0] >= p
    assert set(found["runs"][0].split()) == {*kd["key"], *ce["key"]}


def test_few_seeds_are_not_tested_however_many_pairs_there_are(
    make: Callable[..., Study], tmp_path: Path
) -> None:
    results = read(claimed(make, seeds=2), tmp_path)
    found = comparisons.claims(results)
    assert found["verdict"].tolist() == ["too few seeds"] * 3
    assert found["p"].isna().all()
    assert found["low"].isna().all()
    assert found["difference"].notna().all()
    assert comparisons.blocks(results).empty
    assert comparisons.differences(results).empty
    assert "Nothing is tested" in comparisons.basis(results)


def test_a_side_without_runs_is_too_few_seeds(study: Study, tmp_path: Path) -> None:
    study.report["claims"] = [{"better": "kd", "worse": "gone", "text": None}]
    found = comparisons.claims(read(study, tmp_path))
    assert found["verdict"].tolist() == ["too few seeds"]
    assert found["n"].tolist() == [0]


def test_all_comparisons_of_two_are_one_family(study: Study, tmp_path: Path) -> None:
    found = comparisons.differences(read(study, tmp_path))
    assert [*zip(found["better"], found["worse"], strict=True)] == [
        ("crd", "kd"),
        ("crd", "ce"),
        ("kd", "ce"),
    ]
    assert (found["difference"] > 0).all()
    assert found["p_holm"].max() >= 3 * found["p"].min()


def test_the_first_of_the_ranking_is_compared_with_the_others(study: Study, tmp_path: Path) -> None:
    found = comparisons.ranking(read(study, tmp_path)).set_index("method")
    assert list(found.index) == ["crd", "kd", "ce"]
    assert found["rank"].tolist() == [1.0, 2.0, 3.0]
    assert found["difference"].isna().tolist() == [True, False, False]


def test_gains_have_paired_intervals(study: Study, tmp_path: Path) -> None:
    found = comparisons.gain_intervals(read(study, tmp_path))
    runs = study.runs.query("pair == 'p1' and table == 'main'").set_index("method")["test_top1"]
    interval = ttest_rel(runs["kd"], runs["ce"]).confidence_interval()
    assert found.loc[("p1", "kd")].tolist() == pytest.approx([interval.low, interval.high])
    assert ("p1", "ce") not in found.index
