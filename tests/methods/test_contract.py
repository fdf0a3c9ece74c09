"""What holds for every registered method and each of its options: a new one is tested by itself.

Networks are real descriptions at 8 x 8; the teacher is wider than the student where a method can
join the two.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import pytest
import torch
from feature_probes import context_of, draw_outputs, leaves, reordered
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from relation_methods import frozen, terms_of
from torch import Tensor
from torch.utils._pytree import tree_map_only

from distillery.core.errors import UserError
from distillery.methods import registry
from distillery.methods.base import Batch, Method
from distillery.models import registry as models
from distillery.models.base import Classifier, ModelSpec, Outputs
from distillery.models.spec import describe
from distillery.training.distiller import run_network

CLASSES = 5
STUDENT, WIDE, TWIN = (
    describe(arch, CLASSES, 3, 8) for arch in ("resnet8", "resnet8x4", "resnet14")
)
# Enough images of other classes for the default number of negatives.
LABELS = torch.arange(20_500) % CLASSES
# A batch with at least two images of each class.
ROWS = torch.arange(12)
# Numbers that take another way through the code than the default; choices are found by themselves.
NUMBERS: dict[str, list[dict[str, Any]]] = {
    "at": [{"power": 1}, {"power": 4}],
    "ft": [{"factor": "whole", "distance_power": 2}],
    "kdsvd": [{"vectors": 2}],
    "rtk": [{"k": 1}, {"orientation": "student-query", "masking": "renormalise"}],
}
# Their loss depends on the rest of the batch, but each process computes it for its own part.
BY_PROCESS = {"rtk"}
# LAPACK's signs of singular vectors differ between precisions.
FRAGILE = {"kdsvd": {"solver": "svd"}}


def choices(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield settings that differ from the default in one option that names its values."""
    for name, field in schema.get("properties", {}).items():
        if "$ref" in field:
            nested = definitions[field["$ref"].rpartition("/")[2]]
            yield from ({name: inner} for inner in choices(nested, definitions))
            continue
        kinds = field.get("anyOf", [field])
        values = [value for kind in kinds for value in kind.get("enum", [])]
        values += [kind["const"] for kind in kinds if "const" in kind]
        if any(kind.get("type") == "boolean" for kind in kinds):
            values += [True, False]
        yield from ({name: value} for value in values if value != field.get("default"))


def variants() -> Iterator[Any]:
    for name in registry.names():
        options = registry.load(name).Options
        schema = options.model_json_schema()
        for values in [{}, *choices(schema, schema.get("$defs", {})), *NUMBERS.get(name, [])]:
            try:
                options.model_validate(values)
            except ValidationError:
                continue  # a choice that needs another one beside it
            yield pytest.param(name, values, id=f"{name}-{values}" if values else name)


every_variant = pytest.mark.parametrize(("name", "options"), list(variants()))
every_method = pytest.mark.parametrize("name", registry.names())


def teacher_of(name: str, options: dict[str, Any]) -> ModelSpec:
    """Return the wider teacher, or the one with the student's channels for a method that asks."""
    method = registry.load(name)
    try:
        method.check(method.Options.model_validate(options), STUDENT, WIDE)
    except UserError:
        return TWIN
    return WIDE


def student_of(name: str, options: dict[str, Any]) -> ModelSpec:
    """Return the network that is trained, with what the method adds to it."""
    method = registry.load(name)
    parsed = method.Options.model_validate(options)
    arch = method.student_arch(parsed, STUDENT, teacher_of(name, options))
    return describe(arch, CLASSES, 3, 8)


@cache
def teacher_network(arch: str) -> Classifier:
    return models.build(arch, num_classes=CLASSES).requires_grad_(False)


def build(name: str, options: dict[str, Any], seed: int = 0) -> Method:
    """Return a method with random parameters, its first stage behind it if that is not all."""
    kind, teacher = registry.load(name), teacher_of(name, options)
    parsed = kind.Options.model_validate(options)
    kind.check(parsed, STUDENT, teacher)
    network = teacher_network(teacher.arch)
    torch.manual_seed(seed)
    student = student_of(name, options)
    method = kind(parsed, context_of(student, teacher, labels=LABELS, teacher_network=network))
    mine = {id(tensor) for tensor in (*method.parameters(), *method.buffers())}
    assert not mine & {id(tensor) for tensor in network.parameters()}, "it trains the teacher"
    return method


def drawn(
    name: str,
    options: dict[str, Any],
    images: int = 6,
    seed: int = 0,
    scale: float = 1.0,
    dtype: torch.dtype = torch.float32,
) -> tuple[Outputs, Outputs]:
    """Return random outputs of student and teacher, which hold nothing that is not needed."""
    method = registry.load(name)
    rows = images * method.n_views
    student = draw_outputs(student_of(name, options), rows, seed, scale, dtype)
    teacher = frozen(draw_outputs(teacher_of(name, options), rows, seed + 1, scale, dtype))
    return needed(student, method, {"logits", *method.student_needs}), needed(
        teacher, method, set()
    )


def needed(outputs: Outputs, method: type[Method], always: set[str]) -> Outputs:
    wanted = method.needs | always
    nothing = torch.full((len(outputs.logits), 1), torch.nan)
    return Outputs(
        outputs.logits if "logits" in wanted else nothing,
        outputs.embedding if "embedding" in wanted else nothing,
        *(getattr(outputs, kind) if kind in wanted else () for kind in Outputs._fields[2:5]),
        *(getattr(outputs, kind) if kind in wanted else None for kind in Outputs._fields[5:]),
    )


def batch_of(rows: Tensor, step: int = 0) -> Batch:
    """Return a batch of the training images in these rows; classes repeat in it."""
    position = rows * 3
    return Batch(position=position, labels=LABELS[position], epoch=1, step=step)


def loss_of(method: Method, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
    terms = terms_of(method, student, teacher, batch)
    return torch.stack(list(terms.values())).sum() if terms else torch.zeros(())


def in_order(outputs: Outputs, images: Tensor, views: int) -> Outputs:
    """Return the outputs for some images, with all views of each."""
    return reordered(outputs, (images[:, None] * views + torch.arange(views)).flatten())


def draws(method: Method, student: Outputs, teacher: Outputs) -> bool:
    """Tell whether a loss depends on the random draws of a step."""
    first, second = (loss_of(method, student, teacher, batch_of(ROWS, step)) for step in (0, 1))
    return bool(first != second)


def steady(name: str, options: dict[str, Any]) -> Method:
    """Return a method in double precision, its BatchNorms at their running statistics."""
    return build(name, options).double().eval()


def assert_safe_step(method: Method, student: Outputs, teacher: Outputs, batch: Batch) -> None:
    """Take a step; all is finite, and the student learns unless there is nothing to learn from."""
    terms = terms_of(method, student, teacher, batch)
    assert all(term.ndim == 0 and term.isfinite() for term in terms.values()), terms
    if not terms:
        return
    torch.stack(list(terms.values())).sum().backward()
    learns = (*leaves(student), *method.parameters())
    assert all(tensor.grad.isfinite().all() for tensor in learns if tensor.grad is not None)
    assert any(tensor.grad is not None for tensor in leaves(student))


@every_variant
@pytest.mark.parametrize(
    ("dtype", "scale"),
    [(torch.float32, 0.0), (torch.float32, 1e4), (torch.bfloat16, 1.0), (torch.float16, 1.0)],
    ids=["zero", "large", "bfloat16", "float16"],
)
def test_any_input_gives_a_finite_step(
    name: str, options: dict[str, Any], dtype: torch.dtype, scale: float
) -> None:
    student, teacher = drawn(name, options, scale=scale, dtype=dtype)
    assert_safe_step(build(name, options), student, teacher, batch_of(torch.arange(6)))


@every_method
@settings(max_examples=5)
@given(images=st.integers(2, 6), seed=st.integers(0, 99), scale=st.sampled_from([1e-6, 1.0, 1e4]))
def test_any_batch_gives_a_finite_step(name: str, images: int, seed: int, scale: float) -> None:
    student, teacher = drawn(name, {}, images, seed, scale)
    assert_safe_step(build(name, {}), student, teacher, batch_of(torch.arange(images)))


@every_method
def test_a_single_image_will_do_unless_the_docs_say_otherwise(name: str) -> None:
    method = build(name, {})
    student, teacher = drawn(name, {}, images=1)
    if any("two samples" in (kind.__doc__ or "") for kind in type(method).__mro__):
        with pytest.raises(ValueError, match="more than 1 value"):
            loss_of(method, student, teacher, batch_of(torch.arange(1)))
    else:
        assert_safe_step(method, student, teacher, batch_of(torch.arange(1)))


@every_variant
def test_single_precision_agrees_with_double(name: str, options: dict[str, Any]) -> None:
    if FRAGILE.get(name) == options:
        pytest.skip("signs are arbitrary")
    method = build(name, options).eval()
    student, teacher = drawn(name, options, images=12)
    exact = copy.deepcopy(method).double()
    if draws(method, student, teacher):
        pytest.skip("each precision draws other numbers")
    value = loss_of(method, student, teacher, batch_of(ROWS))
    expected = loss_of(exact, in_double(student), in_double(teacher), batch_of(ROWS))
    assert value.item() == pytest.approx(expected.item(), rel=1e-3, abs=1e-6)


def in_double(outputs: Outputs) -> Outputs:
    return Outputs(*tree_map_only(Tensor, Tensor.double, tuple(outputs)))


@every_variant
def test_the_order_of_the_batch_does_not_matter(name: str, options: dict[str, Any]) -> None:
    method, order = steady(name, options), ROWS.flip(0).roll(5)
    student, teacher = drawn(name, options, images=12, dtype=torch.float64)
    if draws(method, student, teacher):
        pytest.skip("it draws at random for each row")
    loss = loss_of(method, student, teacher, batch_of(ROWS))
    mixed = (in_order(outputs, order, method.n_views) for outputs in (student, teacher))
    same = torch.allclose(loss, loss_of(method, *mixed, batch_of(order)), rtol=1e-9)
    assert same or "depends on the order of the batch" in (type(method).__doc__ or "")


@every_variant
def test_only_coupled_losses_depend_on_the_rest_of_the_batch(
    name: str, options: dict[str, Any]
) -> None:
    method = steady(name, options)
    student, teacher = drawn(name, options, dtype=torch.float64)
    losses = [
        loss_of(
            method, *(in_order(o, rows, method.n_views) for o in (student, teacher)), batch_of(rows)
        )
        for rows in (torch.arange(3), torch.arange(3, 6), torch.arange(6))
    ]
    apart = torch.allclose(losses[2], (losses[0] + losses[1]) / 2, rtol=1e-9)
    assert apart or method.couples_batch or name in BY_PROCESS
    if not options:
        assert apart != method.couples_batch or name in BY_PROCESS, "couples_batch is not needed"


@every_variant
def test_a_resumed_method_goes_on_as_if_nothing_had_been(
    name: str, options: dict[str, Any]
) -> None:
    first, resumed = build(name, options, seed=1), build(name, options, seed=2)
    student, teacher = drawn(name, options)
    first.finish_pretraining()
    resumed.finish_pretraining()
    for step in range(2):
        loss_of(first, student, teacher, batch_of(torch.arange(6), step))
        first.after_step()
    resumed.load_state_dict(first.state_dict())
    values = []
    for method in (first, resumed):
        values.append(loss_of(method, student, teacher, batch_of(torch.arange(6), step=2)))
        method.after_step()
    assert torch.equal(*values)
    for key, value in resumed.state_dict().items():
        assert torch.equal(value, first.state_dict()[key]), key


@every_method
def test_what_is_logged_is_shown_and_changes_nothing(name: str) -> None:
    student, teacher = drawn(name, {})
    batch = batch_of(torch.arange(6))
    terms, diagnostics = build(name, {}).losses(student, teacher, batch)
    plain = build(name, {})(student, teacher, batch)
    assert terms.keys() == plain.keys()
    assert all(torch.equal(term, plain[key]) for key, term in terms.items())
    assert not any(value.requires_grad or value.ndim > 2 for value in diagnostics.values())
    assert diagnostics or registry.load(name).section is None


@every_method
def test_views_of_an_image_are_adjacent_and_the_first_is_the_image(name: str) -> None:
    method, images = build(name, {}), torch.rand(3, 3, 8, 8)
    views = method.make_views(images, batch_of(torch.arange(3)))
    assert views.shape == (3 * method.n_views, 3, 8, 8)
    assert torch.equal(views[:: method.n_views], images)


@every_method
def test_real_networks_learn(name: str) -> None:
    method = build(name, {})
    torch.manual_seed(0)
    student, teacher = (
        models.build(s.arch, num_classes=CLASSES)
        for s in (student_of(name, {}), teacher_of(name, {}))
    )
    batch = batch_of(torch.arange(6))
    images = method.make_views(torch.randn(6, 3, 8, 8), batch)
    with torch.no_grad():
        target = run_network(teacher.eval(), images, method)
    parameters = [*student.parameters(), *method.parameters()]
    optimiser = torch.optim.Adam(parameters, lr=0.003)
    values = []
    for _ in range(12):
        optimiser.zero_grad()
        terms = terms_of(method, run_network(student, images, method, taught=True), target, batch)
        if not terms:
            return
        value = torch.stack(list(terms.values())).sum()
        value.backward()
        optimiser.step()
        method.after_step()
        values.append(value.item())
    assert values[-1] < values[0]
    assert all(parameter.grad is None for parameter in teacher.parameters())


@every_method
def test_its_docstring_says_what_memory_it_takes(name: str) -> None:
    method = registry.load(name)
    if method.needs:
        assert "Extra memory" in (method.__doc__ or "")
