"""The objective: a student, a method, and how their loss terms add up."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distillery.methods.base import Batch, Method, Need, Weights
from distillery.methods.parts.precision import upcast
from distillery.models.base import Classifier, Outputs
from distillery.training.ensemble import combined, joint
from distillery.training.settings import Combination

Gather = Callable[[Tensor, int], Tensor]
# What a network's forward pass returns only when it is asked for.
_MAPS: frozenset[Need] = frozenset({"features", "preactivations", "last_map", "class_maps"})


@dataclass(frozen=True)
class StepOutput:
    """What one training step computed.

    Attributes:
        loss: scalar to minimise.
        terms: unweighted loss terms by name, scalars (), detached.
        logits: (B, C) of the student for the unchanged images; None when it was not run.
        diagnostics: what the method logs beside its loss: scalars, vectors or matrices, detached.
    """

    loss: Tensor
    terms: Mapping[str, Tensor]
    logits: Tensor | None
    diagnostics: Mapping[str, Tensor]


class Distiller(nn.Module):
    """Student and method in one module, so that they are trained and distributed together.

    The loss is ``weights.ce * CE + weights.kd * KD + weights.method * (sum of the method's terms)``
    and is always computed in single precision.
    """

    def __init__(
        self,
        student: Classifier,
        methods: Sequence[Method],
        weights: Weights,
        kd: Sequence[Method] = (),
        *,
        gather: Gather | None = None,
        combination: Combination = "mean",
        joint_temperature: float | None = None,
        label_smoothing: float = 0.0,
    ) -> None:
        """Put them together.

        Args:
            student: the network to train.
            methods: one copy of the method for each teacher, or one for all that teach jointly, or
                one where there is no teacher.
            weights: of the terms of the loss.
            kd: likewise copies of Hinton's KD, if it has a weight.
            gather: joins a tensor of all processes.
            combination: how several teachers' terms are combined.
            joint_temperature: with it, several teachers are one whose softmax at this temperature
                is the mean of the teachers' ones.
            label_smoothing: of cross-entropy.
        """
        super().__init__()
        self.student = student
        self.methods = nn.ModuleList(methods)
        self.kd = nn.ModuleList(kd)
        self.weights = weights
        self._gather = gather
        self._combination = combination
        self._joint_temperature = joint_temperature
        self._label_smoothing = label_smoothing
        self._run_student = run_network

    def compile_student(self) -> None:
        """Run the student compiled from now on, in the steps of this distiller alone.

        What is compiled is the call, not the module, so that names in its state stay what they are
        and whoever evaluates it runs it as it is. Each size of batch is compiled by itself: code
        for any size, which torch makes once it has met a second one, would give a resumed run other
        bits.
        """
        self._run_student = torch.compile(run_network, dynamic=False)

    def synchronise_batchnorm(self) -> None:
        """Normalise by the whole batch of all processes from now on; names in the state stay.

        A method that couples the batch sees all of it in every process as it is.
        """
        concerned = [self.student, *([] if self.method.couples_batch else self.methods)]
        for module in concerned:
            nn.SyncBatchNorm.convert_sync_batchnorm(module)  # type: ignore[no-untyped-call]

    @property
    def method(self) -> Method:
        """The first copy of the method: what it says of itself, all copies say."""
        return self._copies[0]

    def forward(
        self,
        images: Tensor,
        teachers: Sequence[Outputs],
        batch: Batch,
        *,
        pretraining: bool = False,
    ) -> StepOutput:
        """Run the student and compute the loss.

        Args:
            images: (B * n_views, C, H, W), normalised.
            teachers: each teacher's outputs for the same images; empty for methods without one.
            batch: labels (B,) and rows of the images.
            pretraining: compute the loss of the method's own first stage.
        """
        if self._joint_temperature:
            teachers = [joint(teachers, self._joint_temperature)]
        if pretraining:
            return self._pretrain(images, teachers, batch)
        student = self._run_student(self.student, images, self.method, taught=True)
        with torch.autocast(images.device.type, enabled=False):
            student = _in_single_precision(student)
            logits = student.logits[:: self.method.n_views]
            smoothing = self._label_smoothing
            terms = {"ce": F.cross_entropy(logits, batch.labels, label_smoothing=smoothing)}
            loss = self.weights.ce * terms["ce"]
            if self.kd:
                terms |= self._kd_term(Outputs(logits, student.embedding), teachers, batch)
                loss = loss + self.weights.kd * terms["kd"]
            student, teachers, batch = self._shared(student, teachers or [student], batch)
            found = [
                method.losses(student, teacher, batch)
                for method, teacher in zip(self._copies, teachers, strict=True)
            ]
            own = combined([each.terms for each in found], self._combination)
            for name, term in own.items():
                terms[f"method_{name}"] = term
                loss = loss + self.weights.method * term
        return StepOutput(loss, _detached(terms), logits.detach(), _detached(found[0].diagnostics))

    def after_step(self) -> None:
        """Update the state of every copy that must not change between forward and backward."""
        for method in self._copies:
            method.after_step()

    def finish_pretraining(self) -> None:
        """Freeze what only the first stage trains."""
        for method in self._copies:
            method.finish_pretraining()

    @property
    def _copies(self) -> list[Method]:
        return list(self.methods)  # type: ignore[arg-type]

    def _kd_term(
        self, student: Outputs, teachers: Sequence[Outputs], batch: Batch
    ) -> dict[str, Tensor]:
        """Return the term ``kd`` of the unchanged images."""
        step = self.method.n_views
        originals = [Outputs(each.logits[::step], each.embedding[::step]) for each in teachers]
        found = [kd(student, each, batch) for kd, each in zip(self.kd, originals, strict=True)]
        return combined(found, self._combination)

    def _pretrain(self, images: Tensor, teachers: Sequence[Outputs], batch: Batch) -> StepOutput:
        stage = self.method.pretraining()
        assert stage is not None
        student = teachers[0]
        if stage.trains_student:
            student = self._run_student(self.student, images, self.method, taught=True)
        with torch.autocast(images.device.type, enabled=False):
            student, teachers, batch = self._shared(_in_single_precision(student), teachers, batch)
            found = [
                method.pretrain(student if stage.trains_student else teacher, teacher, batch)
                for method, teacher in zip(self._copies, teachers, strict=True)
            ]
            terms = combined(found, self._combination)
        loss = torch.stack(list(terms.values())).sum()
        named = {f"method_{name}": term for name, term in terms.items()}
        return StepOutput(loss, _detached(named), None, {})

    def _shared(
        self, student: Outputs, teachers: Sequence[Outputs], batch: Batch
    ) -> tuple[Outputs, Sequence[Outputs], Batch]:
        """Join the outputs of all processes for methods that compare samples of a batch."""
        gather, n_views = self._gather, self.method.n_views
        if gather is None or not self.method.couples_batch:
            return student, teachers, batch
        whole = replace(batch, position=gather(batch.position, 1), labels=gather(batch.labels, 1))
        student, *teachers = (
            _map(outputs, lambda tensor: gather(tensor, n_views))
            for outputs in (student, *teachers)
        )
        return student, teachers, whole


def run_network(
    network: Classifier, images: Tensor, method: Method, *, taught: bool = False
) -> Outputs:
    """Run a network on images (B, C, H, W) and return what the method needs of it.

    ``taught`` tells whether it is the student.
    """
    needs = method.needs | method.student_needs if taught else method.needs
    asked: dict[str, Any] = dict.fromkeys(_MAPS & needs, True)
    if "blocks" in needs:
        asked["blocks"] = method.block_hook
    outputs: Outputs = network(images, **asked)
    return outputs


@torch.no_grad()
def run_teachers(networks: Sequence[Classifier], images: Tensor, method: Method) -> list[Outputs]:
    """Run teachers on images (B, C, H, W); return what the method needs, in single precision."""
    return [_in_single_precision(run_network(network, images, method)) for network in networks]


def _in_single_precision(outputs: Outputs) -> Outputs:
    """Return the same outputs in single precision, or double if they are."""
    return _map(outputs, upcast)


def _map(outputs: Outputs, function: Callable[[Tensor], Tensor]) -> Outputs:
    """Apply ``function`` to every tensor of ``outputs``."""
    last_map, class_maps = outputs.last_map, outputs.class_maps
    return Outputs(
        function(outputs.logits),
        function(outputs.embedding),
        tuple(map(function, outputs.features)),
        tuple(map(function, outputs.preactivations)),
        tuple(map(function, outputs.blocks)),
        last_map if last_map is None else function(last_map),
        class_maps if class_maps is None else function(class_maps),
    )


def _detached(terms: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: term.detach() for name, term in terms.items()}
