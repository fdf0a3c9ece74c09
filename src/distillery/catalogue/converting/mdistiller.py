"""Reads a config of mdistiller, and what its command line changes in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from distillery.catalogue import peers
from distillery.catalogue.converting.converted import Converted, counterpart, id_of, reached
from distillery.core.errors import UnknownName, UserError
from distillery.core.flattening import flattened
from distillery.core.plain_yaml import read_yaml

# Of engine/cfg.py: what a config leaves out. Those of the methods are the defaults here, too.
DEFAULTS: dict[str, Any] = {
    "DATASET.TYPE": "cifar100",
    "DISTILLER.TYPE": "NONE",
    "DISTILLER.TEACHER": "ResNet50",
    "DISTILLER.STUDENT": "resnet32",
    "SOLVER.BATCH_SIZE": 64,
    "SOLVER.EPOCHS": 240,
    "SOLVER.LR": 0.05,
    "SOLVER.LR_DECAY_STAGES": [150, 180, 210],
    "SOLVER.LR_DECAY_RATE": 0.1,
    "SOLVER.WEIGHT_DECAY": 1e-4,
    "SOLVER.MOMENTUM": 0.9,
}
# What says the same in every config.
_SILENT = ("EXPERIMENT", "SOLVER.TRAINER", "SOLVER.TYPE")


def convert(file: Path, changes: Sequence[str] = ()) -> Converted:
    """Return what a config asks for.

    Args:
        file: the config.
        changes: keys and values in turn, which its command line takes after the config.

    Raises:
        UserError: it is none, or asks for what there is not here.
    """
    origin, table = str(file), peers.load("mdistiller")
    given = _given(file, changes)
    for key in given:
        if key not in table.settings:
            raise UserError(f"{origin}: {UnknownName('key', key, table.settings)}")
    values = DEFAULTS | given
    method = counterpart(table.methods, "method", str(values["DISTILLER.TYPE"]), origin)
    data = str(values["DATASET.TYPE"])
    comments = _without_counterpart(given, str(values["DISTILLER.TYPE"]))

    def network(key: str) -> str:
        return counterpart(table.networks, "network", f"{data} {values[key]}", origin)

    source = counterpart(table.data, "data set", data, origin)
    comments.append(
        "the teacher is trained, too; theirs is "
        + ("torchvision's" if data == "imagenet" else "a file that they offer")
        + ": `distillery import-teacher FILE --arch NAME` prints the lines that use one"
    )
    student = network("DISTILLER.STUDENT")
    return Converted(
        origin=" ".join([origin, *changes]),
        name=id_of(str(given.get("EXPERIMENT.NAME", ""))),
        title=str(given.get("EXPERIMENT.TAG", "")),
        source=source,
        teacher=network("DISTILLER.TEACHER"),
        student=student,
        training=_training(values, origin, comments),
        method=method,
        entry=_entry(method, given),
        comments=comments,
    )


def _given(file: Path, changes: Sequence[str]) -> dict[str, Any]:
    content = read_yaml(file, "config")
    if not isinstance(content, Mapping):
        raise UserError(f"{file}: found no keys; a config of mdistiller has DISTILLER and SOLVER")
    if len(changes) % 2:
        raise UserError(f"{file}: {changes[-1]} has no value; keys and values come in turn")
    given = {key: value for key, value in flattened(content).items() if value != {}}
    for key, value in zip(changes[::2], changes[1::2], strict=True):
        given[key] = _read(value)
    return given


def _read(value: str) -> Any:
    try:
        return YAML(typ="safe", pure=True).load(value)
    except YAMLError:
        return value


def _training(values: dict[str, Any], origin: str, comments: list[str]) -> dict[str, Any]:
    epochs, stages = values["SOLVER.EPOCHS"], values["SOLVER.LR_DECAY_STAGES"]
    if not isinstance(epochs, int):
        raise UserError(f"{origin}: SOLVER.EPOCHS: found {epochs!r}; allowed: an integer")
    if not isinstance(stages, list) or not all(isinstance(epoch, int) for epoch in stages):
        raise UserError(f"{origin}: SOLVER.LR_DECAY_STAGES: found {stages!r}; allowed: integers")
    return {
        "epochs": epochs,
        "batch_size": values["SOLVER.BATCH_SIZE"],
        "lr": values["SOLVER.LR"],
        "milestones": reached(stages, epochs, "SOLVER.LR_DECAY_STAGES", comments),
        "gamma": values["SOLVER.LR_DECAY_RATE"],
        "weight_decay": values["SOLVER.WEIGHT_DECAY"],
        "momentum": values["SOLVER.MOMENTUM"],
    }


def _entry(method: str, given: dict[str, Any]) -> dict[str, Any]:
    """Return the entry of the method, from the keys that the config has for it."""
    entry: dict[str, Any] = {}
    for key, value in given.items():
        for ours in peers.load("mdistiller").settings[key].ours:
            section, _, rest = ours.partition(".")
            name, _, setting = rest.partition(".")
            if section == "methods" and name == method:
                group, _, last = setting.partition(".")
                entry.setdefault(group, {})[last] = value
    return entry


def _without_counterpart(given: dict[str, Any], kind: str) -> list[str]:
    """Return a comment for every key that is given in vain."""
    settings = peers.load("mdistiller").settings
    own = (f"{kind}.", "EXPERIMENT.", "DATASET.", "DISTILLER.", "SOLVER.", "LOG.")
    comments = []
    if given.get("SOLVER.TRAINER") == "dot":
        comments.append(f"SOLVER.TRAINER dot: {settings['SOLVER.DOT.DELTA'].reason}")
    for key, value in given.items():
        if not key.startswith(own):
            comments.append(f"{key} {value}: without effect for {kind}")
        elif settings[key].reason and not key.startswith(_SILENT):
            comments.append(f"{key} {value}: {settings[key].reason}")
    return comments
