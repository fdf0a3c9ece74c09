"""The runs of protocols on trained networks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from distillery.core.errors import UnknownName, UserError
from distillery.data.info import Part
from distillery.evaluation import evaluate
from distillery.evaluation import registry as protocols
from distillery.evaluation.base import Protocol, Target, as_input_of_training
from distillery.evaluation.context import PlanContext
from distillery.experiment.checks import protocol_options
from distillery.experiment.data import OWN
from distillery.experiment.errors import ParamsError
from distillery.experiment.experiment import Experiment
from distillery.models import registry as models
from distillery.models.base import ModelSpec
from distillery.planning import names
from distillery.planning.data_sets import Channels
from distillery.planning.runs import Runs
from distillery.runs.run import Run
from distillery.training.settings import Training


@dataclass(frozen=True)
class Network:
    """A trained network that protocols are run on.

    Attributes:
        run: what trains it.
        arch: its architecture.
        data: id of the data set that it is trained on.
        channels: indices of the channels that it sees; None for all.
        training: how it is trained; None if it is imported.
        method_modules: modules of its method, if it is a student.
    """

    run: Run
    arch: str
    data: str
    channels: Channels
    training: Training | None
    method_modules: tuple[str, ...] = ()


class Evaluations:
    """Adds the runs of an experiment's protocols."""

    def __init__(self, experiment: Experiment, runs: Runs) -> None:
        self._experiment = experiment
        self._data_sets = runs.data_sets
        self._runs = runs

    def add(self, network: Network, teacher: Network, names: Iterable[str]) -> dict[str, str]:
        """Add the protocols of one network; studies, which train networks, are left out.

        Args:
            network: the network to evaluate.
            teacher: its first teacher, or itself.
            names: ids of the entries of ``protocols``.

        Returns:
            Entry -> location of its run.
        """
        locations = {}
        for name in names:
            entry = self._experiment.protocols[name]
            kind = protocols.load(entry.protocol or name)
            if issubclass(kind, Protocol):
                protocol = kind(protocol_options(name, entry))
                run = self._evaluation(name, entry.protocol or name, protocol, network, teacher)
                locations[name] = run.location
        return locations

    def _evaluation(
        self, entry: str, name: str, protocol: Protocol, network: Network, teacher: Network
    ) -> Run:
        """Return the run of the protocol ``name``, which is the entry ``entry``, on a network."""
        inputs = {
            "prepared": self._runs.prepared(network.data),
            "network": network.run,
            "teacher": teacher.run,
        }
        target, looked_at = protocol.target(), OWN
        if target:
            looked_at = target.data or OWN
            self._check_target(entry, looked_at, network)
            inputs["target"] = self._runs.prepared(looked_at)
            inputs["features"] = self._features(target, network, inputs["target"])
        self._check(entry, protocol, network, teacher, looked_at)
        protocol = self._fitted(entry, protocol, looked_at if target else network.data)
        inputs |= self._inputs_of_training(protocol, network.run)
        modules = [
            protocols.module_of(name),
            models.module_of(network.arch),
            models.module_of(teacher.arch),
            *(network.method_modules if protocol.uses_method else ()),
        ]
        settings = evaluate.Settings(
            protocol=name, options=protocol.options.model_dump(mode="json")
        )
        slug = names.joined(network.run.slug, names.part(entry))
        return self._runs.add(
            "evaluate",
            slug,
            settings.model_dump(mode="json"),
            inputs,
            tuple(modules),
            # What its networks said is on disk: most protocols run neither them nor torch.
            preloads=(protocols.module_of(name),),
            gpu=protocol.uses_device,
            exclusive=protocol.exclusive,
            is_short=True,
        )

    def _fitted(self, entry: str, protocol: Protocol, data: str) -> Protocol:
        """Return a protocol whose options the images of a data set allow."""
        parts: tuple[Part, ...] = ("train", "test")
        counts = {part: self._data_sets.per_class(data, part) for part in parts}
        limits = protocol.limits({part: each for part, each in counts.items() if each})
        path = ("protocols", entry, "options")
        given = dict.fromkeys(self._experiment.protocols[entry].options, path)
        return type(protocol)(self._data_sets.fitted(protocol.options, given, limits, path))

    def _inputs_of_training(self, protocol: Protocol, trained: Run) -> dict[str, Run]:
        """Return what a protocol reads of a student's inputs, and of the teachers of its caches."""
        if trained.stage != "train-student":
            return {}
        planned = self._runs.planned
        inputs = {name: planned[location] for name, location in trained.inputs.items()}
        cached = {
            name.replace("embeddings", "cached"): planned[source.inputs["teacher"]]
            for name, source in inputs.items()
            if source.stage == "embed"
        }
        return {
            as_input_of_training(name): source
            for name, source in (inputs | cached).items()
            if name.partition("-")[0] in protocol.trained_with
        }

    def _check_target(self, entry: str, target: str, network: Network) -> None:
        """Check that the data set to look at is one, and that it has the network's colours.

        Raises:
            ParamsError: it is not, or it has others.
        """
        allowed, path = list(self._experiment.datasets), ("protocols", entry, "options", "data")
        if target not in (OWN, *allowed):
            raise ParamsError(path, str(UnknownName("data set", target, allowed)))
        own, other = (self._data_sets.settings(id_).colour for id_ in (network.data, target))
        if own != other:
            raise ParamsError(
                path,
                f"its `colour` is {other}, but the networks learn from {own}; give both sets the "
                "same",
            )

    def _features(self, target: Target, network: Network, prepared: Run) -> Run:
        """Return the run that caches a network's features of another data set."""
        inputs = {
            "network": network.run,
            "source": self._runs.prepared(network.data),
            "prepared": prepared,
        }
        slug = names.joined(network.run.slug, "on", prepared.slug)
        settings = target.extraction
        modules = (models.module_of(network.arch),)
        plain = settings.model_dump(mode="json")
        return self._runs.add("extract", slug, plain, inputs, modules, is_short=True)

    def _check(
        self,
        entry: str,
        protocol: Protocol,
        network: Network,
        teacher: Network,
        target: str,
    ) -> None:
        """Check that a protocol can be run on a network, as far as that is known.

        Raises:
            ParamsError: it cannot.
        """
        context = PlanContext(
            network=self._spec(network),
            teacher=self._spec(teacher),
            training=network.training,
            source=self._data_sets.shape(network.data),
            target=self._data_sets.shape(target),
        )
        try:
            protocol.check(context)
        except UserError as error:
            raise ParamsError(("protocols", entry), str(error)) from None

    def _spec(self, network: Network) -> ModelSpec:
        return self._data_sets.spec(network.arch, network.data, network.channels)
