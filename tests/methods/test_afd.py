"""AFD: which layers it reads, how it weighs them, and the blocks that the networks hand out."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from feature_probes import (
    BATCH,
    context_of,
    draw_outputs,
    labelled,
    network,
    networks,
    peak_megabytes,
    quick,
    reordered,
    safe_step,
    value_of,
)
from hypothesis import given
from hypothesis import strategies as st

from distillery.core.errors import UserError
from distillery.methods.afd import AFD
from distillery.methods.parts.attention import LayerAttention, thinned
from distillery.models.base import ModelSpec, Outputs
from distillery.models.registry import build, names
from distillery.models.spec import describe


def afd(student: ModelSpec, teacher: ModelSpec, **options: object) -> AFD:
    return AFD(AFD.Options(**options), context_of(student, teacher))


def spec(arch: str, size: int = 32) -> ModelSpec:
    return describe(arch, 100, 3, size)


@pytest.mark.parametrize(
    ("arch", "layers"),
    [
        ("resnet20", 9),
        ("resnet56", 27),
        ("resnet110", 54),
        ("wrn_16_2", 6),
        ("wrn_40_2", 18),
        ("ResNet50", 16),
        ("vgg8", 5),
        ("vgg13", 10),
        ("MobileNetV2", 17),
        ("ShuffleV1", 16),
        ("ShuffleV2", 16),
    ],
)
def test_numbers_of_blocks(arch: str, layers: int) -> None:
    assert len(spec(arch).block_shapes) == layers


@pytest.mark.parametrize("arch", names())
def test_blocks_are_what_the_description_says_and_change_nothing(arch: str) -> None:
    torch.manual_seed(0)
    model, images = build(arch, num_classes=100).eval(), torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        plain, asked = model(images), model(images, features=True, blocks=True)
    assert plain.blocks == ()
    assert torch.equal(plain.logits, asked.logits)
    shapes = tuple(tuple(block.shape[1:]) for block in asked.blocks)
    assert shapes == spec(arch, 8).block_shapes
    if not arch.startswith("wrn"):
        # Each stage ends with a block: the same tensor, not a copy.
        assert {id(feature) for feature in asked.features[1:]} <= {id(b) for b in asked.blocks}
    if arch != "MobileNetV2":
        assert all((block >= 0).all() for block in asked.blocks)


def test_blocks_of_wide_networks_are_rectified_sums() -> None:
    model, images = build("wrn_16_2", num_classes=5).train(), torch.randn(4, 3, 8, 8)
    outputs = model(images, features=True, preactivations=True, blocks=True)
    stage_ends = outputs.blocks[1::2]
    for block, preactivation in zip(stage_ends, outputs.preactivations[1:], strict=True):
        assert torch.allclose(block, preactivation.relu(), atol=1e-6)
    assert torch.allclose(outputs.blocks[-1].mean((2, 3)), outputs.embedding, atol=1e-6)


def test_blocks_cost_no_memory_and_no_second_statistics() -> None:
    torch.manual_seed(0)
    model, images = build("wrn_16_1", num_classes=5).train(), torch.randn(4, 3, 8, 8)
    model(images, blocks=True)
    assert int(model.bn1.num_batches_tracked) == 1


def test_deep_networks_are_thinned_from_the_end() -> None:
    assert thinned(range(54), 27) == range(1, 54, 2)
    assert thinned(range(27), 27) == range(27)
    assert list(thinned(range(10), 3)) == [1, 5, 9]
    for count in range(1, 60):
        for limit in (1, 2, 9, 27):
            kept = list(thinned(range(count), limit))
            assert kept[-1] == count - 1
            assert len(kept) <= limit


def test_weighs_distances_by_the_attention_over_student_layers() -> None:
    torch.manual_seed(0)
    student, teacher = network(((3, 4, 4),)), network(((2, 2, 2), (4, 2, 2)))
    method = afd(student, teacher, dim=8).double().eval()
    ours, theirs = (draw_outputs(s, dtype=torch.float64).blocks for s in (student, teacher))
    expected = torch.zeros(4, dtype=torch.float64)
    layer = method.attention
    for t, target in enumerate(theirs):
        query = layer.queries[t](target.mean((2, 3)))
        scores, distances = [], []
        for s, block in enumerate(ours):
            key = layer.bilinear(layer.keys[s](block.mean((2, 3))).relu())[:, 8 * t : 8 * t + 8]
            position = layer.query_position[t] @ layer.key_position[s]
            scores.append(((query * key).sum(1) + position) / math.sqrt(8))
            energy = torch.nn.functional.avg_pool2d(block.square().mean(1), 2).flatten(1)
            wanted = target.square().mean(1).flatten(1)
            difference = energy / energy.norm(dim=1, keepdim=True)
            difference = difference - wanted / wanted.norm(dim=1, keepdim=True)
            distances.append(difference.square().mean(1))
        shares = torch.stack(scores).softmax(0)
        expected[t] = (shares * torch.stack(distances)).sum(0).mean()
    assert torch.allclose(method.layer_losses(ours, theirs)[0], expected)


def test_is_zero_where_all_layers_look_at_the_same_places() -> None:
    shapes = network(((3, 4, 4), (3, 4, 4)))
    block = torch.rand(4, 3, 4, 4, dtype=torch.float64)
    method = afd(shapes, shapes).double()
    blocks = draw_outputs(shapes)._replace(blocks=tuple(block * scale for scale in (1, 2, 3, 4)))
    assert value_of(method, blocks, blocks, labelled(4)).item() == pytest.approx(0, abs=1e-15)


@quick
@given(st.data(), st.sampled_from([torch.float16, torch.bfloat16, torch.float32]))
def test_is_finite_and_does_not_depend_on_the_order(
    data: st.DataObject, dtype: torch.dtype
) -> None:
    student_spec, teacher_spec = data.draw(networks()), data.draw(networks())
    method = afd(student_spec, teacher_spec, dim=4)
    seed, scale = data.draw(st.integers(0, 10**6)), data.draw(st.sampled_from([0.0, 1.0, 1e3]))
    student = draw_outputs(student_spec, seed=seed, scale=scale, dtype=dtype)
    teacher = draw_outputs(teacher_spec, seed=seed + 1, scale=scale, dtype=dtype)
    value = safe_step(method, student, teacher, labelled(4))
    order = torch.randperm(4)
    shuffled = value_of(method, reordered(student, order), reordered(teacher, order), labelled(4))
    assert shuffled.item() == pytest.approx(value, rel=1e-3, abs=1e-9)


def test_swapped_networks_do_not_pass() -> None:
    student, teacher = network(((3, 4, 4),)), network(((5, 4, 4),))
    with pytest.raises(RuntimeError):
        afd(student, teacher)(draw_outputs(teacher), draw_outputs(student), labelled(4))


def test_no_layer_is_dropped_silently() -> None:
    one, two = network(((3, 4, 4),)), network(((3, 4, 4), (4, 2, 2)))
    with pytest.raises(ValueError, match="zip"):
        afd(one, one)(draw_outputs(two), draw_outputs(one), labelled(4))
    with pytest.raises(ValueError, match="zip"):
        afd(one, one)(draw_outputs(one), draw_outputs(two), labelled(4))


def test_refuses_networks_without_blocks_in_one_line() -> None:
    AFD.check(AFD.Options(), spec("MobileNetV2"), spec("vgg13"))
    with pytest.raises(UserError) as error:
        AFD.check(AFD.Options(), replace(spec("vgg8"), block_shapes=()), spec("vgg13"))
    message = str(error.value)
    assert "\n" not in message
    assert all(word in message for word in ["afd", "vgg8", "vgg13", "64x32x32"])


def tapped(method: AFD, outputs: Outputs) -> Outputs:
    """Return outputs of whose blocks the method has read what it needs."""
    parts = [part for block in outputs.blocks for part in method.block_hook(block)]
    return outputs._replace(blocks=tuple(parts))


def test_reads_blocks_while_the_network_runs_or_afterwards() -> None:
    student, teacher = network(((3, 4, 4), (4, 2, 2))), network(((2, 4, 4),))
    method = afd(student, teacher, dim=8).double().eval()
    ours, theirs = (draw_outputs(s, dtype=torch.float64) for s in (student, teacher))
    later = value_of(method, ours, theirs, labelled(4))
    at_once = value_of(method, tapped(method, ours), tapped(method, theirs), labelled(4))
    gradients = [torch.autograd.grad(value, ours.blocks) for value in (later, at_once)]
    assert later.item() == at_once.item()
    assert all(torch.equal(*both) for both in zip(*gradients, strict=True))
    energy = method.block_hook(theirs.blocks[0])[1]
    assert torch.allclose(energy, theirs.blocks[0].square().mean(1))


def unfolded(layer: LayerAttention, queries: list[torch.Tensor], keys: list[torch.Tensor]):  # type: ignore[no-untyped-def]
    """Score layers by making every vector of every key."""
    asked = torch.stack([part(q) for part, q in zip(layer.queries, queries, strict=True)], 1)
    offered = torch.stack([part(k).relu() for part, k in zip(layer.keys, keys, strict=True)], 1)
    vectors = layer.bilinear(offered.flatten(0, 1)).view(len(asked), len(keys), *asked.shape[1:])
    content = torch.einsum("bqd,bkqd->bqk", asked, vectors)
    return (content + layer.query_position @ layer.key_position.T) / math.sqrt(asked.shape[2])


@pytest.mark.parametrize("training", [True, False])
def test_folding_the_normalisation_changes_nothing(training: bool) -> None:
    torch.manual_seed(0)
    plain, folded = (LayerAttention([2, 3], [4, 5, 6], 8).double() for _ in "ab")
    torch.nn.init.normal_(folded.bilinear[1].weight)
    torch.nn.init.normal_(folded.bilinear[1].bias)
    plain.load_state_dict(folded.state_dict())
    for _ in range(2):  # the second time with running statistics that the first has changed
        queries, keys = ([torch.randn(7, c).double() for c in each] for each in ((2, 3), (4, 5, 6)))
        upstream = torch.randn(7, 2, 3).double()
        found = [layer.train(training) for layer in (folded, plain)]
        scores = [found[0](queries, keys), unfolded(found[1], queries, keys)]
        assert torch.allclose(*scores)
        for score in scores:
            (score * upstream).sum().backward()
        for name, parameter in folded.named_parameters():
            expected = plain.get_parameter(name).grad
            assert torch.allclose(parameter.grad, expected, atol=1e-9), name
        for name, buffer in folded.named_buffers():
            assert torch.allclose(buffer, plain.get_buffer(name)), name


def test_logs_the_attention_and_its_entropy() -> None:
    student, teacher = network(((3, 4, 4), (4, 2, 2))), network(((2, 4, 4),))
    method = afd(student, teacher, dim=8)
    ours, theirs = draw_outputs(student), draw_outputs(teacher)
    logged = method.losses(ours, theirs, labelled(4)).diagnostics
    assert logged["attention"].shape == (2, 4)
    assert torch.allclose(logged["attention"].sum(1), torch.ones(2))
    assert not any(value.requires_grad for value in logged.values())
    with torch.no_grad():
        method.attention.bilinear[1].weight.zero_()
        method.attention.bilinear[1].bias.zero_()
        method.attention.query_position.zero_()
    logged = method.losses(ours, theirs, labelled(4)).diagnostics
    assert torch.allclose(logged["attention"], torch.full((2, 4), 0.25))
    assert logged["attention_entropy"].item() == pytest.approx(math.log(4))
    assert torch.allclose(logged["attention_entropy_of_layers"], torch.full((2,), math.log(4)))


def test_takes_the_memory_it_says() -> None:
    student, teacher = spec("resnet20"), spec("resnet56")
    method = afd(student, teacher)
    ours, theirs = (tapped(method, draw_outputs(each, BATCH)) for each in (student, teacher))
    ours, theirs = (
        each._replace(blocks=tuple(part.detach().requires_grad_() for part in each.blocks))
        for each in (ours, theirs)
    )
    measured = peak_megabytes(lambda: value_of(method, ours, theirs, labelled(BATCH)))
    assert measured == pytest.approx(20, rel=0.05)  # as its docstring says
