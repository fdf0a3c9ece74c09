"""The whole of a params file. It describes one experiment; nothing is merged into it."""

from __future__ import annotations

from pydantic import Field

from distillery.core.settings import FrozenModel, Id
from distillery.embeddings.settings import Embeddings
from distillery.experiment.ablations import Ablation
from distillery.experiment.data import OWN, Data
from distillery.experiment.fields import Seeds
from distillery.experiment.methods import MethodEntry
from distillery.experiment.pairs import Pair
from distillery.experiment.protocols import ProtocolEntry
from distillery.experiment.report import Report
from distillery.experiment.teachers import Teacher
from distillery.experiment.tuning import Tuning
from distillery.training.settings import Compute, Training


def _default_protocols() -> dict[str, ProtocolEntry]:
    return {"classification": ProtocolEntry()}


class Experiment(FrozenModel):
    """A whole experiment: the content of one params file."""

    name: Id
    """Short name, used for the report's folder."""
    title: str
    """Title of the report."""
    description: str = ""
    """What the experiment shows, in a sentence or two, for the report."""
    data: Data
    """Data set, split and augmentation."""
    datasets: dict[Id, Data] = Field(default_factory=dict)
    """Further data sets, for teachers that name them and for transfer."""
    training: Training = Training()
    """Training settings of teachers and students."""
    compute: Compute = Compute()
    """Precision, processes and threads."""
    teachers: dict[Id, Teacher] = Field(min_length=1)
    """The teachers by id."""
    pairs: dict[Id, Pair] = Field(min_length=1)
    """The teacher-student pairs by id."""
    methods: dict[Id, MethodEntry] = Field(min_length=1)
    """The methods to compare by id."""
    seeds: Seeds = (0,)
    """Seeds of the students."""
    embeddings: Embeddings = Embeddings()
    """View schedule and teacher cache."""
    ablations: dict[Id, Ablation] = Field(default_factory=dict)
    """The ablations by id."""
    tuning: Tuning | None = None
    """Trials on held-out images that decide settings of method entries; none when not given."""
    protocols: dict[Id, ProtocolEntry] = Field(default_factory=_default_protocols)
    """Evaluation protocols by id."""
    report: Report = Report()
    """The report."""

    @property
    def data_sets(self) -> dict[str, Data]:
        """All data sets by id; the experiment's own has the id ``OWN``."""
        return {OWN: self.data, **self.datasets}

    @property
    def report_folder(self) -> str:
        """Folder of the report."""
        return self.report.folder or f"reports/{self.name}"

    def compares(self, pair: str, entry: str) -> bool:
        """Tell whether a method entry is run for a pair in the comparison."""
        chosen = self.methods[entry].pairs
        return self.pairs[pair].runs(entry) and (chosen is None or pair in chosen)
