"""The runs of protocols on trained networks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from types import ModuleType

from distillery.core.errors import UserError, unknown_name
from distillery.core.settings import FrozenModel
from distillery.evaluation import registry as protocols
from distillery.evaluation.context import TRAINED_WITH, PlanContext
from distillery.experiment.params import Experiment, ParamsError, ProtocolEntry, protocol_options
from distillery.models import registry as models
from distillery.planning.data_sets import DataSets
from distillery.planning.runs import Runs
from distillery.runs.artifacts import Run


@dataclass(frozen=True)
class Network:
    """A trained network that protocols are run on.

    Attributes:
        run: what trains it.
        arch: its architecture.
        data: id of the data set that it is trained on; None for the experiment's own.
        method_modules: modules of its method, if it is a student.
    """

    run: Run
    arch: str
    data: str | None
    method_modules: tuple[str, ...] = ()


class Evaluations:
    """Adds the runs of an experiment's protocols."""

    def __init__(self, experiment: Experiment, runs: Runs) -> None:
        self._experiment = experiment
        self._data_sets = DataSets(experiment)
        self._runs = runs

    def add(self, network: Network, teacher: Network, names: Iterable[str]) -> dict[str, str]:
        """Add the protocols of one network; studies, which train networks, are left out.

        Args:
            network: the network to evaluate.
            teacher: its first teacher, or itself.
            names: ids of the entries of ``protocols``.

        Returns:
            Entry -> location of its run.

        Raises:
            ParamsError: a protocol cannot be run on the network.
        """
        locations = {}
        for name in names:
            entry = self._experiment.protocols[name]
            module = protocols.load(entry.protocol or name)
            if not protocols.is_study(module):
                run = self._evaluation(name, entry, module, network, teacher)
                locations[name] = run.location
        return locations

    def _evaluation(
        self,
        name: str,
        entry: ProtocolEntry,
        module: ModuleType,
        network: Network,
        teacher: Network,
    ) -> Run:
        options = protocol_options(name, entry)
        inputs = {
            "prepared": self._runs.prepared(network.data),
            "network": network.run,
            "teacher": teacher.run,
        }
        target = None
        if hasattr(module, "data_set"):
            target = self._target(module.data_set(options), network.data, name)
            inputs["target"] = self._runs.prepared(target)
            inputs["features"] = self._features(module, options, network, inputs["target"])
        self._check(name, module, options, network, teacher, target)
        if getattr(module, "USES_METHOD", False):
            inputs |= self._trained_with(network.run)
        modules = [models.module_of(network.arch), models.module_of(teacher.arch)]
        if getattr(module, "USES_METHOD", False):
            modules += network.method_modules
        settings = {
            "protocol": entry.protocol or name,
            "options": options.model_dump(mode="json"),
        }
        slug = f"{network.run.slug}-{settings['protocol']}"
        return self._runs.add("evaluate", slug, settings, inputs, tuple(modules))

    def _trained_with(self, trained: Run) -> dict[str, Run]:
        """Return what a student was trained with; the teacher of each of its caches, too."""
        planned = self._runs.planned
        found = {}
        for name, location in trained.inputs.items() if trained.stage == "train-student" else ():
            source = planned[location]
            if name != "prepared":
                found[f"{TRAINED_WITH}{name}"] = source
            if source.stage == "embed":
                place = name.removeprefix("embeddings")
                found[f"{TRAINED_WITH}cached{place}"] = planned[source.inputs["teacher"]]
        return found

    def _target(self, found: str | None, own: str | None, protocol: str) -> str | None:
        """Return the id of the data set that a protocol looks at, with networks of ``own``."""
        allowed, place = list(self._experiment.datasets), ("protocols", protocol, "options", "data")
        if found is not None and found not in allowed:
            raise ParamsError(place, str(unknown_name("data set", found, allowed)))
        colours = [self._data_sets.settings(name).colour for name in (own, found)]
        if colours[0] != colours[1]:
            raise ParamsError(
                place,
                f"its `colour` is {colours[1]}, but the networks learn from {colours[0]}; give "
                "both sets the same",
            )
        return found

    def _features(
        self, module: ModuleType, options: FrozenModel, network: Network, target: Run
    ) -> Run:
        """Return the run that caches a network's features of another data set."""
        return self._runs.add(
            "extract",
            f"{network.run.slug}-on-{target.slug}",
            module.extract_settings(options),
            {
                "network": network.run,
                "source": self._runs.prepared(network.data),
                "prepared": target,
            },
            (models.module_of(network.arch),),
        )

    def _check(
        self,
        name: str,
        module: ModuleType,
        options: FrozenModel,
        network: Network,
        teacher: Network,
        target: str | None,
    ) -> None:
        """Check that a protocol can be run on a network, as far as that is known."""
        if not hasattr(module, "check"):
            return
        own, other = (
            self._data_sets.spec(each.arch, each.data, each.run.settings.get("channels"))
            for each in (network, teacher)
        )
        known = PlanContext(
            network=own,
            teacher=other,
            training=network.run.settings.get("training", {}),
            source=self._data_sets.shape(network.data),
            target=self._data_sets.shape(target),
        )
        try:
            module.check(options, known)
        except UserError as error:
            raise ParamsError(("protocols", name), str(error)) from None
