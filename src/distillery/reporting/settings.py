"""Settings of a report: what the plan writes, and whoever collects or shows results reads."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from distillery.core.settings import FrozenModel


class Row(FrozenModel):
    """One student or teacher in the report."""

    table: str
    """``teachers``, ``main`` or the id of an ablation or a study."""
    pair: str
    """Id in the params file; empty for teachers."""
    method: str
    """Id of the method entry; empty for teachers."""
    title: str
    """What tables call the row."""
    variant: dict[str, Any]
    """Axis -> value, for ablations."""
    seed: int
    """The network's seed."""
    classifies: bool
    """Whether its training reaches the classifier, so that it has an accuracy."""
    run: str
    """Location of the trained network."""
    evaluations: dict[str, str]
    """Entry of ``protocols`` -> location of its run."""
    teacher: str
    """Location of the teacher that the row belongs to."""


class Selection(FrozenModel):
    """A run that selected settings by trials."""

    pair: str
    """Id of the pair of the trials."""
    method: str
    """Id of the method entry."""
    title: str
    """What tables call the method."""
    run: str
    """Location of the run."""


class PairSettings(FrozenModel):
    """What the report calls a pair's networks."""

    teacher: str
    """Id of the first teacher."""
    teacher_arch: str
    """Architectures of the teachers, in words."""
    student_arch: str
    """Architecture of the student."""
    teacher_parameters: int | None = None
    """Parameters of the teachers together; None where the plan cannot know them."""
    student_parameters: int | None = None
    """Parameters of the student."""


class EntrySettings(FrozenModel):
    """A method entry, and what of it is not as published."""

    title: str
    """What tables call it."""
    method: str
    """Name of the method."""
    source: str
    """Where the method was published, and where its defaults come from."""
    weights: dict[str, float]
    """Weights of the objective."""
    differs: dict[str, Any]
    """Dotted name -> value of what the params file sets otherwise than the method's defaults."""


class AblationSettings(FrozenModel):
    """What the report says of an ablation."""

    title: str
    """Its caption."""
    axes: tuple[str, ...]
    """Dotted names of what is varied."""
    paper: str = ""
    """The work that what is varied belongs to; empty where several methods are varied."""


class SectionSettings(FrozenModel):
    """A further section of the report."""

    module: str
    """Name of the section in ``reporting.sections``."""
    title: str
    """Its heading."""
    tables: tuple[str, ...]
    """Suffixes of its tables."""
    figures: tuple[str, ...]
    """Suffixes of its figures."""
    axes: tuple[str, ...]
    """Dotted names of what a study varies; none for other protocols."""
    paper: str = ""
    """The work whose methods log what it shows; empty for protocols."""


class ClaimSettings(FrozenModel):
    """A claim that the report tests: one method entry is better than another."""

    better: str
    """Id of the method entry that is said to be better."""
    worse: str
    """Id of the other."""
    text: str | None
    """The claim in words; the labels of both when not given."""


class PublishedNumber(FrozenModel):
    """A published accuracy of what a pair and a method entry repeat."""

    pair: str
    """Id of the pair."""
    method: str
    """Id of the method entry."""
    top1: float
    """The accuracy in percent."""
    source: str
    """Where it was published."""


class PaperCell(FrozenModel):
    """A cell of a paper's table: its number, and which of our rows repeats it."""

    published: float | None = None
    """The published accuracy in percent; None where the paper has none."""
    table: str = ""
    """Our row's table, see ``Row``; empty where nothing here repeats it."""
    pair: str = ""
    """Its pair."""
    method: str = ""
    """Its method entry; empty for teachers."""
    variant: str = "{}"
    """Its variant, as JSON."""
    differs: str = ""
    """What is not as in the paper, so that our number does not stand beside it."""


class PaperRow(FrozenModel):
    """A row of a paper's table."""

    title: str
    """What the paper calls it."""
    cells: tuple[PaperCell, ...]
    """One for each column."""


class PaperTable(FrozenModel):
    """A table of a paper, in its own rows and columns."""

    name: str
    """Name of its files, without ``paper-``."""
    title: str
    """Its caption."""
    source: str
    """Where the published numbers come from, in a sentence."""
    columns: tuple[tuple[str, ...], ...]
    """The levels of each column's heading."""
    rows: tuple[PaperRow, ...]
    """The rows."""


class Published(FrozenModel):
    """Published numbers that may stand beside those of the report."""

    note: str
    """Which they are; or what differs, if there are none."""
    numbers: tuple[PublishedNumber, ...]
    """Those whose data set, networks, schedule and objective are those of the report."""
    tables: tuple[PaperTable, ...] = ()
    """Tables of papers of which the experiment repeats a part."""


class ReportSettings(FrozenModel):
    """What a report is made with, beside the results."""

    name: str
    """Name of the experiment."""
    title: str
    """Title of the report."""
    description: str
    """What the experiment shows."""
    folder: str
    """Folder of the report."""
    params: str = ""
    """Name of the params file, for commands."""
    timings: bool
    """Whether tables show measured time and memory."""
    baseline: str
    """Method entry that gains are measured from."""
    pairs: dict[str, PairSettings]
    """The pairs by id."""
    entries: dict[str, EntrySettings] = Field(default_factory=dict)
    """The method entries by id."""
    headings: dict[str, str] = Field(default_factory=dict)
    """``<protocol>/<metric>`` -> what tables call it, with its unit."""
    ablations: dict[str, AblationSettings]
    """The ablations by id."""
    sections: dict[str, SectionSettings]
    """The further sections by entry."""
    claims: tuple[ClaimSettings, ...]
    """The stated claims."""
    published: Published
    """Published numbers."""
    gaps: tuple[str, ...] = ()
    """What is missing, each with its reason; nothing in the report of a whole experiment."""
