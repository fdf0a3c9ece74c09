"""The typed schema of a params file: every knob, its default and bounds.

One file describes one experiment completely; nothing is merged into it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product, starmap
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationError, create_model, model_validator

from distillery.core.errors import UserError, unknown_name
from distillery.core.settings import FrozenModel, Id
from distillery.data.settings import Augmentation, Source, Split
from distillery.embeddings.settings import Embeddings
from distillery.evaluation import registry as protocols
from distillery.methods import registry as methods
from distillery.methods.base import Weights
from distillery.models import registry as models
from distillery.training.settings import Combination, Compute, Training


def _partial(model: type[FrozenModel]) -> Any:
    """Return a class with the fields of ``model``, all optional, for overriding some of them."""
    fields: dict[str, Any] = {
        name: (field.annotation | None, Field(default=None, description=field.description))  # type: ignore[operator]
        for name, field in model.model_fields.items()
    }
    return create_model(f"{model.__name__}Override", __base__=FrozenModel, **fields)


def _distinct(numbers: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(numbers)) < len(numbers):
        raise ValueError(f"found {list(numbers)}; they must differ")
    return numbers


Seed = Annotated[int, Field(ge=0, lt=2**32)]
Seeds = Annotated[tuple[Seed, ...], Field(min_length=1), AfterValidator(_distinct)]
Channel = Annotated[int, Field(ge=0, le=3)]
Channels = Annotated[tuple[Channel, ...], Field(min_length=1), AfterValidator(_distinct)]
Ids = Id | Annotated[tuple[Id, ...], Field(min_length=1)]


class TrainingOverride(_partial(Training)):  # type: ignore[misc]
    """What differs in the training settings."""


class SplitOverride(_partial(Split)):  # type: ignore[misc]
    """What differs in the split of the data."""


class WeightsOverride(_partial(Weights)):  # type: ignore[misc]
    """What differs in the weights of the objective."""


class Data(Source):
    """The data set: where it comes from, how it is split, and how it is augmented."""

    split: Split = Split()
    """What of the training part is used, and what is held out for validation."""
    augmentation: Augmentation = Augmentation()
    """How training images are varied."""
    training: TrainingOverride = TrainingOverride()
    """What differs in the training on this data set."""

    @property
    def origin(self) -> Source:
        """The settings of the data set's source alone."""
        return Source(**self.model_dump(include=set(Source.model_fields)))


class Checkpoint(FrozenModel):
    """A foreign checkpoint (RepDistiller or mdistiller) that serves as teacher."""

    file: str
    """Name of the file, looked up in data/raw and in the folder that DISTILLERY_DATA names."""
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Its checksum; `distillery import-teacher` prints it."""


class Teacher(FrozenModel):
    """One teacher network."""

    arch: str
    """Name of the architecture."""
    data: Id | None = None
    """Id of one of the further `datasets`; the experiment's `data` when not given. Students are
    taught on the data set of their teacher."""
    channels: Channels | None = None
    """Places of the channels of the images that the network sees; all when not given."""
    seed: Seed = 0
    """Seed of initialisation, order and views."""
    training: TrainingOverride = TrainingOverride()
    """What differs from the experiment's training settings."""
    split: Split | None = None
    """What the teacher is trained on, when that is not the students' split: for example `{}`, all
    training images, for students that learn from few."""
    checkpoint: Checkpoint | None = None
    """Import this checkpoint instead of training."""


class MethodOverride(FrozenModel):
    """What differs for a method in one pair or one variant of an ablation."""

    weights: WeightsOverride = WeightsOverride()
    """Weights of the objective."""
    kd_temperature: float | None = Field(default=None, gt=0)
    """Temperature of the additional KD term."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Hyperparameters of the method."""
    training: TrainingOverride = TrainingOverride()
    """Training settings of the student."""
    split: SplitOverride = SplitOverride()
    """What differs in the student's split of the data."""
    teachers: int | None = Field(default=None, ge=1)
    """How many of the pair's teachers teach, beginning with the first; all when not given."""
    ensemble: Combination | None = None
    """How several teachers teach: `mean` or `sum` of the losses of each, or `joint`: as one teacher
    with the mean of their probabilities, softened as in the loss that compares them, and with all
    their embeddings side by side. The mean when not given."""


class MethodEntry(MethodOverride):
    """One row of the comparison: a method with its weights and hyperparameters."""

    method: str | None = None
    """Name of the method; the entry's own id when not given."""
    title: str | None = None
    """Name in tables and figures; the method's title when not given."""
    pairs: tuple[Id, ...] | None = None
    """Ids of the pairs that it is compared for; all when not given. None of them, `[]`, leaves it
    to ablations and studies."""


class Pair(FrozenModel):
    """A teacher and a student architecture."""

    teacher: Id | Annotated[tuple[Id, ...], Field(min_length=1)]
    """Id of one of the teachers, or a list of several that teach together."""
    student: str
    """Architecture of the student."""
    channels: Channels | None = None
    """Places of the channels of the images that the student sees; all when not given."""
    training: TrainingOverride = TrainingOverride()
    """What differs in the student's training (for example lr 0.01 for mobile networks)."""
    methods: dict[Id, MethodOverride] = Field(default_factory=dict)
    """What differs in single methods for this pair."""
    only: tuple[Id, ...] | None = None
    """Method entries that are run for this pair; all when not given. None of them, `[]`, leaves the
    pair to ablations and studies."""
    without: tuple[Id, ...] = ()
    """Method entries that are not run for this pair: gaps in its column of the tables."""
    seeds: Seeds | None = None
    """Seeds of this pair's students; the experiment's when not given."""

    @property
    def teachers(self) -> tuple[str, ...]:
        """Ids of the teachers."""
        return (self.teacher,) if isinstance(self.teacher, str) else self.teacher

    def runs(self, entry: str) -> bool:
        """Tell whether a method entry is run for this pair."""
        return entry not in self.without and (self.only is None or entry in self.only)

    @model_validator(mode="after")
    def _overrides_are_run(self) -> Pair:
        for entry in self.methods:
            if entry in self.without:
                raise ValueError(f"'{entry}' is both in methods and in without")
        return self


class Ablation(FrozenModel):
    """A base run and the axes to vary; every combination of their values is run."""

    pair: Ids
    """Id of the pair, or a list of several, which is an axis."""
    method: Ids
    """Id of the method entry that is varied, or a list of several, which is an axis."""
    vary: dict[str, Any] | list[dict[str, Any]] = Field(default_factory=dict)
    """Lists of values in the place of single values, nested as in a method entry, for example
    `options: {temperature: [1, 2, 4]}`: every combination is run. Or a list of variants with single
    values, for example `[{training: {batch_size: 128, lr: 0.1}}, ...]`, which are run as they are.
    """
    seeds: Seeds | None = None
    """Seeds; those of the pair when not given."""
    protocols: tuple[Id, ...] = ()
    """Entries of `protocols` that are run on every variant."""
    title: str | None = None
    """Caption in the report."""

    @property
    def pairs(self) -> tuple[str, ...]:
        """Ids of the pairs."""
        return (self.pair,) if isinstance(self.pair, str) else self.pair

    @property
    def methods(self) -> tuple[str, ...]:
        """Ids of the method entries."""
        return (self.method,) if isinstance(self.method, str) else self.method


class ProtocolEntry(FrozenModel):
    """An evaluation protocol and what it is run on."""

    protocol: str | None = None
    """Name of the protocol; the entry's own id when not given."""
    title: str | None = None
    """Heading in the report; the protocol's title when not given."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Options of the protocol."""
    pairs: tuple[Id, ...] | None = None
    """Ids of the pairs whose networks are evaluated; all when not given. None of them, `[]`, leaves
    the protocol to the ablations that name it."""
    methods: tuple[Id, ...] | None = None
    """Ids of the method entries whose students are evaluated; all when not given."""
    seeds: Seeds | None = None
    """Seeds of the students that are evaluated; all when not given."""

    def covers(self, pair: str, method: str, seed: int) -> bool:
        """Tell whether a student of the comparison is evaluated."""
        chosen = ((pair, self.pairs), (method, self.methods), (seed, self.seeds))
        return all(names is None or name in names for name, names in chosen)


class Report(FrozenModel):
    """What the report shows and where it goes."""

    folder: str | None = None
    """Folder of the report; reports/<name> when not given."""
    timings: bool = True
    """Whether tables show measured time and memory; leave them out of committed reports."""
    baseline: Id = "ce"
    """Method entry that gains are measured from."""


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
    protocols: dict[Id, ProtocolEntry] = Field(default_factory=_default_protocols)
    """Evaluation protocols by id."""
    report: Report = Report()
    """The report."""

    @property
    def report_folder(self) -> str:
        """Folder of the report."""
        return self.report.folder or f"reports/{self.name}"

    def compares(self, pair: str, entry: str) -> bool:
        """Tell whether a method entry is run for a pair in the comparison."""
        chosen = self.methods[entry].pairs
        return self.pairs[pair].runs(entry) and (chosen is None or pair in chosen)


# What rows of other kinds are filed under.
RESERVED_TABLES = ("main", "teachers")


class ParamsError(Exception):
    """A semantic error at a key path; ``load`` adds the file's name."""

    def __init__(self, path: tuple[str | int, ...], message: str) -> None:
        super().__init__(message)
        self.path = path


def load(file: Path) -> Experiment:
    """Read and check a params file.

    Raises:
        UserError: one line naming the file, the key path, what was found and what is allowed.
    """
    content = _read_yaml(file)
    try:
        experiment = Experiment.model_validate(content)
        check(experiment)
    except ValidationError as error:
        first, *others = error.errors()
        more = f" (and {len(others)} more)" if others else ""
        raise UserError(format_problem(file, first["loc"], f"{_explain(first)}{more}")) from None
    except ParamsError as error:
        raise UserError(format_problem(file, error.path, str(error))) from None
    return experiment


def format_problem(file: Path, path: tuple[str | int, ...], message: str) -> str:
    """Return the one line that names file, key path and problem."""
    place = ""
    for part in path:
        place += f"[{part}]" if isinstance(part, int) else f".{part}" if place else part
    return f"{file}: {place}: {message}" if place else f"{file}: {message}"


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of params files, with the options of every method."""
    schema = Experiment.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    entry = schema["$defs"]["MethodEntry"]
    entry["properties"]["method"]["anyOf"][0]["enum"] = methods.names()
    for definition, key in (("Teacher", "arch"), ("Pair", "student")):
        schema["$defs"][definition]["properties"][key]["enum"] = models.names()
    entries = {}
    for name in methods.names():
        options = methods.load(name).Options.model_json_schema()
        schema["$defs"].update(options.pop("$defs", {}))
        entry.setdefault("allOf", []).append(
            {
                "if": {"properties": {"method": {"const": name}}, "required": ["method"]},
                "then": {"properties": {"options": options}},
            }
        )
        entries[name] = {
            "allOf": [{"$ref": "#/$defs/MethodEntry"}],
            "if": {"not": {"required": ["method"]}},
            "then": {"properties": {"options": options}},
        }
    schema["properties"]["methods"]["properties"] = entries
    return schema


def check(experiment: Experiment) -> None:
    """Check names and references that the types alone cannot.

    Raises:
        ParamsError: the first problem found.
    """
    for path, kind, found, allowed in _references(experiment):
        if found not in allowed:
            raise ParamsError(path, str(unknown_name(kind, found, allowed)))
    for name, ablation in experiment.ablations.items():
        _require_free(("ablations", name), [*RESERVED_TABLES, *experiment.protocols])
        if not ablation.vary and len(ablation.pairs) == len(ablation.methods) == 1:
            raise ParamsError(("ablations", name, "vary"), "nothing is varied; give an axis")
    if not any(starmap(experiment.compares, product(experiment.pairs, experiment.methods))):
        raise ParamsError(
            ("pairs",), "no method entry is run for any pair; see their only and without"
        )
    entries = experiment.methods.items()
    for name, entry in entries:
        method_options(entry.method or name, entry.options, ("methods", name, "options"))
    of_methods = [methods.load(entry.method or name).section for name, entry in entries]
    for name, chosen in experiment.protocols.items():
        _require_free(("protocols", name), [*RESERVED_TABLES, *filter(None, of_methods)])
        protocol_options(name, chosen)
    if experiment.report.baseline not in experiment.methods and "ce" in experiment.methods:
        allowed = list(experiment.methods)
        message = str(unknown_name("method entry", experiment.report.baseline, allowed))
        raise ParamsError(("report", "baseline"), message)


def _require_free(path: tuple[str, str], taken: list[str]) -> None:
    """Check that an id does not name another table or section of the report."""
    if path[1] in taken:
        known = ", ".join(dict.fromkeys(taken))
        raise ParamsError(path, f"this id names another part of the report (taken: {known})")


def method_options(method: str, options: Mapping[str, Any], path: tuple[str | int, ...]) -> Any:
    """Return the validated options of a method; errors name the key below ``path``."""
    return validated(methods.load(method).Options, options, path)


def protocol_options(name: str, entry: ProtocolEntry) -> Any:
    """Return the validated options of an evaluation protocol."""
    module = protocols.load(entry.protocol or name)
    return validated(module.Options, entry.options, ("protocols", name, "options"))


def validated(
    model: type[FrozenModel], values: Mapping[str, Any], path: tuple[str | int, ...]
) -> Any:
    """Validate ``values`` and report the first error at its place below ``path``."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        raise ParamsError((*path, *first["loc"]), _explain(first)) from None


def _references(
    experiment: Experiment,
) -> Iterator[tuple[tuple[str | int, ...], str, str, list[str]]]:
    """Yield every name that must be one of a known set: path, kind, name, allowed names."""
    architectures, known_methods = models.names(), methods.names()
    teachers, pairs, entries = (
        list(names) for names in (experiment.teachers, experiment.pairs, experiment.methods)
    )
    for name, teacher in experiment.teachers.items():
        yield ("teachers", name, "arch"), "model", teacher.arch, architectures
        if teacher.data:
            yield ("teachers", name, "data"), "data set", teacher.data, list(experiment.datasets)
    for name, pair in experiment.pairs.items():
        for id_ in pair.teachers:
            yield ("pairs", name, "teacher"), "teacher", id_, teachers
        yield ("pairs", name, "student"), "model", pair.student, architectures
        for method in pair.methods:
            yield ("pairs", name, "methods"), "method entry", method, entries
        for method in pair.only or ():
            yield ("pairs", name, "only"), "method entry", method, entries
        for method in pair.without:
            yield ("pairs", name, "without"), "method entry", method, entries
    for name, entry in experiment.methods.items():
        yield ("methods", name), "method", entry.method or name, known_methods
        for id_ in entry.pairs or ():
            yield ("methods", name, "pairs"), "pair", id_, pairs
    for name, ablation in experiment.ablations.items():
        for id_ in ablation.pairs:
            yield ("ablations", name, "pair"), "pair", id_, pairs
        for id_ in ablation.methods:
            yield ("ablations", name, "method"), "method entry", id_, entries
        for id_ in ablation.protocols:
            known = list(experiment.protocols)
            yield ("ablations", name, "protocols"), "protocol entry", id_, known
    for name, chosen in experiment.protocols.items():
        yield ("protocols", name), "protocol", chosen.protocol or name, protocols.names()
        for id_ in chosen.pairs or ():
            yield ("protocols", name, "pairs"), "pair", id_, pairs
        for id_ in chosen.methods or ():
            yield ("protocols", name, "methods"), "method entry", id_, entries


def _read_yaml(file: Path) -> Any:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        # YAML 1.2: `no` is a word, 1e-4 a number, and a repeated key an error.
        return YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{file}: no such params file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: cannot be read ({error})") from None
    except MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise UserError(f"{file}: {line}{error.problem}") from None
    except YAMLError as error:
        raise UserError(f"{file}: not YAML ({' '.join(str(error).split())})") from None


def _explain(error: Any) -> str:
    """Return one line for a pydantic error: what is wrong and what was found."""
    message = error["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:] if message else "invalid"
    if error["type"] in {"unknown_key", "missing", "value_error"}:
        return message
    found = error["input"]
    if error["type"] == "literal_error":
        allowed = [
            name.strip("'") for name in error["ctx"]["expected"].replace(" or ", ", ").split(", ")
        ]
        return str(unknown_name("value", str(found), allowed))
    shown = repr(found) if not isinstance(found, dict | list) else type(found).__name__
    return f"found {shown}; {message}"
