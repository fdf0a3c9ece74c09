"""What was found in a foreign description of an experiment, and the params file that it becomes."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML

from distillery.catalogue.peers import Counterpart
from distillery.core.errors import UnknownName, UserError
from distillery.experiment import reading
from distillery.experiment.errors import ParamsError, format_problem
from distillery.planning.data_sets import DataSets
from distillery.planning.students import resolve

_WIDTH = 100
_CROPS = {"pad": 4, "flip": True}
_BOXES = {"kind": "random-resized-crop", "flip": True}


@dataclass
class Converted:
    """One student of one teacher, in our words.

    Attributes:
        origin: the command line or config that it comes from.
        name, title: of the experiment; made of method and networks when empty.
        source: data source.
        teacher, student: architectures.
        training: optimiser and schedule of both.
        of_student: what differs in the student's training.
        method: name of the method.
        entry: what differs from the method's defaults in its entry of the params file.
        comments: what has no counterpart, and what is to be known.
    """

    origin: str
    source: str
    teacher: str
    student: str
    training: dict[str, Any]
    method: str
    entry: dict[str, Any]
    of_student: dict[str, Any] = field(default_factory=dict)
    name: str = ""
    title: str = ""
    comments: list[str] = field(default_factory=list)

    def params(self) -> dict[str, Any]:
        """Return the content of the params file."""
        pair = f"{self.teacher}-{self.student}"
        training = {"training": self.of_student} if self.of_student else {}
        return {
            "name": self.name or f"{self.method}-{pair}",
            "title": self.title or f"{self.method}: {self.teacher} to {self.student}",
            "data": {
                "source": self.source,
                "augmentation": _BOXES if self.source == "imagenet" else _CROPS,
            },
            "compute": {"precision": "no"},
            "training": self.training,
            "teachers": {self.teacher: {"arch": self.teacher}},
            "pairs": {pair: {"teacher": self.teacher, "student": self.student, **training}},
            "methods": {self.method: self.entry},
            "seeds": [0],
        }

    def text(self) -> str:
        """Return the params file, which the schema allows.

        Raises:
            UserError: what the origin asks for is not allowed here.
        """
        content = self.params()
        _check(content, self.origin)
        written = io.StringIO()
        yaml = YAML()
        yaml.default_flow_style = None
        yaml.width = _WIDTH
        yaml.dump(content, written)
        comments = "".join(f"# * {_one_line(comment)}\n" for comment in self.comments)
        return f"# Converted from: {_one_line(self.origin)}\n{comments}{written.getvalue()}"


def counterpart(table: dict[str, Counterpart], kind: str, name: str, origin: str) -> str:
    """Return what a name of another project is called here.

    Raises:
        UserError: there is no such thing in that project, or not here.
    """
    if name not in table:
        raise UserError(f"{origin}: {UnknownName(kind, name, table)}")
    found = table[name]
    if not found.ours:
        raise UserError(f"{origin}: there is no {kind} '{name}' here: {found.reason}")
    return found.ours[0]


def reached(milestones: list[int], epochs: int, setting: str, comments: list[str]) -> list[int]:
    """Return the milestones before the last epoch; a comment names those that are never reached."""
    late = [epoch for epoch in milestones if epoch >= epochs]
    if late:
        comments.append(f"{setting}: {late} left out, which {epochs} epochs do not reach")
    return sorted({epoch for epoch in milestones if epoch < epochs})


def id_of(text: str) -> str:
    """Return what an id may be made of."""
    return "-".join(re.findall(r"[A-Za-z0-9]+", text))


def _one_line(text: str) -> str:
    """Return a text that cannot end the comment it stands in."""
    return " ".join("".join(mark if mark.isprintable() else " " for mark in text).split())


def _check(content: dict[str, Any], origin: str) -> None:
    experiment = reading.checked(content, origin)
    (pair,), (entry,) = experiment.pairs, experiment.methods
    try:
        resolve(experiment, DataSets(experiment), pair, entry)
    except ParamsError as error:
        raise UserError(format_problem(origin, error.path, str(error))) from None
