"""References, names and options that do not fit together."""

from __future__ import annotations

from typing import Any

import pytest
from project import Project

DATASETS = {"small": {"source": "digits", "split": {"per_class": 4}, "training": {"epochs": 2}}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"!methods": {"crdd": {}}}, "methods.crdd: unknown method 'crdd'; did you mean 'crd'?"),
        ({"!teachers": {"t": {"arch": "resnet9"}}}, "teachers.t.arch: unknown model 'resnet9'"),
        ({"pairs": {"p": {"teacher": "u"}}}, "pairs.p.teacher: unknown teacher 'u'"),
        ({"pairs": {"p": {"methods": {"kd": {}}}}}, "pairs.p.methods: unknown method entry 'kd'"),
        (
            {"!methods": {"crd": {"options": {"negativs": 1}}}},
            "methods.crd.options: unknown key 'negativs'; did you mean 'negatives'?",
        ),
        (
            {"!methods": {"ce": {}, "crd": {"options": {"temperature": -1}}}},
            "methods.crd.options.temperature: found -1; input should be greater than 0",
        ),
        ({"protocols": {"clasification": {}}}, "unknown protocol 'clasification'; did you mean"),
        (
            {"protocols": {"classification": {"options": {"calibration_bins": 1}}}},
            "protocols.classification.options.calibration_bins: found 1; input should be greater",
        ),
        (
            {"ablations": {"a": {"pair": "p", "method": "kd", "vary": {"options": {}}}}},
            "ablations.a.method: unknown method entry 'kd'",
        ),
        (
            {"ablations": {"main": {"pair": "p", "method": "ce", "vary": {"weights": {}}}}},
            "ablations.main: this id names another part of the report",
        ),
        ({"report": {"baseline": "cee"}}, "report.baseline: unknown method entry 'cee'"),
        (
            {"pairs": {"p": {"without": ["kdd"]}}, "methods": {"kd": {}}},
            "pairs.p.without: unknown method entry 'kdd'; did you mean 'kd'?",
        ),
        (
            {"teachers": {"t": {"data": "smalll"}}, "datasets": DATASETS},
            "teachers.t.data: unknown data set 'smalll'; did you mean 'small'?",
        ),
        (
            {"ablations": {"a": {"pair": "p", "method": "ce"}}},
            "ablations.a.vary: nothing is varied",
        ),
        (
            {"ablations": {"a": {"pair": ["p", "pp"], "method": "ce"}}},
            "ablations.a.pair: unknown pair 'pp'",
        ),
        (
            {
                "ablations": {
                    "classification": {"pair": "p", "method": "ce", "vary": {"seeds": [1]}}
                }
            },
            "ablations.classification: this id names another part of the report",
        ),
        (
            {"!protocols": {"classification": {"methods": ["kd"]}}},
            "protocols.classification.methods: unknown method entry 'kd'",
        ),
        (
            {"protocols": {"main": {"protocol": "few-shot"}}},
            "protocols.main: this id names another part of the report",
        ),
        (
            {"methods": {"afd": {}}, "protocols": {"attention": {"protocol": "attention-maps"}}},
            "protocols.attention: this id names another part of the report",
        ),
        (
            {"methods": {"kd": {"pairs": ["q"]}}},
            "methods.kd.pairs: unknown pair 'q' (allowed: p)",
        ),
        (
            {"!methods": {"kd": {"pairs": []}}},
            "pairs: no method entry is run for any pair",
        ),
        (
            {"pairs": {"p": {"only": []}}},
            "pairs: no method entry is run for any pair",
        ),
    ],
)
def test_what_does_not_fit_together_costs_one_line(
    project: Project, changes: dict[str, Any], message: str
) -> None:
    assert message in project.mistake(changes)
