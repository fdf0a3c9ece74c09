"""A setting that changes nothing where it is given is refused, in entries and in ablations."""

from __future__ import annotations

from typing import Any

import pytest
from project import Project


def entry(name: str, **settings: Any) -> dict[str, Any]:
    return {"!methods": {name: settings}}


def ablation(method: str, vary: Any, **of_entry: Any) -> dict[str, Any]:
    varied = {"a": {"pair": "p", "method": method, "vary": vary}}
    return {"!methods": {method: of_entry}, "ablations": varied}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            entry("kd", kd_temperature=99),
            "methods.kd.kd_temperature: has no effect: there is no additional KD term, weights.kd "
            "being 0 (its own is options.temperature)",
        ),
        (entry("infonce", kd_temperature=2), "methods.infonce.kd_temperature: has no effect"),
        (
            {"compute": {"sync_batchnorm": True}},
            "compute.sync_batchnorm: has no effect: it does not count with processes: 1",
        ),
        (
            ablation("kd", {"kd_temperature": [1, 2, 4]}),
            "ablations.a.vary.kd_temperature: has no effect: there is no additional KD term",
        ),
        (
            entry("ce", weights={"method": 2}),
            "methods.ce.weights.method: has no effect: 'ce' has no term of its own",
        ),
        (entry("ab", weights={"method": 2}), "methods.ab.weights.method: has no effect"),
        (
            entry("kd", weights={"method": 0}, options={"temperature": 2}),
            "methods.kd.options.temperature: has no effect: weights.method is 0",
        ),
        (
            entry("lskd", options={"beta": 2}),
            "methods.lskd.options.beta: has no effect: it counts only with base: dkd",
        ),
        (
            ablation("lskd", {"options": {"base": ["kd", "dkd"], "beta": [2, 8]}}),
            "ablations.a.vary.options.beta: has no effect: it counts only with base: dkd",
        ),
        (entry("cc", options={"gamma": 0.4}), "methods.cc.options.gamma: has no effect"),
        (
            entry("aecrd", options={"synthetic": {"n": 0}, "curve": {"interpolation": "slerp"}}),
            "methods.aecrd.options.curve.interpolation: has no effect: it does not count with "
            "synthetic.n: 0",
        ),
        (
            entry("aecrd", options={"curve": {"scale": 2}}),
            "methods.aecrd.options.curve.scale: has no effect: it counts only with curve.tangents",
        ),
        (
            entry("aecrd", options={"diffusion": {"radius": 0.3}}),
            "methods.aecrd.options.diffusion.radius: has no effect",
        ),
        (entry("kd", ensemble="sum"), "methods.kd.ensemble: has no effect: one teacher teaches"),
        (entry("ce", teachers=1), "methods.ce.teachers: has no effect: 'ce' uses no teacher"),
        (
            entry("kd", training={"schedule": "cosine", "gamma": 0.5}),
            "methods.kd.training.gamma: has no effect: it counts only with schedule: steps",
        ),
        (entry("kd", training={"milestones": [], "gamma": 0.5}), "there are no milestones"),
        ({"training": {"schedule": "cosine", "milestones": [1]}}, "training.milestones: has no"),
        ({"teachers": {"t": {"training": {"schedule": "cosine", "gamma": 0.5}}}}, "teachers.t."),
        ({"data": {"!split": {"seed": 3}}}, "data.split.seed: has no effect: all images"),
        ({"datasets": {"d": {"source": "shapes"}}}, "datasets.d: has no effect: no teacher and"),
        ({"embeddings": {"precision": "single"}}, "embeddings.precision: has no effect: no method"),
        ({"methods": {"kd": {"pairs": []}}}, "methods.kd: has no effect: no pair, ablation"),
        (
            {"methods": {"kd": {"pairs": []}}, "pairs": {"p": {"methods": {"kd": {}}}}},
            "has no effect: ",
        ),
        (
            {"pairs": {"p": {"only": ["ce"], "without": ["kd"]}}, "methods": {"kd": {}}},
            "has no effect: ",
        ),
        ({"protocols": {"classification": {"pairs": []}}}, "protocols.classification: has no"),
        (
            {
                "protocols": {
                    "deployment": {"options": {"quantisation": "dynamic", "calibration_images": 9}}
                }
            },
            "protocols.deployment.options.calibration_images: has no effect: it counts only with",
        ),
        ({"report": {"baseline": "kdd"}, "!methods": {"kd": {}}}, "report.baseline: unknown"),
        (
            {
                "!methods": {"kd": {}},
                "tuning": {"pair": "p", "methods": {"kd": {"vary": {"kd_temperature": [1, 2]}}}},
            },
            "tuning.methods.kd.vary",
        ),
        (
            {
                "!methods": {"kd": {}},
                "tuning": {
                    "pair": "p",
                    "seed": 3,
                    "methods": {"kd": {"vary": {"options": {"temperature": [1, 2]}}}},
                },
            },
            "tuning.seed: has no effect: nothing is drawn without trials",
        ),
    ],
)
def test_what_changes_nothing_is_refused(
    project: Project, changes: dict[str, Any], message: str
) -> None:
    assert message in project.mistake(changes)


@pytest.mark.parametrize(
    "changes",
    [
        entry("infonce", weights={"kd": 1}, kd_temperature=2),
        entry("lskd", options={"base": "dkd", "beta": 2}),
        # The entry's own setting counts in one of the variants, as a list of them has it.
        ablation("lskd", [{"options": {"base": "kd"}}, {"options": {"base": "dkd", "beta": 2}}]),
        ablation("kd", {"weights": {"kd": [0, 1]}, "options": {"temperature": [1, 2]}}),
        entry("ab", options={"pretraining_epochs": 2}),
        ablation("aecrd", {"options": {"synthetic": {"n": [0, 1, 2]}}}),
        ablation("kd", {"training": {"schedule": ["steps", "cosine"]}}),
        # A first stage counts, whatever the weight of what follows.
        entry("ft", weights={"method": 0}, options={"rate": 0.25}),
        entry("aecrd", options={"curve": {"tangents": "random", "scale": 2}}),
    ],
)
def test_what_changes_something_is_not(project: Project, changes: dict[str, Any]) -> None:
    assert project.plan(changes).runs
