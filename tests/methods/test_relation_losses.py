"""Losses against slow explicit loops, at their edges, and the memory that they take."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from feature_probes import context_of, draw_outputs, labelled, network, peak_megabytes, quick
from helpers import batch_of, context, outputs
from hypothesis import given
from hypothesis import strategies as st
from relation_methods import build, frozen, loss_of
from torch import Tensor

from distillery.methods.at import attention_loss
from distillery.methods.cc import kernel_matrix, neighbour_correlation
from distillery.methods.dist import correlation_distance
from distillery.methods.dkd import DKD, dkd_losses
from distillery.methods.fsp import flow_matrix
from distillery.methods.ft import FactorTransfer
from distillery.methods.kdsvd import Solver, align, leading
from distillery.methods.lskd import standardise
from distillery.methods.nst import selectivity_loss
from distillery.methods.parts.similarity import squared_distances
from distillery.methods.rkd import RKD, cosines, relative_distances
from distillery.methods.vid import GaussianChannel

double = torch.float64


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = double) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


# RKD


@quick
@given(rows=st.integers(2, 6), dim=st.integers(1, 8), seed=st.integers(0, 99))
def test_rkd_relations_equal_loops(rows: int, dim: int, seed: int) -> None:
    points = normal(rows, dim, seed=seed)
    squared = squared_distances(points)
    distances, angles = relative_distances(squared), cosines(squared)
    pairs = itertools.permutations(range(rows), 2)
    mean = sum((points[i] - points[j]).norm() for i, j in pairs) / (rows * (rows - 1))
    for i, j, k in itertools.product(range(rows), repeat=3):
        one, other = points[j] - points[i], points[k] - points[i]
        torch.testing.assert_close(distances[i, j], one.norm() / mean)
        expected = F.normalize(one, dim=0) @ F.normalize(other, dim=0)
        torch.testing.assert_close(angles[i, j, k], expected, rtol=1e-6, atol=1e-6)


def test_rkd_of_single_precision_survives_a_common_offset() -> None:
    # Embeddings a thousand times further from the origin than from each other.
    points = normal(16, 32) + 1000
    student = points.float().requires_grad_()
    teacher = normal(16, 24, seed=1)
    method = RKD(RKD.Options(), context())
    batch = batch_of(16)
    single = method(outputs(embedding=student), outputs(embedding=teacher.float()), batch)
    exact = method(outputs(embedding=student.double()), outputs(embedding=teacher), batch)
    for name in exact:
        torch.testing.assert_close(single[name].double(), exact[name], rtol=1e-4, atol=0)


def test_rkd_of_repeated_samples_has_a_finite_gradient() -> None:
    points = normal(5, 7, dtype=torch.float32)
    student = torch.cat([points, points]).requires_grad_()
    method = RKD(RKD.Options(), context())
    teacher = outputs(embedding=normal(10, 7, seed=1, dtype=torch.float32))
    terms = method(outputs(embedding=student), teacher, batch_of(10))
    (terms["distance"] + terms["angle"]).backward()
    assert student.grad is not None
    assert student.grad.isfinite().all()
    assert student.grad.abs().max() < 100


def test_rkd_memory_does_not_grow_with_the_dimension() -> None:
    def run() -> Tensor:
        terms = RKD(RKD.Options(), context())(outputs(embedding=student), teacher, batch_of(64))
        return terms["distance"] + terms["angle"]

    # One (B, B, D) array would take 33 MB.
    student = normal(64, 2048, dtype=torch.float32).requires_grad_()
    teacher = outputs(embedding=normal(64, 2048, seed=1, dtype=torch.float32))
    cube = 64**3 * 4 / 1e6
    # Beside the cubes: centred embeddings in single and double precision, and their gradients.
    assert peak_megabytes(run) < 6.5 * cube + 7


# NST


def explicit_selectivity(student: Tensor, teacher: Tensor) -> Tensor:
    ours, theirs = (F.normalize(maps.flatten(2), dim=2) for maps in (student, teacher))

    def mean_kernel(one: Tensor, other: Tensor) -> Tensor:
        return (one[:, :, None] * other[:, None]).sum(dim=3).square().mean()

    return mean_kernel(ours, ours) + mean_kernel(theirs, theirs) - 2 * mean_kernel(ours, theirs)


@pytest.mark.parametrize("size", [2, 6], ids=["by places", "by channels"])
@pytest.mark.parametrize("dtype", [double, torch.float32])
def test_nst_equals_the_explicit_kernel(size: int, dtype: torch.dtype) -> None:
    student = normal(3, 12, size, size, dtype=dtype).relu().requires_grad_()
    teacher = normal(3, 20, size, size, seed=1, dtype=dtype).relu()
    value, expected = selectivity_loss(student, teacher), explicit_selectivity(student, teacher)
    tolerance = 1e-10 if dtype == double else 2e-5
    torch.testing.assert_close(value, expected, rtol=tolerance, atol=0)
    ours, theirs = (torch.autograd.grad(v, student)[0] for v in (value, expected))
    torch.testing.assert_close(ours, theirs, rtol=100 * tolerance, atol=tolerance)


def test_nst_memory_at_documented_shape() -> None:
    # The largest stage of resnet32x4 -> resnet8x4, whose kernel array would take 1 GB at B = 64.
    batch, channels, size = 16, 128, 16
    student = normal(batch, channels, size, size, dtype=torch.float32).requires_grad_()
    teacher = normal(batch, channels, size, size, seed=1, dtype=torch.float32)
    gram = batch * channels**2 * 4 / 1e6
    maps = student.numel() * 4 / 1e6
    assert peak_megabytes(lambda: selectivity_loss(student, teacher)) < 9 * gram + 3 * maps


def test_nst_takes_the_smaller_gram_matrix() -> None:
    # 512 channels of 4 x 4 places: a Gram matrix over channels would take 8.4 MB.
    student = normal(8, 512, 4, 4, dtype=torch.float32).requires_grad_()
    teacher = normal(8, 512, 4, 4, seed=1, dtype=torch.float32)
    assert peak_megabytes(lambda: selectivity_loss(student, teacher)) < 2


# DKD, DIST, LSKD


@quick
@given(
    classes=st.integers(2, 9), seed=st.integers(0, 99), temperature=st.sampled_from([0.5, 1.0, 4.0])
)
def test_dkd_equals_probabilities(classes: int, seed: int, temperature: float) -> None:
    student, teacher = normal(4, classes, seed=seed), normal(4, classes, seed=seed + 1)
    labels = torch.arange(4) % classes
    target, others = dkd_losses(student, teacher, labels, temperature)
    expected_target = expected_others = 0.0
    for row, label in enumerate(labels.tolist()):
        p, q = (torch.softmax(z[row] / temperature, dim=0).tolist() for z in (student, teacher))
        rest = [c for c in range(classes) if c != label]
        expected_target += q[label] * math.log(q[label] / p[label])
        expected_target += (1 - q[label]) * math.log((1 - q[label]) / (1 - p[label]))
        for c in rest:
            r, s = q[c] / (1 - q[label]), p[c] / (1 - p[label])
            expected_others += r * math.log(r / s)
    scale = temperature**2 / 4
    assert target.item() == pytest.approx(scale * expected_target, rel=1e-9, abs=1e-9)
    assert others.item() == pytest.approx(scale * expected_others, rel=1e-9, abs=1e-9)


def test_dkd_of_a_certain_student_is_as_exact_as_double_precision() -> None:
    # The true class has a probability of 1 - 1e-13, which single precision rounds to 1.
    student, teacher = torch.tensor([[30.0, 0.0, 1.0]]), torch.tensor([[1.0, 0.5, 0.0]])
    single = dkd_losses(student, teacher, torch.tensor([0]), 1.0)
    exact = dkd_losses(student.double(), teacher.double(), torch.tensor([0]), 1.0)
    assert exact[0] > 10
    for one, other in zip(single, exact, strict=True):
        torch.testing.assert_close(one.double(), other, rtol=1e-5, atol=0)


@pytest.mark.parametrize(
    ("epoch", "length", "share"), [(0, 20, 0.05), (9, 20, 0.5), (19, 20, 1), (99, 20, 1), (0, 0, 1)]
)
def test_dkd_grows_over_the_first_epochs(epoch: int, length: int, share: float) -> None:
    student, teacher = outputs(logits=normal(4, 6)), outputs(logits=normal(4, 6, seed=1))
    batch = batch_of(4)
    later = type(batch)(batch.position, batch.labels, epoch=epoch, step=0)
    full = DKD(DKD.Options(warmup_epochs=0), context())(student, teacher, batch)
    warm = DKD(DKD.Options(warmup_epochs=length), context())(student, teacher, later)
    for name in full:
        torch.testing.assert_close(warm[name], share * full[name])


def test_dist_is_blind_to_scale_and_offset_of_predictions() -> None:
    points, other = normal(5, 7), normal(5, 7, seed=1)
    for dim in (0, 1):
        distance = correlation_distance(points, other, dim)
        torch.testing.assert_close(correlation_distance(3 * points - 2, other, dim), distance)
        assert 0 < distance < 2


@quick
@given(scale=st.floats(0.1, 100), offset=st.floats(-100, 100))
def test_lskd_is_blind_to_scale_and_offset_of_logits(scale: float, offset: float) -> None:
    method = build("lskd").double()
    student = draw_outputs(network(((2, 4, 4),)), 4, dtype=double)
    teacher = draw_outputs(network(((2, 4, 4),)), 4, seed=1, dtype=double)
    moved = teacher._replace(logits=scale * teacher.logits + offset)
    batch = labelled(4)
    loss, again = (loss_of(method, student, frozen(one), batch) for one in (teacher, moved))
    torch.testing.assert_close(again, loss, rtol=1e-5, atol=0)
    assert standardise(teacher.logits).std(dim=1).allclose(torch.ones(4, dtype=double))


# CC


@quick
@given(rows=st.integers(1, 6), dim=st.integers(1, 8), seed=st.integers(0, 99))
def test_cc_kernel_is_the_gaussian_of_unit_rows(rows: int, dim: int, seed: int) -> None:
    points = normal(rows, dim, seed=seed)
    units = F.normalize(points, dim=1)
    gaussian = torch.exp(-0.4 * torch.cdist(units, units).square())
    torch.testing.assert_close(kernel_matrix(points, 0.4, order=20), gaussian)
    cosine = units @ units.T
    second = math.exp(-0.8) * (1 + 0.8 * cosine + 0.32 * cosine**2)
    torch.testing.assert_close(kernel_matrix(points, 0.4, order=2), second)


def test_cc_multiplies_neighbours() -> None:
    students = torch.tensor([[1.0, 0.0], [3.0, -1.0], [0.0, 2.0]])
    loss = neighbour_correlation(students, torch.zeros_like(students))
    assert loss == (1 * 3 + 0 * 1 + 3 * 0 + 1 * 2) / 2
    assert neighbour_correlation(students[:1], students[1:2]) == 0


# VID


def test_vid_is_a_gaussian_likelihood_per_channel() -> None:
    channel = GaussianChannel(3, 4, init_variance=2.0, min_variance=1e-5).double()
    student, teacher = normal(2, 3, 4, 4), normal(2, 4, 4, 4, seed=1)
    mean = channel.regressor(student)
    normals = torch.distributions.Normal(mean, math.sqrt(2.0))
    expected = -normals.log_prob(teacher).mean() - 0.5 * math.log(2 * math.pi)
    torch.testing.assert_close(channel(student, teacher), expected, rtol=1e-6, atol=0)


def test_vid_is_least_where_variances_equal_the_error() -> None:
    channel = GaussianChannel(3, 3, init_variance=5.0, min_variance=1e-5).double()
    channel.regressor = torch.nn.Identity()
    student = normal(8, 3, 4, 4)
    deviations = torch.tensor([0.5, 1.0, 2.0], dtype=double)
    teacher = student + normal(8, 3, 4, 4, seed=1) * deviations[:, None, None]
    error = (teacher - student).square().mean(dim=(0, 2, 3))
    with torch.no_grad():
        channel.log_scale.copy_((error - 1e-5).expm1().log())
    least = channel(student, teacher)
    torch.testing.assert_close(least, 0.5 * (1 + error.log()).mean())
    least.backward()
    assert channel.log_scale.grad.abs().max() < 1e-12


# AT, FT, FSP, pooling


@pytest.mark.parametrize("power", [1, 2, 3, 4])
def test_at_is_blind_to_sign_and_scale(power: int) -> None:
    student, teacher = normal(3, 4, 6, 6), normal(3, 7, 6, 6, seed=1)
    loss = attention_loss(student, teacher, power)
    torch.testing.assert_close(attention_loss(-5 * student, teacher, power), loss)
    explicit = student.abs().pow(power).mean(dim=1).flatten(1)
    theirs = teacher.abs().pow(power).mean(dim=1).flatten(1)
    gap = explicit / explicit.norm(dim=1)[:, None] - theirs / theirs.norm(dim=1)[:, None]
    torch.testing.assert_close(loss, gap.square().sum() / (3 * 36))


def test_ft_compares_whole_factors_as_in_the_paper() -> None:
    shapes = network(((4, 4, 4),))
    options = FactorTransfer.Options(factor="whole", distance_power=2)
    method = FactorTransfer(options, context_of(shapes, shapes))
    student, teacher = normal(3, 2, 4, 4), normal(3, 2, 4, 4, seed=1)
    units = [F.normalize(factor.flatten(1), dim=1) for factor in (student, teacher)]
    torch.testing.assert_close(method.distance(student, teacher), F.mse_loss(*units))
    # The map has lost the channels: it does not see them exchanged.
    maps = FactorTransfer(FactorTransfer.Options(), context_of(shapes, shapes))
    assert maps.distance(student, student.flip(1)) < 1e-12
    assert method.distance(student, student.flip(1)) > 0.01


def test_fsp_matrix_is_a_mean_over_places() -> None:
    lower, upper = normal(2, 3, 4, 4), normal(2, 5, 2, 2, seed=1)
    pooled = F.avg_pool2d(lower, 2)
    expected = torch.einsum("bchw,bdhw->bcd", pooled, upper) / 4
    torch.testing.assert_close(flow_matrix(lower, upper), expected)


# KDSVD


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 5)])
def test_both_solvers_agree_up_to_signs(shape: tuple[int, int]) -> None:
    matrices = normal(3, *shape)
    gram, lapack = leading(matrices, 3, "gram"), leading(matrices, 3, "svd")
    torch.testing.assert_close(gram.values, lapack.values)
    cosine = (gram.vectors * lapack.vectors).sum(dim=1)
    torch.testing.assert_close(cosine.abs(), torch.ones_like(cosine))
    assert (gram.vectors.sum(dim=1) >= 0).all()


@pytest.mark.parametrize("solver", ["gram", "svd"])
@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 5)])
def test_gradient_of_singular_vectors(shape: tuple[int, int], solver: Solver) -> None:
    matrices = normal(2, *shape).requires_grad_()

    def projections(values: Tensor) -> Tensor:
        # Free of the arbitrary sign.
        return leading(values, 2, solver).vectors.square()

    assert torch.autograd.gradcheck(projections, matrices)


@pytest.mark.parametrize("solver", ["gram", "svd"])
def test_gradient_of_degenerate_matrices_is_finite(solver: Solver) -> None:
    for matrices in (torch.zeros(1, 4, 3), torch.eye(4)[None], torch.ones(1, 3, 5)):
        values = matrices.clone().requires_grad_()
        vectors = leading(values, 2, solver).vectors
        (vectors * normal(*vectors.shape, dtype=torch.float32)).sum().backward()
        assert vectors.isfinite().all()
        assert values.grad is not None
        assert values.grad.isfinite().all()


def test_kdsvd_matches_vectors_whatever_their_order_and_sign() -> None:
    teachers = leading(normal(2, 6, 5), 2, "gram").vectors
    students = torch.stack([teachers[:, :, 1], -teachers[:, :, 0]], dim=2)
    torch.testing.assert_close(align(students, teachers), teachers)
