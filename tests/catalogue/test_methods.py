from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from distillery.catalogue import methods as catalogue
from distillery.cli import app
from distillery.core.errors import UserError
from distillery.experiment import reading
from distillery.experiment.checks import method_options
from distillery.experiment.methods import MethodEntry, MethodOverride
from distillery.methods import registry as methods
from distillery.methods.base import Weights
from distillery.models import registry as models

ROOT = Path(__file__).parents[2]
REFERENCE = YAML(typ="safe", pure=True).load(ROOT / "docs" / "method-defaults.yaml")


def test_the_page_is_current() -> None:
    made = catalogue.markdown(catalogue.entries()) + "\n"
    assert (ROOT / "docs" / "methods.md").read_text(encoding="utf-8") == made, (
        "run `uv run distillery methods --markdown > docs/methods.md`"
    )


@pytest.mark.parametrize("entry", catalogue.entries(), ids=lambda entry: entry.name)
def test_every_method_explains_itself(entry: catalogue.Entry) -> None:
    assert entry.title
    assert entry.source
    assert entry.summary
    assert entry.description
    # Baselines have no paper, and cross-entropy distils nothing.
    assert bool(entry.paper) == (entry.name not in ("ce", "infonce"))
    assert bool(entry.kind) == bool(entry.needs)
    for option in entry.options:
        assert option.meaning, f"{entry.name}: {option.name} has no docstring"


def test_what_the_catalogue_finds_out_by_itself() -> None:
    entries = {entry.name: entry for entry in catalogue.entries()}
    assert list(entries) == methods.names()
    assert {name for name, entry in entries.items() if entry.stages == 2} == {
        "ab",
        "fsp",
        "ft",
        "pad",
        "sskd",
    }
    assert entries["crd"].cache
    assert not entries["at"].cache
    assert not entries["sskd"].cache
    assert entries["reviewkd"].needs == ("embedding", "features", "preactivations")


def test_every_method_has_measured_costs() -> None:
    """Measured by `python -m benchmarks.method_costs > src/distillery/catalogue/costs.csv`."""
    measured = catalogue.costs()
    assert list(measured) == methods.names()
    assert all(cost.teacher <= cost.step for cost in measured.values())
    entries = {entry.name: entry for entry in catalogue.entries()}
    # A forward pass of the teacher costs more than reading what it said.
    live = [name for name, entry in entries.items() if entry.needs and not entry.cache]
    assert min(measured[name].teacher for name in live) > 0.3
    assert max(measured[name].teacher for name in set(measured) - set(live)) < 0.1
    assert measured["crd"].parameters == 2 * (64 * 128 + 128)
    assert measured["kd"].parameters == 0


def test_who_else_has_a_method() -> None:
    entries = {entry.name: entry for entry in catalogue.entries()}
    assert entries["crd"].peers == ("RepDistiller", "mdistiller", "torchdistill")
    assert entries["reviewkd"].peers == ("mdistiller", "torchdistill")
    assert entries["aecrd"].peers == ()
    assert "as `factor: whole`" in entries["ft"].disagreement


@pytest.mark.parametrize(
    ("method", "option", "allowed"),
    [
        ("crd", "negatives", "integer >= 1"),
        ("crd", "momentum", "number >= 0, < 1"),
        ("crd", "positives", "exact, relax"),
        ("ofd", "kernel", "1, 3, 5"),
        ("ft", "pretraining_lr", "number > 0 or null"),
        ("reviewkd", "levels", "list of integers"),
        ("reviewkd", "student_preactivations", "true or false"),
    ],
)
def test_bounds_are_put_into_words(method: str, option: str, allowed: str) -> None:
    (entry,) = catalogue.entries([method])
    assert {option.name: option.allowed for option in entry.options}[option] == allowed


def test_the_table_fits_a_terminal() -> None:
    lines = catalogue.text(catalogue.entries()).splitlines()
    assert max(map(len, lines)) <= 120
    overview = lines[: lines.index("")]
    assert [line.split()[0] for line in overview] == ["METHOD", *methods.names()]
    assert [line.partition(":")[0] for line in lines if ": " in line and line[0] != " "] == [
        *methods.names()
    ]
    assert sum(line.split()[:3] == ["negatives", "16384", "(integer"] for line in lines) == 2
    (levels,) = (line.split()[1:7] for line in lines if line.split()[:1] == ["levels"])
    assert levels == ["[4,", "2,", "1]", "(list", "of", "integers)"]


def test_the_command_line() -> None:
    printed = CliRunner().invoke(app, ["methods", "--json", "kd", "vid"]).stdout
    kd, vid = json.loads(printed)["methods"]
    assert kd["weights"] == {"ce": 0.1, "kd": 0.0, "method": 0.9}
    assert vid["options"][1]["default"] == 1e-5
    assert CliRunner().invoke(app, ["methods", "ab"]).stdout.startswith("METHOD")
    assert CliRunner().invoke(app, ["methods", "--markdown"]).stdout.startswith("# Methods")
    error = CliRunner().invoke(app, ["methods", "crdd"]).exception
    assert isinstance(error, UserError)
    assert "did you mean 'crd'?" in str(error)


@pytest.mark.parametrize("name", REFERENCE["methods"])
def test_reference_values_are_the_defaults(name: str) -> None:
    values, method = REFERENCE["methods"][name], methods.load(name)
    assert Weights.model_validate(values["weights"]) == method.weights
    assert set(values["weights"]) == set(Weights.model_fields)
    assert method.Options.model_validate(values["options"]) == method.Options()
    assert set(values["options"]) == set(method.Options.model_fields)


@pytest.mark.parametrize("pair", REFERENCE["pairs"])
def test_reference_values_of_a_pair_are_valid(pair: str) -> None:
    assert set(pair.split("-")) <= set(models.names())
    for name, values in REFERENCE["pairs"][pair].items():
        entry = MethodEntry.model_validate(values)
        method_options(entry.method or name, entry.options, (pair, name))


def test_the_benchmark_of_crd_sets_the_reference_values() -> None:
    experiment = reading.load(ROOT / "params" / "crd.yaml")
    for name, pair in experiment.pairs.items():
        reference = REFERENCE["pairs"].get(name, {})
        assert _plain(pair.methods) == {
            entry: {key: value for key, value in values.items() if key != "method"}
            for entry, values in reference.items()
        }
        for entry, values in reference.items():
            method = experiment.methods[entry].method or entry
            assert method == values.get("method", entry)
        student = REFERENCE["students"].get(pair.student, {})
        assert pair.training.model_dump(exclude_unset=True) == student.get("training", {})
        assert name == f"{pair.teacher}-{pair.student}"


def _plain(overrides: dict[str, MethodOverride]) -> dict[str, Any]:
    return {name: values.model_dump(exclude_unset=True) for name, values in overrides.items()}
