from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from distillery.methods.aecrd.options import AECRDOptions

REFUSED: dict[str, dict[str, Any]] = {
    "pairs.policy 'same-class' uses labels": {"negatives": "all"},
    "synthetic.role 'both' uses labels": {
        "negatives": "all",
        "pairs": {"policy": "random"},
        "synthetic": {"role": "both"},
    },
    "filters.collision uses labels": {
        "negatives": "all",
        "pairs": {"policy": "random"},
        "filters": {"collision": True},
    },
    "curve.neighbours 'same-class' uses labels": {
        "negatives": "all",
        "pairs": {"policy": "random"},
        "curve": {"neighbours": "same-class"},
    },
    "curve.tangents 'centroid' uses labels": {
        "negatives": "all",
        "pairs": {"policy": "random"},
        "curve": {"tangents": "centroid"},
    },
    "needs head 'teacher-space'": {"filters": {"classifier": "drop"}},
    "needs curve.reproject true": {
        "curve": {"reproject": False},
        "diffusion": {"kind": "gaussian"},
    },
    "'single' makes nothing new": {"pairs": {"policy": "single"}},
    "'hard-hard' makes no points of one class": {
        "pairs": {"policy": "hard-hard"},
        "synthetic": {"role": "positives"},
    },
}


@pytest.mark.parametrize("message", REFUSED)
def test_contradictions_are_refused_in_one_line(message: str) -> None:
    with pytest.raises(ValidationError) as error:
        AECRDOptions(**REFUSED[message])
    (found,) = error.value.errors()
    assert message in found["msg"]
    assert "\n" not in found["msg"]
