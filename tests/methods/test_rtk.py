"""RTK: equal to AFD where it selects all layers, and what each option does elsewhere."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from feature_probes import (
    context_of,
    draw_outputs,
    labelled,
    network,
    networks,
    quick,
    safe_step,
    value_of,
)
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from distillery.core.errors import UserError
from distillery.methods.afd import AFD
from distillery.methods.rtk import RTK, annealed_count, layer_count, select_layers
from distillery.models.base import ModelSpec, Outputs
from distillery.models.registry import build
from distillery.models.spec import describe

STUDENT, TEACHER = network(((3, 4, 4),)), network(((2, 4, 4), (4, 2, 2)))
ORIENTED: list[dict[str, Any]] = [
    {"orientation": "teacher-query"},
    {"orientation": "student-query"},
    {"orientation": "student-query", "masking": "renormalise"},
]


def rtk(student: ModelSpec, teacher: ModelSpec, epochs: int = 1, **options: Any) -> RTK:
    return RTK(RTK.Options(**options), context_of(student, teacher, epochs=epochs))


def drawn(rows: int = 4) -> tuple[Outputs, Outputs]:
    return tuple(draw_outputs(s, rows, dtype=torch.float64) for s in (STUDENT, TEACHER))  # type: ignore[return-value]


def at_epoch(epoch: int) -> Any:
    return type("Moment", (), {"epoch": epoch, "labels": None})()


def train(kind: type[AFD], **options: Any) -> tuple[list[float], list[Tensor]]:
    """Take steps of SGD with real networks; return the losses and all parameters."""
    torch.manual_seed(0)
    student, teacher = build("resnet14", num_classes=4), build("wrn_16_1", num_classes=4).eval()
    specs = [describe(arch, 4, 3, 12) for arch in ("resnet14", "wrn_16_1")]
    method = kind(kind.Options(dim=16, **options), context_of(*specs))
    parameters = [*student.parameters(), *method.parameters()]
    optimiser = torch.optim.SGD(parameters, lr=0.05, momentum=0.9, weight_decay=5e-4)
    losses = []
    for _ in range(6):
        images = torch.randn(8, 3, 12, 12)
        with torch.no_grad():
            theirs = teacher(images, blocks=True)
        optimiser.zero_grad()
        value = 200 * value_of(method, student(images, blocks=True), theirs, labelled(8))
        value.backward()
        optimiser.step()
        losses.append(value.item())
    return losses, [*parameters, *method.buffers()]


@pytest.mark.parametrize("k", ["all", 6])
@pytest.mark.parametrize("scope", ["sample", "batch"])
def test_with_all_layers_it_is_afd_to_the_last_bit(k: Any, scope: str) -> None:
    losses, parameters = train(AFD)
    ours, own = train(RTK, k=k, pool="average", scope=scope)
    assert ours == losses
    assert all(torch.equal(*both) for both in zip(own, parameters, strict=True))


def test_with_fewer_layers_it_is_not_afd() -> None:
    assert train(RTK, k=5, pool="average")[0] != train(AFD)[0]
    assert train(RTK, k="all", pool="softpool")[0] != train(AFD)[0]


@quick
@given(
    scores=st.lists(st.lists(st.floats(-5, 5), min_size=3, max_size=3), min_size=4, max_size=4),
    count=st.integers(1, 4),
    reduce=st.sampled_from(["max", "mean", "logsumexp"]),
    scope=st.sampled_from(["sample", "batch"]),
    seed=st.integers(0, 1000),
)
def test_selects_the_layers_of_the_highest_relevance(
    scores: list[list[float]], count: int, reduce: Any, scope: Any, seed: int
) -> None:
    noise = torch.randn(5, 4, 3, generator=torch.Generator().manual_seed(seed)).double()
    drawn = torch.tensor(scores, dtype=torch.float64) + noise
    selected = select_layers(drawn, count, reduce, scope)
    by_hand = {
        "max": lambda row: max(row),
        "mean": lambda row: sum(row) / len(row),
        "logsumexp": lambda row: math.log(math.fsum(math.exp(value) for value in row)),
    }[reduce]
    relevance = [[by_hand(row) for row in sample] for sample in drawn.tolist()]
    for place, row in enumerate(relevance):
        if scope == "batch":
            row = [sum(column) / 5 for column in zip(*relevance, strict=True)]
        best = sorted(range(4), key=lambda layer: -row[layer])[:count]
        assert set(selected[place].nonzero()[:, 0].tolist()) == set(best)


@pytest.mark.parametrize(
    ("k", "layers", "expected"),
    [("all", 27, 27), (3, 27, 3), (0.5, 27, 14), (0.25, 27, 7), (0.1, 30, 3), (0.01, 5, 1)],
)
def test_numbers_of_layers(k: Any, layers: int, expected: int) -> None:
    assert layer_count(k, layers) == expected


@given(
    layers=st.integers(1, 60),
    count=st.integers(1, 60),
    progress=st.lists(st.floats(0, 1), min_size=2),
)
def test_annealing_falls_from_all_layers_to_k(
    layers: int, count: int, progress: list[float]
) -> None:
    count = min(count, layers)
    counts = [annealed_count(count, layers, moment) for moment in sorted(progress)]
    assert counts == sorted(counts, reverse=True)
    assert annealed_count(count, layers, 0) == layers
    assert annealed_count(count, layers, 1) == count


def test_anneals_over_its_share_of_the_epochs() -> None:
    ours, theirs = drawn()
    method = rtk(STUDENT, TEACHER, epochs=8, k=1, anneal=0.5, dim=4).double()
    kept = []
    for epoch in range(8):
        logged = method.losses(ours, theirs, at_epoch(epoch)).diagnostics
        kept.append(round(logged["selection_frequency"].sum().item()))
    assert kept == [4, 4, 3, 2, 1, 1, 1, 1]


@pytest.mark.parametrize("options", ORIENTED)
@pytest.mark.parametrize("scope", ["sample", "batch"])
def test_weighs_distances_as_a_plain_loop_does(options: dict[str, Any], scope: str) -> None:
    torch.manual_seed(0)
    method = rtk(STUDENT, TEACHER, k=2, scope=scope, pool="average", dim=8, **options)
    method = method.double().eval()
    ours, theirs = drawn()
    reference = AFD(AFD.Options(dim=8), context_of(STUDENT, TEACHER)).double().eval()
    layer = method.attention
    teacher_asks = options["orientation"] == "teacher-query"
    describe_ = [[block.mean((2, 3)) for block in outputs.blocks] for outputs in (ours, theirs)]
    scores = layer(*(describe_[::-1] if teacher_asks else describe_)).detach()
    scores = scores if teacher_asks else scores.mT
    selected = select_layers(scores, 2, "max", scope)  # type: ignore[arg-type]
    distances = torch.stack([_distances(ours, theirs, row) for row in range(4)])
    expected = 0.0
    for row in range(4):
        kept = selected[row].tolist()
        for t in range(4):
            for s in range(2):
                if not kept[t]:
                    continue
                if teacher_asks:
                    rivals = scores[row, t]
                elif options.get("masking") == "renormalise":
                    rivals = scores[row, selected[row], s]
                else:
                    rivals = scores[row, :, s]
                share = math.exp(scores[row, t, s]) / sum(map(math.exp, rivals.tolist()))
                expected += share * distances[row, t, s].item() / 4
    assert value_of(method, ours, theirs, labelled(4)).item() == pytest.approx(expected, rel=1e-9)
    assert reference.layer_losses(ours.blocks, theirs.blocks)[0].sum().item() != expected


def _distances(ours: Outputs, theirs: Outputs, row: int) -> Tensor:
    """Compare the maps of one sample, (T, S)."""
    found = torch.zeros(len(theirs.blocks), len(ours.blocks), dtype=torch.float64)
    for t, target in enumerate(theirs.blocks):
        wanted = target[row].detach().square().mean(0)
        for s, block in enumerate(ours.blocks):
            energy = block[row].detach().square().mean(0)
            energy = torch.nn.functional.adaptive_avg_pool2d(energy[None], wanted.shape)[0]
            difference = energy / energy.norm() - wanted / wanted.norm()
            found[t, s] = difference.square().mean()
    return found


@pytest.mark.parametrize("options", ORIENTED)
def test_layers_that_are_not_selected_get_no_weight(options: dict[str, Any]) -> None:
    ours, theirs = drawn()
    method = rtk(STUDENT, TEACHER, k=1, dim=8, **options).double()
    losses, logged = method.layer_losses(ours.blocks, theirs.blocks)
    selected = logged["selection_frequency"]
    assert sorted(selected.tolist()) == [0, 0, 0, 1]
    assert ((losses != 0) == (selected == 1)).all()
    attention = logged["attention"]
    assert (attention[selected == 0] == 0).all()
    if options.get("masking") == "renormalise":
        assert torch.allclose(attention.sum(0), torch.ones(2).double())
        assert logged["attention_entropy"].item() == pytest.approx(0)


def test_logs_frequency_entropy_and_attention() -> None:
    ours, theirs = drawn(rows=6)
    method = rtk(STUDENT, TEACHER, k=2, scope="sample", dim=8).double()
    logged = method.losses(ours, theirs, labelled(6)).diagnostics
    assert logged["selection_frequency"].sum().item() == pytest.approx(2)
    assert logged["attention"].sum().item() == pytest.approx(2)
    assert logged["attention_entropy_of_layers"].shape == (4,)
    assert 0 < logged["attention_entropy"].item() <= math.log(2)
    assert not any(value.requires_grad for value in logged.values())


@quick
@given(
    data=st.data(),
    dtype=st.sampled_from([torch.float16, torch.float32]),
    oriented=st.sampled_from(ORIENTED),
    pool=st.sampled_from(["average", "softpool"]),
    resize=st.sampled_from(["average", "softpool"]),
    k=st.sampled_from([1, 0.5, "all"]),
)
def test_is_finite(
    data: st.DataObject, dtype: torch.dtype, oriented: Any, pool: str, resize: str, k: Any
) -> None:
    student, teacher = data.draw(networks()), data.draw(networks())
    method = rtk(student, teacher, dim=4, pool=pool, resize=resize, k=k, **oriented)
    scale = data.draw(st.sampled_from([0.0, 1.0, 100.0]))
    ours = draw_outputs(student, scale=scale, dtype=dtype)
    theirs = draw_outputs(teacher, seed=1, scale=scale, dtype=dtype)
    assert safe_step(method, ours, theirs, labelled(4)) >= -1e-6


@pytest.mark.parametrize("pool", ["pool", "resize"])
def test_softpool_takes_the_place_of_averages(pool: str) -> None:
    ours, theirs = drawn()
    values = []
    for choice in ("average", "softpool"):
        torch.manual_seed(0)
        options = {"pool": "average", "resize": "average", pool: choice}
        method = rtk(STUDENT, TEACHER, k="all", dim=8, **options).double()
        values.append(value_of(method, ours, theirs, labelled(4)).item())
    assert values[0] != values[1]


@pytest.mark.parametrize("k", [0, 1.0, 1.5, 0.0, -1, "half"])
def test_refuses_counts_that_mean_nothing(k: Any) -> None:
    with pytest.raises(ValidationError):
        RTK.Options(k=k)


def test_a_whole_number_is_a_count_and_survives_being_written() -> None:
    for k in (1, 3, 0.5, "all"):
        options = RTK.Options(k=k)
        read = RTK.Options(**options.model_dump(mode="json"))
        assert (read.k, type(read.k)) == (k, type(k))


def test_refuses_what_does_not_fit_in_one_line() -> None:
    with pytest.raises(ValidationError, match="student-query"):
        RTK.Options(masking="renormalise")
    RTK.check(RTK.Options(k=4), STUDENT, TEACHER)
    with pytest.raises(UserError) as error:
        RTK.check(RTK.Options(k=5), STUDENT, TEACHER)
    message = str(error.value)
    assert "\n" not in message
    assert all(word in message for word in ["rtk", "options.k", "5", "4"])
    blind = network(((3, 4, 4),))
    with pytest.raises(UserError, match="rtk"):
        RTK.check(RTK.Options(), blind.__class__(**{**vars(blind), "block_shapes": ()}), TEACHER)
