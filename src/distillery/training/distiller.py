"""The objective: a student, a method, and how their loss terms add up."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distillery.methods.base import Batch, Method, Weights
from distillery.methods.parts.precision import upcast
from distillery.models.base import Classifier, Outputs
from distillery.training.ensemble import joint

Gather = Callable[[Tensor, int], Tensor]


@dataclass(frozen=True)
class Step:
    """What one training step computed.

    Attributes:
        loss: scalar to minimise.
        terms: unweighted loss terms by name, detached.
        logits: (B, C) of the student for the unchanged images; None when it was not run.
        diagnostics: what the method logs beside its loss.
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
        method: Method,
        weights: Weights,
        kd: Method | None = None,
        gather: Gather | None = None,
        joint_temperature: float | None = None,
    ) -> None:
        """Put them together.

        Args:
            student: the network to train.
            method: the method, or an ensemble of copies of it.
            weights: of the terms of the loss.
            kd: Hinton's KD, if it has a weight.
            gather: joins a tensor of all processes.
            joint_temperature: with it, an ensemble is one teacher whose softmax at this temperature
                is the mean of the teachers' ones.
        """
        super().__init__()
        self.student = student
        self.method = method
        self.kd = kd
        self.weights = weights
        self._gather = gather
        self._joint_temperature = joint_temperature

    def forward(
        self, images: Tensor, teacher: Outputs | None, batch: Batch, *, pretraining: bool = False
    ) -> Step:
        """Run the student and compute the loss.

        Args:
            images: (B * n_views, C, H, W), normalised.
            teacher: the teacher's outputs for the same images; None for methods without one.
            batch: labels (B,) and places of the images.
            pretraining: compute the loss of the method's own first stage.
        """
        if teacher is not None and self._joint_temperature:
            teacher = joint(teacher, self._joint_temperature)
        if pretraining:
            return self._pretrain(images, teacher, batch)
        student = self._run_student(images)
        with torch.autocast(images.device.type, enabled=False):
            student = _in_single_precision(student)
            logits = student.logits[:: self.method.n_views]
            terms = {"ce": F.cross_entropy(logits, batch.labels)}
            loss = self.weights.ce * terms["ce"]
            if self.kd is not None and teacher is not None:
                plain = Outputs(logits, student.embedding)
                terms["kd"] = self.kd(plain, _originals(teacher, self.method.n_views), batch)["kd"]
                loss = loss + self.weights.kd * terms["kd"]
            self.method.diagnostics = {}
            own = self.method(*self._shared(student, teacher, batch))
            for name, term in own.items():
                terms[f"method_{name}"] = term
                loss = loss + self.weights.method * term
        return Step(loss, _detached(terms), logits.detach(), _detached(self.method.diagnostics))

    def _pretrain(self, images: Tensor, teacher: Outputs | None, batch: Batch) -> Step:
        stage = self.method.pretraining()
        if stage is None or teacher is None:
            raise ValueError("the method has no stage of its own")
        student = self._run_student(images) if stage.trains_student else teacher
        with torch.autocast(images.device.type, enabled=False):
            terms = self.method.pretrain(
                *self._shared(_in_single_precision(student), teacher, batch)
            )
        loss = torch.stack(list(terms.values())).sum()
        named = {f"method_{name}": term for name, term in terms.items()}
        return Step(loss, _detached(named), None, {})

    def _run_student(self, images: Tensor) -> Outputs:
        return run_network(self.student, images, self.method)

    def _shared(
        self, student: Outputs, teacher: Outputs | None, batch: Batch
    ) -> tuple[Outputs, Outputs, Batch]:
        """Join the outputs of all processes for methods that compare samples of a batch."""
        teacher = teacher if teacher is not None else student
        gather = self._gather
        if gather is None or not self.method.couples_batch:
            return student, teacher, batch
        whole = replace(batch, position=gather(batch.position, 1), labels=gather(batch.labels, 1))
        student, teacher = (
            _map(outputs, lambda tensor: gather(tensor, self.method.n_views))
            for outputs in (student, teacher)
        )
        return student, teacher, whole


def run_network(network: Classifier, images: Tensor, method: Method) -> Outputs:
    """Run a network and return what the method needs of it."""
    return network(
        images,
        features="features" in method.needs,
        preactivations="preactivations" in method.needs,
        **({"blocks": method.block_hook} if "blocks" in method.needs else {}),
    )


def run_teachers(networks: Sequence[Classifier], images: Tensor, method: Method) -> Outputs:
    """Run live teachers and return what the method needs of them, in single precision."""
    with torch.no_grad():
        first, *others = (run_network(network, images, method) for network in networks)
    return _in_single_precision(first._replace(others=tuple(others)))


def _originals(outputs: Outputs, n_views: int) -> Outputs:
    """Return logits and embeddings of the unchanged images alone."""
    return Outputs(
        outputs.logits[::n_views],
        outputs.embedding[::n_views],
        others=tuple(_originals(other, n_views) for other in outputs.others),
    )


def _map(outputs: Outputs, function: Callable[[Tensor], Tensor]) -> Outputs:
    """Apply ``function`` to every tensor of ``outputs``."""
    return Outputs(
        logits=function(outputs.logits),
        embedding=function(outputs.embedding),
        **{
            name: tuple(function(item) for item in getattr(outputs, name))
            for name in ("features", "preactivations", "blocks")
        },
        others=tuple(_map(other, function) for other in outputs.others),
    )


def _in_single_precision(outputs: Outputs) -> Outputs:
    """Return the same outputs in single precision, or double if they are."""
    return _map(outputs, upcast)


def _detached(terms: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: term.detach() for name, term in terms.items()}
