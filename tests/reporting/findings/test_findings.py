"""The sentences are those of the numbers, and of what can be told from them."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from made_up_results import Study
from published import read

from distillery.reporting.findings.all import findings, to_markdown
from distillery.reporting.findings.model import Finding


@pytest.fixture
def found(tmp_path: Path) -> Callable[[Study], list[Finding]]:
    return lambda study: findings(read(study, tmp_path))


def texts(found: list[Finding], kind: str) -> list[str]:
    return [each.text for each in found if each.kind == kind]


def set_accuracies(study: Study, **of_method: tuple[float, ...]) -> None:
    """Give the students of a method these accuracies, a seed each, on every pair."""
    for row in study.rows:
        if row["table"] == "main" and row["method"] in of_method:
            row["test_top1"] = of_method[row["method"]][row["seed"]]


def test_the_answer_comes_first_and_names_who_is_best_where(
    study: Study, found: Callable[[Study], list[Finding]]
) -> None:
    set_accuracies(study, ce=(70.0, 71.0, 72.0), kd=(70.2, 71.1, 72.4), crd=(75.0, 76.1, 77.0))
    first, *_ = found(study)
    assert first.kind == "best"
    assert first.text == (
        "CRD + KD is the best of three methods on both pairs (76.03 % and 76.03 %), "
        "separable from all others."
    )
    keys = study.runs.query("table == 'main' and method == 'crd'")["key"]
    assert set(first.runs) == set(keys)


def test_what_is_not_separable_is_said(
    make: Callable[..., Study], found: Callable[[Study], list[Finding]]
) -> None:
    study = make(pairs=1, ablations={})
    set_accuracies(study, ce=(70.0, 71.0, 72.0), kd=(70.0, 73.0, 71.0), crd=(74.0, 75.1, 76.0))
    said = found(study)
    assert texts(said, "best")[0].startswith("CRD + KD is the best of three methods on resnet56")
    better, same = texts(said, "baseline")
    assert better.startswith("CRD + KD (+4.03 percentage points, 95 % interval +")
    assert better.endswith(" is better than CE.")
    assert same == "KD is not separable from CE at three seeds."


def test_one_method_may_not_be_separable_on_one_pair_alone(
    study: Study, found: Callable[[Study], list[Finding]]
) -> None:
    set_accuracies(study, ce=(70.0, 71.0, 72.0), kd=(70.2, 71.1, 72.4), crd=(75.0, 76.1, 77.0))
    for row in study.rows:
        if row["table"] == "main" and (row["pair"], row["method"]) == ("p1", "kd"):
            row["test_top1"] += (5.0, 3.0, 4.0)[row["seed"]]
    (text,) = texts(found(study), "best")
    assert text.startswith("CRD + KD has the highest mean accuracy of three methods on both pairs")
    assert text.endswith(
        "; on resnet56 → resnet20 it is separable from all others, and on resnet57 → resnet21 it "
        "is not separable from KD."
    )


def test_the_baseline_is_no_rival_of_the_best(
    study: Study, found: Callable[[Study], list[Finding]]
) -> None:
    set_accuracies(study, ce=(70.0, 73.0, 71.0), kd=(70.2, 71.1, 72.4), crd=(70.5, 72.1, 73.0))
    (text,) = texts(found(study), "best")
    assert text.endswith("it is separable neither from CE, the baseline, nor from KD.")


def test_of_many_methods_sentences_name_but_a_few(
    make: Callable[..., Study], found: Callable[[Study], list[Finding]]
) -> None:
    several = {"ce": "CE", **{f"m{number}": f"M{number}" for number in range(20)}}
    study = make(pairs=1, methods=several, ablations={})
    noise = np.random.default_rng(0)
    for row in study.rows:
        if row["table"] == "main":
            number = int(row["method"].removeprefix("m")) if row["method"] != "ce" else 19
            up = 4 + number / 50 if number < 12 else -5 if number < 16 else 0
            row["test_top1"] = 70 + up + float(noise.normal(0, 0.1))
    said = found(study)
    (text,) = texts(said, "best")
    assert re.search(r"21 methods .*; it is not separable from \w+ others \(M.* among them\)", text)
    above, same, below = texts(said, "baseline")
    assert re.fullmatch(
        r"Twelve of the 20 others are better than CE: M\d+ by the most \(\+4\.[^)]*\), "
        r"M\d+ by the least \(\+[34]\.[^)]*\)\.",
        above,
    )
    assert same.endswith("are not separable from CE at three seeds.")
    assert below.startswith("Four of the 20 others are worse than CE: M")
    assert max(map(len, texts(said, "best") + texts(said, "baseline"))) < 230


def test_with_one_seed_nothing_is_claimed(
    make: Callable[..., Study], found: Callable[[Study], list[Finding]]
) -> None:
    said = found(make(seeds=1))
    assert all("with one seed no difference can be tested" in text for text in texts(said, "best"))
    assert texts(said, "baseline") == texts(said, "ranks") == []
    assert all("too few seeds" in text for text in texts(said, "ablation"))


def test_sizes_compare_student_and_teacher(
    make: Callable[..., Study], found: Callable[[Study], list[Finding]]
) -> None:
    (text,) = texts(found(make(pairs=1)), "size")
    assert "0.278 M parameters, 3.1 times fewer than resnet56 (0.860 M)" in text


def test_claims_and_published_numbers_are_findings(
    study: Study, found: Callable[[Study], list[Finding]]
) -> None:
    study.report["claims"] = [{"better": "crd", "worse": "ce", "text": None}]
    number = {"pair": "p0", "method": "kd", "top1": 70.66, "source": "A paper, table 1"}
    study.report["published"] = {"note": "Just one.", "numbers": [number]}
    said = found(study)
    (claim,) = texts(said, "claim")
    assert claim.startswith("Claim “CRD + KD > CE”: supported (+")
    (published,) = texts(said, "published")
    assert published.startswith("1 published number is repeated: ours differ by ")
    assert "(KD on resnet56 → resnet20)" in published


def test_every_finding_names_runs_of_the_results(
    study: Study, found: Callable[[Study], list[Finding]]
) -> None:
    known = set(study.runs["key"])
    said = found(study)
    assert said
    assert all(each.runs and set(each.runs) <= known for each in said)


def test_names_are_no_markup(make: Callable[..., Study], tmp_path: Path) -> None:
    results = read(make(methods={"ce": "CE", "crd": "*C*_R_D $x$"}), tmp_path)
    text = to_markdown(results, findings(results))
    assert r"\*C\*\_R\_D \$x\$" in text


def test_without_results_there_is_nothing_to_say(
    study: Study, found: Callable[[Study], list[Finding]]
) -> None:
    study.rows = [row for row in study.rows if row["table"] == "teachers"]
    assert found(study) == []
