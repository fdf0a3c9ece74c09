"""Augmentation in the embedding space for contrastive distillation (Cheng 2022): a reconstruction.

Source: thesis of NTUST, 2022, of which the full text was not at hand. Certain, from its abstract,
keywords and table of contents: informative negatives are made in the embedding space itself by
interpolation between points, Hermite interpolation among others, after Embedding Expansion (Ko and
Gu 2020); there is no memory bank. Which points, which tangents, which loss and which numbers were
not at hand: they are options here, and ``docs/aecrd.md`` says why each is what it is.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distillery.core.randomness import torch_generator
from distillery.methods.aecrd.centroids import RunningCentroids
from distillery.methods.aecrd.diagnostics import Contrasted, diagnose
from distillery.methods.aecrd.heads import new_heads
from distillery.methods.aecrd.negatives import (
    class_probability,
    differs_from,
    inherits,
    log_hardness_weights,
    select,
    similarities,
    stays_clear,
)
from distillery.methods.aecrd.options import WITH_CENTROIDS, AECRDOptions
from distillery.methods.aecrd.pairs import Side
from distillery.methods.aecrd.readout import LinearReadout
from distillery.methods.aecrd.synthesis import SyntheticPoints, make_points, no_points
from distillery.methods.base import Batch, Context, Losses, Method, Paper, Weights
from distillery.methods.parts.contrast import info_nce
from distillery.methods.parts.precision import upcast
from distillery.models.base import Outputs

# Diagnostics cost as much as the loss, so they are taken in a step out of so many.
_DIAGNOSE_EVERY = 10
# Probability of the anchor's class above which the classifier's filter drops a point.
_LIKELY = 0.1


class AECRD(Method):
    """In-batch contrast with synthetic points on curves between embeddings: a reconstruction.

    For student anchors s and teacher candidates t, projected to the unit sphere, and for teacher
    anchors the other way round, the loss is the mean over the anchors of ::

        -ln( exp(s_i t_i / T) / (exp(s_i t_i / T) + sum over negatives w exp(s_i t / T)) )

    Negatives are the batch's candidates of other classes and points made between candidates, none
    of whose parents has the anchor's class. With synthetic positives it is the mean over the own
    candidate and these, all of which are in the denominator (SupCon's outer sum).

    ``options.negatives: all`` does without labels: every image is a class of its own.

    Without synthetic points it is the method ``infonce`` to the last bit.

    Extra memory: K points of length D and (B, B + K) scores for each direction, or (B, K) points
    where the anchors do not share them; K is at most ``max_pairs * n * diffusion.copies``. With the
    heads 1.4 MB at B = 64 and D = 128 by default, where CRD holds 51 MB.
    """

    title = "AECRD"
    paper = Paper("Cheng", "thesis, NTUST", 2022)
    kind = "contrastive"
    source = "after Cheng 2022: a reconstruction; heads, temperature and weight as CRD"
    needs = frozenset({"embedding"})
    weights = Weights(method=0.8)
    couples_batch = True
    section = "aecrd"

    class Options(AECRDOptions):
        """Hyperparameters of AECRD, all of them a reconstruction."""

    def __init__(self, options: AECRDOptions, context: Context) -> None:
        super().__init__(options, context)
        sizes = context.student.embedding_dim, context.teacher.embedding_dim
        self.student_head, self.teacher_head = new_heads(options.head, *sizes, options.dim)
        self.seed = context.seed
        self.centroids = nn.ModuleDict()
        if options.pairs.policy in WITH_CENTROIDS:
            classes = int(context.labels.max()) + 1
            dim = sizes[1] if options.head == "teacher-space" else options.dim
            for side in ("student_anchor", "teacher_anchor"):
                self.centroids[side] = RunningCentroids(classes, dim)
        self.readout: LinearReadout | None = None
        if options.filters.classifier != "none":
            self.readout = LinearReadout(sizes[1], context.teacher.num_classes)

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the terms ``student_anchor`` and, for both directions, ``teacher_anchor``."""
        return self.losses(student, teacher, batch).terms

    def losses(self, student: Outputs, teacher: Outputs, batch: Batch) -> Losses:
        """Return these terms and, in some steps, what ``diagnose`` says of the student's."""
        with torch.autocast(batch.labels.device.type, enabled=False):
            embedding = upcast(teacher.embedding)
            if self.readout is not None:
                self.readout.observe(embedding, teacher.logits)
            lengths = embedding.norm(dim=1)
            students = self.student_head(upcast(student.embedding))
            teachers = self.teacher_head(embedding)
            sides = {"student_anchor": (students, teachers)}
            if self.options.directions == "both":
                sides["teacher_anchor"] = (teachers, students)
            found = {
                name: self._contrast(name, Side(*pair, self._identity(batch)), batch, lengths)
                for name, pair in sides.items()
            }
        terms = {name: loss for name, (loss, _) in found.items()}
        return Losses(terms, found["student_anchor"][1])

    def after_step(self) -> None:
        """Take over the centroids that the last batch moved."""
        for running in self.centroids.values():
            assert isinstance(running, RunningCentroids)
            running.keep()

    def synthetic_weight(self, epoch: int) -> float:
        """Return how many real points a synthetic one counts for in an epoch, from 0."""
        options = self.options.synthetic
        past = epoch - options.warmup_epochs
        if past < 0 or options.n == 0 or options.role == "none":
            return 0.0
        return float(options.weight * min(1.0, (past + 1) / (options.ramp_epochs + 1)))

    def _contrast(
        self, name: str, side: Side, batch: Batch, lengths: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of one direction, and what is to be logged of it.

        ``lengths`` (B,) are those of the teacher's embeddings.
        """
        options, weight = self.options, self.synthetic_weight(batch.epoch)
        made = self._synthesise(name, side, batch) if weight else no_points(side)
        real = side.anchors @ side.candidates.T
        cosines = torch.cat((real, similarities(side.anchors, made.points)), dim=1)
        is_negative, log_share = self._filter(side, made, batch.labels, lengths)
        if options.synthetic.role == "positives":
            is_negative = torch.zeros_like(is_negative)
        with torch.no_grad():
            allowed = torch.cat((~side.same_class, is_negative), dim=1)
            chosen = select(cosines.detach(), allowed, options.selection)
        diagnostics: dict[str, Tensor] = {}
        if name == "student_anchor" and batch.step % _DIAGNOSE_EVERY == 0:
            found = Contrasted(cosines.detach(), allowed, chosen)
            diagnostics = diagnose(side, made, found, batch.labels, options.selection.top_k)
        if weight:
            log_share = log_share + math.log(weight)
        log_counts = torch.cat((torch.zeros_like(real), log_share.to(real)), dim=1)
        log_counts = log_counts.masked_fill(~chosen, -torch.inf)
        positives = None
        if weight and options.synthetic.role in ("positives", "both"):
            positives = made.valid & inherits(made.classes, side.identity)
        scores = cosines / options.temperature
        return self._loss(scores, log_counts, positives, weight), diagnostics

    def _loss(
        self, scores: Tensor, log_counts: Tensor, positives: Tensor | None, weight: float
    ) -> Tensor:
        """Return the loss of scores (B, B + K) with the negatives' counts and positives (B, K)."""
        if self.options.reweighting.beta:
            beta = self.options.reweighting.beta
            log_counts = log_counts + log_hardness_weights(scores, log_counts, beta)
        is_own = torch.eye(*scores.shape, dtype=torch.bool, device=scores.device)
        log_counts = log_counts.masked_fill(is_own, 0)
        if positives is None:
            return info_nce(scores, scores + log_counts)
        others = F.pad(positives, (len(scores), 0))
        log_counts = log_counts.masked_fill(others, math.log(weight))
        return info_nce(scores, scores + log_counts, is_own.to(scores) + weight * others)

    def _synthesise(self, name: str, side: Side, batch: Batch) -> SyntheticPoints:
        """Make the synthetic points of one direction."""
        # The teacher's classifier is known after some steps only.
        is_ready = self.readout is None or self.readout.is_known
        if len(batch.labels) < 2 or not is_ready:
            return no_points(side)
        candidates = side.candidates
        if self.options.synthetic.detach:
            candidates = candidates.detach()
        side = replace(side, anchors=side.anchors.detach(), candidates=candidates)
        table = candidates
        if name in self.centroids:
            table = torch.cat((candidates, self.centroids[name](candidates, batch.labels)))
        device = candidates.device
        generator = torch_generator(self.seed, f"aecrd-{name}", batch.step, device=device)
        return make_points(side, table, self.options, generator)

    @torch.no_grad()
    def _filter(
        self, side: Side, made: SyntheticPoints, labels: Tensor, lengths: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return which synthetic points may be negatives, and the logarithms of their counts.

        Returns:
            (B, K) bool and float.
        """
        allowed = made.valid & differs_from(made.classes, side.identity)
        if self.options.filters.collision:
            allowed = allowed & stays_clear(side, made.points, made.table, made.class_rows)
        log_share = torch.zeros(allowed.shape, device=allowed.device)
        if self.readout is not None:
            length = lengths[made.parents % len(lengths)].mean(dim=-1, keepdim=True)
            share, is_likeliest = class_probability(self.readout(made.points * length), labels)
            if self.options.filters.classifier == "soft":
                return allowed, torch.log1p(-share)
            allowed = allowed & ~is_likeliest & (share <= _LIKELY)
        return allowed, log_share

    def _identity(self, batch: Batch) -> Tensor:
        """Return the classes (B,) that are told apart: every image's own one without labels."""
        if self.options.negatives == "other-class":
            return batch.labels
        return torch.arange(len(batch.labels), device=batch.labels.device)
