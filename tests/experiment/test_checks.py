"""References, names and options that do not fit together."""

from __future__ import annotations

from typing import Any

import pytest
from project import Project

DATASETS = {"small": {"source": "digits", "split": {"per_class": 4}, "training": {"epochs": 2}}}

CHECKPOINT = {"file": "x.pth", "sha256": "0" * 64}


def tuning(entry: str, vary: dict[str, Any], **others: Any) -> dict[str, Any]:
    return {"pair": "p", "methods": {entry: {"vary": vary, **others}}}


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
            "methods.crd.options.temperature: found -1; must be above 0",
        ),
        ({"protocols": {"clasification": {}}}, "unknown protocol 'clasification'; did you mean"),
        (
            {"protocols": {"classification": {"options": {"calibration_bins": 1}}}},
            "protocols.classification.options.calibration_bins: found 1; must be at least",
        ),
        (
            {"ablations": {"a": {"pair": "p", "method": "kd", "vary": {"options": {}}}}},
            "ablations.a.method: unknown method entry 'kd'",
        ),
        (
            {"ablations": {"main": {"pair": "p", "method": "ce", "vary": {"weights": {}}}}},
            "ablations.main: this id names another part of the report",
        ),
        (
            {"report": {"claims": [{"better": "crdd", "worse": "ce"}]}, "methods": {"crd": {}}},
            "report.claims[0].better: unknown method entry 'crdd'; did you mean 'crd'?",
        ),
        (
            {"report": {"claims": [{"better": "ce", "worse": "kd"}]}},
            "report.claims[0].worse: unknown method entry 'kd'",
        ),
        (
            {"report": {"claims": [{"better": "ce", "worse": "ce"}]}},
            "report.claims[0].worse: 'ce' is not better than itself",
        ),
        (
            {
                "methods": {"kd": {"pairs": []}},
                "report": {"claims": [{"better": "kd", "worse": "ce"}]},
            },
            "report.claims[0]: no pair is run with both 'kd' and 'ce'",
        ),
        (
            {"report": {"claims": [{"best": "ce"}]}},
            "report.claims[0]: unknown key 'best'",
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
        ({"tuning": tuning("kd", {})}, "tuning.methods: unknown method entry 'kd'"),
        (
            {"tuning": {**tuning("ce", {}), "pair": "q"}},
            "tuning.pair: unknown pair 'q' (allowed: p)",
        ),
        (
            {"methods": {"kd": {}}, "tuning": tuning("kd", {"options": {"temperatures": [2]}})},
            "tuning.methods.kd.vary.options: unknown key 'temperatures'; did you mean '",
        ),
        (
            {"methods": {"kd": {}}, "tuning": tuning("kd", {"options": {"temperature": [-1]}})},
            "tuning.methods.kd.vary.options.temperature: found -1; must be above 0",
        ),
        (
            {"tuning": tuning("ce", {"training": {"lrr": [1]}})},
            "tuning.methods.ce.vary.training: unknown key 'lrr'; did you mean 'lr'?",
        ),
        (
            {"tuning": tuning("ce", {"split": {"fraction": [0.5]}})},
            "tuning.methods.ce.vary: unknown key 'split' (allowed: kd_temperature, options, ",
        ),
        (
            {"tuning": tuning("ce", {"training": {"lr": {"uniform": [0.01, 0.1]}}})},
            "tuning.methods.ce.vary.training.lr: a range needs `trials`",
        ),
        (
            {"tuning": tuning("ce", {"training": {"lr": {"uniform": [0.1, 0.01]}}}, trials=2)},
            "tuning.methods.ce.vary.training.lr.uniform: found [0.1, 0.01]; give two numbers, the",
        ),
        (
            {"tuning": tuning("ce", {"training": {"lr": {"log-uniform": [0, 0.1]}}}, trials=2)},
            "tuning.methods.ce.vary.training.lr.log-uniform: found [0, 0.1]; both ends must be",
        ),
        (
            {"tuning": tuning("ce", {"training": {"lr": {"uniform": [0.1, 200]}}}, trials=2)},
            "tuning.methods.ce.vary.training.lr: found 200.0; must be at most",
        ),
        (
            {"tuning": tuning("ce", {"training": {"lr": {"choice": []}}}, trials=2)},
            "tuning.methods.ce.vary.training.lr.choice: found []; give a list of values",
        ),
        (
            {"tuning": tuning("ce", {"training": {"lr": 0.1}}, trials=2)},
            "tuning.methods.ce.vary.training.lr: found 0.1; give a list of values or a range",
        ),
        (
            {"tuning": tuning("ce", {"training": {"lr": [0.1, 0.2]}}, trials=5)},
            "tuning.methods.ce.trials: found 5; only 3 trials differ",
        ),
        (
            {"tuning": tuning("ce", {"training": {"lr": [0.05]}})},
            "tuning.methods.ce.vary: nothing is varied; give values that differ",
        ),
        (
            {
                "methods": {"at": {"weights": {"ce": 0}}},
                "tuning": tuning("at", {"weights": {"method": [1, 2]}}),
            },
            "tuning.methods.at: its training does not reach the classifier",
        ),
        (
            {"methods": {"infonce": {}}, "tuning": tuning("infonce", {"weights": {"kd": [1]}})},
            "tuning.methods.infonce.vary: its values and the entry's own do not learn from the",
        ),
        (
            {
                "!teachers": {"t": {"arch": "resnet8", "checkpoint": CHECKPOINT}},
                "methods": {"kd": {}},
                "tuning": tuning("kd", {"options": {"temperature": [2, 4]}}),
            },
            "tuning.teachers: teacher 't' is imported, and nobody can train it without the",
        ),
    ],
)
def test_what_does_not_fit_together_costs_one_line(
    project: Project, changes: dict[str, Any], message: str
) -> None:
    assert message in project.mistake(changes)
