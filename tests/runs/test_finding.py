"""Runs are found by what a person types."""

from __future__ import annotations

import pytest

from distillery.core.errors import UserError
from distillery.runs.finding import found

KD = "digits-p-kd-s0-0123456789abcdef"
KD_SCORES = "digits-p-kd-s0-classification-01fedcba98765432"
HOT = "digits-p-kd-hot-s0-aaaabbbbccccdddd"
OTHER = "digits-q-kd-s0-aaaacccc00001111"
NAMES = [KD, KD_SCORES, HOT, OTHER]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (KD, KD),
        (f"data/students/{KD}/", KD),
        (f"students/{KD}/manifest.json", KD),
        ("0123456789abcdef", KD),
        # Named by another experiment.
        ("photos-x-soft-s0-0123456789abcdef", KD),
        ("0123", KD),
        ("aaaab", HOT),
        ("digits-p-kd-s0", KD),
        ("p-kd-s0", KD),
        ("hot", HOT),
        ("classification", KD_SCORES),
    ],
)
def test_a_run_has_many_names(typed: str, meant: str) -> None:
    assert found(typed, NAMES, "look") == meant


@pytest.mark.parametrize(
    ("typed", "candidates"), [("aaaa", [HOT, OTHER]), ("kd-s0", [KD, OTHER]), ("q-kd", [OTHER])]
)
def test_what_fits_several_lists_them_in_one_line(typed: str, candidates: list[str]) -> None:
    if len(candidates) == 1:
        assert found(typed, NAMES, "look") == candidates[0]
        return
    with pytest.raises(UserError) as error:
        found(typed, NAMES, "look")
    assert str(error.value) == f"'{typed}' may be any of 2 runs: {', '.join(candidates)}"


def test_a_long_list_is_cut() -> None:
    names = [f"digits-p-kd-s{seed}-{seed:016x}" for seed in range(9)]
    with pytest.raises(UserError, match=r"any of 9 runs: .*-s5-\w+ and 3 more$"):
        found("p-kd", names, "look")


def test_what_fits_nothing_is_a_near_miss() -> None:
    with pytest.raises(
        UserError, match=r"unknown run 'digits-p-dk-s0'; did you mean 'digits-p-kd-s0'\?; l"
    ):
        found("digits-p-dk-s0", NAMES, "look")
