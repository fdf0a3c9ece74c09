"""The options of AECRD, all of them a reconstruction, and what contradicts each other in them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from distillery.core.conditions import NotWith, OnlyWith
from distillery.core.settings import FrozenModel

Role = Literal["negatives", "positives", "both", "none"]
Policy = Literal[
    "same-class",
    "random",
    "hard-hard",
    "anchor-negative",
    "nearest-other-class",
    "centroid",
    "centroid-pair",
    "single",
]
Interpolation = Literal["linear", "slerp", "hermite", "bezier", "mixup", "extrapolation"]
Tangents = Literal[
    "zero", "geodesic", "cardinal", "kochanek-bartels", "random", "anchor", "centroid"
]
Neighbours = Literal["nearest", "same-class", "centroid"]
HeadKind = Literal["projection", "mlp", "teacher-space"]

WITH_CENTROIDS: frozenset[Policy] = frozenset({"centroid", "centroid-pair"})
"""Policies whose table of points has the centroids as well."""
WITH_TANGENTS: frozenset[Interpolation] = frozenset({"hermite", "bezier"})
"""Interpolations that read the tangents."""

# Where options have an effect: where there are synthetic points, where anything is made of them,
# and by the kind of curve.
_MADE = NotWith("synthetic.n", 0)
_USED = NotWith("synthetic.role", "none")
_BENT = OnlyWith("curve.interpolation", "hermite", "bezier")
_SPLINE = OnlyWith("curve.tangents", "cardinal", "kochanek-bartels")

# Policies that mean nothing where every image is a class of its own.
_NEED_CLASSES: frozenset[Policy] = WITH_CENTROIDS | {"same-class", "nearest-other-class"}
# Policies whose points can be of one class alone, and so be positives.
_MAKE_POSITIVES: frozenset[Policy] = frozenset({"same-class", "random", "centroid", "single"})


class SyntheticOptions(FrozenModel):
    """How many synthetic points there are, and what they are for."""

    n: int = Field(default=2, ge=0)
    """Points on the curve of each pair."""
    role: Annotated[Role, _MADE] = "negatives"
    """What they are to anchors: negatives of those of other classes, further positives of those of
    their own, both, or nothing."""
    weight: Annotated[float, _MADE, _USED] = Field(default=1.0, ge=0)
    """How many real points a synthetic one counts for."""
    detach: Annotated[bool, _MADE, _USED] = False
    """Whether no gradient flows through them to the points that they are made of."""
    warmup_epochs: Annotated[int, _MADE, _USED] = Field(default=0, ge=0)
    """Epochs at the beginning without any."""
    ramp_epochs: Annotated[int, _MADE, _USED] = Field(default=0, ge=0)
    """Epochs after these over which the weight grows linearly to its value."""


class PairOptions(FrozenModel):
    """Between which points synthetic ones are made."""

    policy: Policy = "same-class"
    """Two of a class; any two; two of the anchor's hardest negatives; the anchor's own candidate
    and a hard negative; a point and its nearest of another class; a point and the centroid of its
    class; the centroids of two classes; or a point alone, for diffusion around it."""
    max_pairs: int = Field(default=256, ge=1)
    """Most pairs of a batch, or of an anchor with policies that look at it; others are left out at
    random."""


class CurveOptions(FrozenModel):
    """The curve from one point of a pair to the other."""

    interpolation: Interpolation = "hermite"
    """Straight line; great circle; cubic; quadratic; random positions on the line; or positions
    beyond the second end, by up to half of the distance."""
    tangents: Annotated[Tangents, _BENT] = "cardinal"
    """End velocities of `hermite`; `bezier` has its control point where they point to. None; along
    the great circle; of the splines through neighbours; random; towards the anchor; or away from
    the centre of each end's class."""
    scale: Annotated[
        float, _BENT, OnlyWith("curve.tangents", "geodesic", "random", "anchor", "centroid")
    ] = Field(default=1.0, gt=0)
    """Length of the velocities `geodesic`, `random`, `anchor` and `centroid`, in units of the angle
    between the ends."""
    tension: Annotated[float, _BENT, _SPLINE] = Field(default=0.0, ge=-1, le=1)
    """Of the splines: 0 for Catmull-Rom, 1 for no velocity."""
    bias: Annotated[float, _BENT, OnlyWith("curve.tangents", "kochanek-bartels")] = Field(
        default=0.0, ge=-1, le=1
    )
    """Of `kochanek-bartels`: towards the following (-1) or the preceding chord (1)."""
    neighbours: Annotated[Neighbours, _BENT, _SPLINE] = "nearest"
    """What comes before and after the pair in a spline: the nearest other point of the batch, the
    nearest of the end's class, or the mean of its class. An end without any is its own."""
    reproject: bool = True
    """Whether points are projected back to the sphere."""

    @property
    def is_bent(self) -> bool:
        """Whether tangents are read at all."""
        return self.interpolation in WITH_TANGENTS

    @property
    def is_spline(self) -> bool:
        """Whether neighbours are read."""
        return self.is_bent and self.tangents in ("cardinal", "kochanek-bartels")

    @property
    def is_directed(self) -> bool:
        """Whether the curve from p0 to p1 differs from that from p1 to p0."""
        leans = self.is_bent and self.tangents == "kochanek-bartels" and self.bias != 0
        return leans or self.interpolation == "extrapolation"

    @property
    def follows_anchor(self) -> bool:
        """Whether each anchor has curves of its own between the same points."""
        return self.is_bent and self.tangents == "anchor"


class DiffusionOptions(FrozenModel):
    """Random copies of the synthetic points."""

    kind: Literal["none", "gaussian", "cap", "vmf", "random-walk"] = "none"
    """Normal noise; a spherical cap; von Mises-Fisher; or steps in random directions."""
    radius: Annotated[float, NotWith("diffusion.kind", "none")] = Field(
        default=0.2, gt=0, le=math.pi / 2
    )
    """Angle in radians: about that moved by `gaussian` and `random-walk`, that of the mean cosine
    of `vmf`, the rim of `cap`."""
    copies: Annotated[int, NotWith("diffusion.kind", "none")] = Field(default=1, ge=1)
    """Points instead of each."""


class FilterOptions(FrozenModel):
    """Filters beside that by labels, which is always on where labels are used."""

    collision: bool = False
    """Whether points are dropped that come nearer to the anchor's class than to their parents."""
    classifier: Literal["none", "drop", "soft"] = "none"
    """What the teacher's classifier has to say: nothing; points that it takes for the anchor's
    class, or gives a probability of it above 0.1, are dropped; or points count by one minus this
    probability. Needs `head: teacher-space`."""


class SelectionOptions(FrozenModel):
    """Which negatives count."""

    top_k: Annotated[Annotated[int, Field(ge=1)] | Literal["all"], _MADE] = "all"
    """Synthetic negatives count if they are among so many hardest, real ones included; real ones
    always count."""
    skip_easy: Annotated[bool, _MADE] = False
    """Whether synthetic negatives easier than the anchor's median real one are left out."""
    hardest_only: bool = False
    """Whether the single hardest negative counts alone, real or synthetic (Embedding Expansion)."""


class ReweightingOptions(FrozenModel):
    """Weights of the negatives by their hardness (Robinson et al. 2021, arXiv:2010.04592)."""

    beta: float = Field(default=0.0, ge=0)
    """Negatives are weighted by `exp(beta * score)` over its mean, scores being cosines divided by
    the temperature; 0 for equal weights."""


class AECRDOptions(FrozenModel):
    """The options, by what they are about."""

    dim: Annotated[int, NotWith("head", "teacher-space")] = Field(default=128, ge=2)
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
    pairs: Annotated[PairOptions, _MADE, _USED] = PairOptions()
    """What they are made between."""
    curve: Annotated[CurveOptions, _MADE, _USED, NotWith("pairs.policy", "single")] = CurveOptions()
    """How."""
    diffusion: Annotated[DiffusionOptions, _MADE, _USED] = DiffusionOptions()
    """Random copies of them."""
    filters: Annotated[FilterOptions, _MADE, _USED] = FilterOptions()
    """Which of them are negatives of which anchor."""
    selection: SelectionOptions = SelectionOptions()
    """Which negatives count."""
    reweighting: ReweightingOptions = ReweightingOptions()
    """How much."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for is_wrong, why in _contradictions(self):
            if is_wrong:
                raise ValueError(why)
        return self


def _contradictions(options: AECRDOptions) -> Iterator[tuple[bool, str]]:
    """Yield what the options must not be together, and why not."""
    role, policy, curve = options.synthetic.role, options.pairs.policy, options.curve
    is_positive, is_diffused = role in ("positives", "both"), options.diffusion.kind != "none"
    uses_labels = {
        f"pairs.policy '{policy}'": policy in _NEED_CLASSES,
        f"synthetic.role '{role}'": is_positive,
        "curve.tangents 'centroid'": curve.is_bent and curve.tangents == "centroid",
        f"curve.neighbours '{curve.neighbours}'": curve.is_spline and curve.neighbours != "nearest",
        "filters.collision": options.filters.collision,
        "filters.classifier": options.filters.classifier != "none",
    }
    for name, is_used in uses_labels.items():
        yield (
            is_used and options.negatives == "all",
            f"{name} uses labels, which negatives 'all' does without; take 'other-class'",
        )
    yield (
        options.filters.classifier != "none" and options.head != "teacher-space",
        "filters.classifier needs head 'teacher-space': no other points can be classified",
    )
    yield (
        is_diffused and not curve.reproject,
        f"diffusion.kind '{options.diffusion.kind}' needs curve.reproject true",
    )
    yield (
        policy == "single" and not is_diffused,
        "pairs.policy 'single' makes nothing new without diffusion: set diffusion.kind",
    )
    yield (
        is_positive and policy not in _MAKE_POSITIVES,
        f"synthetic.role '{role}' needs pairs.policy {', '.join(sorted(_MAKE_POSITIVES))}; "
        f"'{policy}' makes no points of one class",
    )
