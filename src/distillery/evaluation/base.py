"""What an entry of ``protocols`` in a params file can name: a protocol or a study.

A new one is one new file in this folder, named as the protocol, with one such class; see
``docs/adding-a-protocol.md``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

import pyarrow.parquet as pq

from distillery.core.settings import FrozenModel

if TYPE_CHECKING:
    import pyarrow as pa

    from distillery.data.info import Part
    from distillery.embeddings import extract
    from distillery.evaluation.context import PlanContext
    from distillery.runs.artifact import Artifact
    from distillery.runs.produce import Workspace

METRICS, DETAILS = "metrics.json", "details.parquet"
_TRAINED_WITH = "trained-with-"


class Target(NamedTuple):
    """Another data set that a protocol looks at.

    Attributes:
        data: its id; None for the experiment's own.
        extraction: settings of the stage ``extract``, which runs the network over it.
    """

    data: str | None
    extraction: extract.Settings


class Evaluation(ABC):
    """What protocols and studies have in common: a title and options."""

    title: ClassVar[str]
    """Heading in the report."""

    class Options(FrozenModel):
        """Options; the default is to have none."""

    def __init__(self, options: FrozenModel) -> None:
        """Take validated ``Options``."""
        self.options = options

    @classmethod
    def configured(cls, options: Mapping[str, Any]) -> Self:
        """Return it with plain options; what they lack has its default."""
        return cls(cls.Options.model_validate(options))


class Study(Evaluation):
    """Trains networks of its own, as an ablation does, instead of measuring others."""

    @abstractmethod
    def vary(self) -> dict[str, Any]:
        """Return what is varied, as ``vary`` of an ablation."""


class Protocol(Evaluation):
    """Measures a finished network. Subclasses set the class attributes and implement ``run``."""

    headings: ClassVar[Mapping[str, str]] = {}
    """Metric -> what tables call it, with its unit, where no section of the report does."""
    exclusive: ClassVar[bool] = False
    """Whether it measures time, so that nothing may run beside it."""
    uses_method: ClassVar[bool] = False
    """Whether it runs the method of a student, whose code then belongs to the fingerprint."""
    trained_with: ClassVar[frozenset[str]] = frozenset()
    """What it reads of a student's own inputs: ``split``, ``teacher``, ``embeddings``, and
    ``cached``, the teachers of the latter (see ``inputs_of_training``)."""
    uses_device: bool = False
    """Whether it runs on an accelerator if there is one."""

    def check(self, context: PlanContext) -> None:
        """Raise ``UserError`` when the network cannot be measured, as far as the plan can know."""

    def limits(self, per_class: Mapping[Part, Sequence[int]]) -> dict[str, int]:
        """Return the largest values that options may have, by their names.

        Called when the plan is made: a default beyond is lowered, a value that somebody has chosen
        is refused.

        Args:
            per_class: how many images of each class a part has of the data set that is looked at.
        """
        return {}

    def target(self) -> Target | None:
        """Return the other data set to look at, if there is one.

        ``run`` finds it as the input ``target``, and the network's embeddings of it as
        ``features``.
        """
        return None

    @abstractmethod
    def run(self, work: Workspace) -> None:
        """Write ``metrics.json``, flat, and perhaps ``details.parquet``, any tidy table.

        Inputs: ``network``, ``teacher`` (its first one, or itself) and ``prepared``, the data set
        that it was trained on; what ``target`` and ``trained_with`` add.
        """


def write_details(work: Workspace, table: pa.Table) -> None:
    """Write what a protocol found beside its metrics."""
    pq.write_table(table, work.out / DETAILS, compression="zstd", write_page_checksum=True)


def as_input_of_training(name: str) -> str:
    """Return the name under which a protocol finds the input ``name`` of a student's training."""
    return f"{_TRAINED_WITH}{name}"


def inputs_of_training(inputs: Mapping[str, Artifact]) -> dict[str, Artifact]:
    """Return the inputs of a student's training that a protocol was given, under their names."""
    return {
        name.removeprefix(_TRAINED_WITH): source
        for name, source in inputs.items()
        if name.startswith(_TRAINED_WITH)
    }
