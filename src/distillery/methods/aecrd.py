"""Augmentation in the embedding space for contrastive distillation (Cheng 2022): a reconstruction.

Source: thesis of NTUST, 2022, of which the full text was not at hand. Certain, from its abstract,
keywords and table of contents: informative negatives are made in the embedding space itself by
interpolation between points, Hermite interpolation among others, after Embedding Expansion (Ko and
Gu 2020); there is no memory bank. Which points, which tangents, which loss and which numbers were
not at hand: they are options here, and ``docs/aecrd.md`` says why each is what it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from distillery.core.randomness import torch_generator
from distillery.core.settings import FrozenModel
from distillery.methods.base import Batch, Context, Method, Weights
from distillery.methods.parts.candidate_filters import (
    FilterOptions,
    class_probability,
    differs_from,
    inherits,
    similarities,
    stays_clear,
)
from distillery.methods.parts.class_means import RunningCentroids
from distillery.methods.parts.hard_selection import SelectionOptions, select
from distillery.methods.parts.linear_readout import LinearReadout
from distillery.methods.parts.pair_policies import (
    NEED_CLASSES,
    WITH_CENTROIDS,
    PairOptions,
    Side,
)
from distillery.methods.parts.perturbation import DiffusionOptions
from distillery.methods.parts.precision import upcast
from distillery.methods.parts.projection_heads import HeadKind, new_heads
from distillery.methods.parts.reweighting import (
    ReweightingOptions,
    corrected_info_nce,
    log_hardness_weights,
    weighted_info_nce,
)
from distillery.methods.parts.synthesis import WITH_TANGENTS, CurveOptions
from distillery.methods.parts.synthetic_diagnostics import Contrasted, diagnose
from distillery.methods.parts.synthetic_points import SyntheticPoints, make_points, no_points
from distillery.models.base import Outputs

# Diagnostics cost as much as the loss, so they are taken in a step out of so many.
_DIAGNOSE_EVERY = 10
# Policies whose points can be of one class alone, and so be positives.
_MAKE_POSITIVES = frozenset({"same-class", "random", "centroid", "single"})


class SyntheticOptions(FrozenModel):
    """How many synthetic points there are, and what they are for."""

    n: int = Field(default=2, ge=0)
    """Points on the curve of each pair."""
    role: Literal["negatives", "positives", "both", "none"] = "negatives"
    """What they are to anchors: negatives of those of other classes, further positives of those of
    their own, both, or nothing."""
    weight: float = Field(default=1.0, ge=0)
    """How many real points a synthetic one counts for."""
    detach: bool = True
    """Whether no gradient flows through them to the points that they are made of."""
    warmup_epochs: int = Field(default=0, ge=0)
    """Epochs at the beginning without any."""
    ramp_epochs: int = Field(default=0, ge=0)
    """Epochs after these over which the weight grows linearly to its value."""


class AECRD(Method):
    """In-batch contrast with synthetic points on curves between embeddings: a reconstruction.

    For student anchors s and teacher candidates t, projected to the unit sphere, and for teacher
    anchors the other way round, the loss is the mean over the anchors of ::

        -ln( exp(s_i t_i / T) / (exp(s_i t_i / T) + sum over negatives w exp(s_i t / T)) )

    Negatives are the batch's candidates of other classes and points made between candidates, none
    of whose parents has the anchor's class. With synthetic positives it is the mean over the own
    candidate and these, all of which are in the denominator (SupCon's outer sum).

    ``options.negatives: all`` does without labels: every image is a class of its own, and
    ``reweighting.tau_plus`` corrects for the false negatives.

    Without synthetic points it is the method ``infonce`` to the last bit.

    Extra memory: K points of length D and (B, B + K) scores for each direction, or (B, K) points
    where the anchors do not share them; K is at most ``max_pairs * n * diffusion.copies``. With the
    heads 1.4 MB at B = 64 and D = 128 by default, where CRD holds 122 MB.
    """

    title = "AECRD"
    source = "after Cheng 2022: a reconstruction; heads, temperature and weight as CRD"
    needs = frozenset({"embedding"})
    weights = Weights(method=0.8)
    couples_batch = True
    section = "aecrd"

    class Options(FrozenModel):
        """Hyperparameters of AECRD, all of them a reconstruction."""

        dim: int = Field(default=128, ge=2)
        """Dimension of the space in which embeddings are compared."""
        head: HeadKind = "projection"
        """Linear maps of both embeddings; perceptrons with one hidden layer; or a linear map of
        the student's embedding into the teacher's own space, whose dimension then counts."""
        temperature: float = Field(default=0.07, gt=0)
        """Divides the cosine similarities."""
        negatives: Literal["other-class", "all"] = "other-class"
        """Whether labels are used, or every image is a class of its own."""
        directions: Literal["both", "student"] = "both"
        """Student anchors against teacher candidates alone, or the reverse as well."""
        synthetic: SyntheticOptions = SyntheticOptions()
        """Number and role of the synthetic points."""
        pairs: PairOptions = PairOptions()
        """What they are made between."""
        curve: CurveOptions = CurveOptions()
        """How."""
        diffusion: DiffusionOptions = DiffusionOptions()
        """Random copies of them."""
        filters: FilterOptions = FilterOptions()
        """Which of them are negatives of which anchor."""
        selection: SelectionOptions = SelectionOptions()
        """Which negatives count."""
        reweighting: ReweightingOptions = ReweightingOptions()
        """How much."""

        @model_validator(mode="after")
        def _fits_together(self) -> AECRD.Options:
            for is_wrong, why in _contradictions(self):
                if is_wrong:
                    raise ValueError(why)
            return self

    def __init__(self, options: Options, context: Context) -> None:
        super().__init__(options, context)
        sizes = context.student.embedding_dim, context.teacher.embedding_dim
        self.student_head, self.teacher_head = new_heads(options.head, *sizes, options.dim)
        self.seed, self.epochs = context.seed, context.epochs
        dim = sizes[1] if options.head == "teacher-space" else options.dim
        self.centroids = nn.ModuleDict()
        if options.pairs.policy in WITH_CENTROIDS:
            classes, momentum = int(context.labels.max()) + 1, options.pairs.centroid_momentum
            for side in ("student_anchor", "teacher_anchor"):
                self.centroids[side] = RunningCentroids(classes, dim, momentum)
        self.readout: LinearReadout | None = None
        if options.filters.classifier != "none":
            self.readout = LinearReadout(sizes[1], context.teacher.num_classes)

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the terms ``student_anchor`` and, for both directions, ``teacher_anchor``."""
        with torch.autocast(batch.labels.device.type, enabled=False):
            ours, theirs = (upcast(each.embedding) for each in (student, teacher))
            if self.readout is not None:
                self.readout.observe(theirs, teacher.logits)
            lengths = theirs.norm(dim=1)
            students, teachers = self.student_head(ours), self.teacher_head(theirs)
            sides = {"student_anchor": (students, teachers)}
            if self.options.directions == "both":
                sides["teacher_anchor"] = (teachers, students)
            return {
                name: self._contrast(name, Side(*pair, self._identity(batch)), batch, lengths)
                for name, pair in sides.items()
            }

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

    def _contrast(self, name: str, side: Side, batch: Batch, lengths: Tensor) -> Tensor:
        """Return the loss of one direction, given the lengths (B,) of the teacher's embeddings."""
        options, weight = self.options, self.synthetic_weight(batch.epoch)
        made = self._synthesise(name, side, batch) if weight else no_points(side)
        real = side.anchors @ side.candidates.T
        synthetic = similarities(side.anchors, made.points)
        is_real = ~side.same_class
        is_allowed, log_share = self._filter(side, made, batch.labels, lengths)
        if options.synthetic.role == "positives":
            is_allowed = torch.zeros_like(is_allowed)
        with torch.no_grad():
            hardness = real.detach(), synthetic.detach()
            negatives = select(*hardness, is_real, is_allowed, options.selection)
        if name == "student_anchor" and batch.step % _DIAGNOSE_EVERY == 0:
            found = Contrasted(*hardness, is_real, is_allowed, *negatives)
            self.diagnostics = diagnose(side, made, found, batch.labels, options.selection.top_k)
        if weight:
            log_share = log_share + math.log(weight)
        log_counts = torch.cat((torch.zeros_like(real), log_share.to(real)), dim=1)
        log_counts = log_counts.masked_fill(~torch.cat(negatives, dim=1), -torch.inf)
        scores = torch.cat((real, synthetic), dim=1) / options.temperature
        positives = None
        if weight and options.synthetic.role in ("positives", "both"):
            positives = made.valid & inherits(made.classes, side.identity)
        return self._loss(scores, log_counts, positives, weight)

    def _loss(
        self, scores: Tensor, log_counts: Tensor, positives: Tensor | None, weight: float
    ) -> Tensor:
        """Return the loss of scores (B, B + K) with the negatives' counts and positives (B, K)."""
        options = self.options.reweighting
        own = torch.arange(len(scores), device=scores.device)
        log_weights = torch.zeros_like(log_counts)
        if options.beta:
            log_weights = log_hardness_weights(scores, log_counts, options.beta)
        if options.tau_plus:
            lowest = -1 / self.options.temperature
            return corrected_info_nce(
                scores, log_counts, log_weights, own, options.tau_plus, lowest
            )
        is_own = torch.eye(*scores.shape, dtype=torch.bool, device=scores.device)
        log_counts = (log_counts + log_weights).masked_fill(is_own, 0)
        if positives is None:
            return weighted_info_nce(scores, log_counts, own)
        others = torch.zeros_like(is_own)
        others[:, len(scores) :] = positives
        counts = is_own.to(scores) + weight * others
        return weighted_info_nce(
            scores, log_counts.masked_fill(others, math.log(weight)), own, counts
        )

    def _synthesise(self, name: str, side: Side, batch: Batch) -> SyntheticPoints:
        """Make the synthetic points of one direction."""
        options = self.options
        if len(batch.labels) < 2 or not self._is_ready:
            return no_points(side)
        candidates = side.candidates
        if options.synthetic.detach:
            candidates = candidates.detach()
        side = replace(side, anchors=side.anchors.detach(), candidates=candidates)
        table = candidates
        if name in self.centroids:
            table = torch.cat((candidates, self.centroids[name](candidates, batch.labels)))
        device = candidates.device
        return make_points(
            side,
            table,
            options.synthetic.n,
            (options.pairs, options.curve, options.diffusion),
            (batch.epoch + 1) / self.epochs,
            torch_generator(self.seed, f"aecrd-{name}", batch.step, device=device),
        )

    @torch.no_grad()
    def _filter(
        self, side: Side, made: SyntheticPoints, labels: Tensor, lengths: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return which synthetic points may be negatives, and the logarithms of their counts.

        Returns:
            (B, K) bool and float.
        """
        options = self.options.filters
        allowed = made.valid & differs_from(made.classes, side.identity)
        if options.collision:
            clear = stays_clear(side, made.points, made.table, made.namesakes, options.margin)
            allowed = allowed & clear
        log_share = torch.zeros(allowed.shape, device=allowed.device)
        if self.readout is not None:
            length = lengths[made.parents % len(lengths)].mean(dim=-1, keepdim=True)
            logits = self.readout(made.points * length)
            share, is_likeliest = class_probability(logits, labels)
            if options.classifier == "soft":
                return allowed, torch.log1p(-share)
            allowed = allowed & ~is_likeliest & (share <= options.threshold)
        return allowed, log_share

    def _identity(self, batch: Batch) -> Tensor:
        """Return the classes that are told apart: every image's own one without labels."""
        if self.options.negatives == "other-class":
            return batch.labels
        return torch.arange(len(batch.labels), device=batch.labels.device)

    @property
    def _is_ready(self) -> bool:
        """Whether the filters are; the teacher's classifier is known after some steps only."""
        return self.readout is None or self.readout.is_known


def _contradictions(options: AECRD.Options) -> Iterator[tuple[bool, str]]:
    """Yield what the options must not be together, and why not."""
    role, policy, curve = options.synthetic.role, options.pairs.policy, options.curve
    is_bent = curve.interpolation in WITH_TANGENTS
    is_spline = curve.tangents in ("cardinal", "kochanek-bartels")
    uses_labels = {
        f"pairs.policy '{policy}'": policy in NEED_CLASSES,
        f"synthetic.role '{role}'": role in ("positives", "both"),
        "curve.tangents 'centroid'": is_bent and curve.tangents == "centroid",
        f"curve.neighbours '{curve.neighbours}'": is_bent
        and is_spline
        and curve.neighbours != "nearest",
        "diffusion.schedule 'class-spread'": options.diffusion.kind != "none"
        and options.diffusion.schedule == "class-spread",
        "filters.collision": options.filters.collision,
        "filters.classifier": options.filters.classifier != "none",
    }
    for name, is_used in uses_labels.items():
        yield (
            is_used and options.negatives == "all",
            f"{name} uses labels, which negatives 'all' does without; take 'other-class'",
        )
    yield (
        options.reweighting.tau_plus > 0 and options.negatives != "all",
        "reweighting.tau_plus corrects for unlabelled negatives: it needs negatives 'all'",
    )
    yield (
        options.filters.classifier != "none" and options.head != "teacher-space",
        "filters.classifier needs head 'teacher-space': no other points can be classified",
    )
    yield (
        options.diffusion.kind != "none" and not curve.reproject,
        f"diffusion.kind '{options.diffusion.kind}' needs curve.reproject true",
    )
    yield (
        policy == "single" and options.diffusion.kind == "none",
        "pairs.policy 'single' makes nothing new without diffusion: set diffusion.kind",
    )
    yield (
        role in ("positives", "both") and policy not in _MAKE_POSITIVES,
        f"synthetic.role '{role}' needs pairs.policy {', '.join(sorted(_MAKE_POSITIVES))}; "
        f"'{policy}' makes no points of one class",
    )
