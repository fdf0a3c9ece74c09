"""Adapters of the methods with a stage before the distillation: AB, FSP and FT."""

from __future__ import annotations

import torch
from adapters_relations import stage_context
from cases import Case, Result, adapter
from helpers import batch_of, context, outputs

from distillery.methods.ab import ActivationBoundary
from distillery.methods.fsp import FSP
from distillery.methods.ft import FactorTransfer


@adapter("ab")
def ab(case: Case) -> Result:
    students, teachers = case.input_list("g_s"), case.input_list("g_t")
    options = ActivationBoundary.Options(margin=case.hparams["margin"])
    method = ActivationBoundary(options, stage_context(students, teachers))
    terms = method.pretrain(
        outputs(preactivations=(students[0], *students)),
        outputs(preactivations=(teachers[0], *teachers)),
        batch_of(len(students[0])),
    )
    components = {f"stage{place}": term.detach() for place, term in enumerate(terms.values())}
    return Result(torch.stack(list(terms.values())).sum(), components=components)


@adapter("fsp")
def fsp(case: Case) -> Result:
    students, teachers = case.input_list("g_s"), case.input_list("g_t")
    shapes = tuple(tuple(maps.shape[1:]) for maps in students)
    their_shapes = tuple(tuple(maps.shape[1:]) for maps in teachers)
    method = FSP(
        FSP.Options(pretraining_weight=1.0),
        context(student_shapes=shapes, teacher_shapes=their_shapes),
    )
    terms = method.pretrain(
        outputs(features=tuple(students)),
        outputs(features=tuple(teachers)),
        batch_of(len(students[0])),
    )
    components = {f"pair{place}": term.detach() for place, term in enumerate(terms.values())}
    return Result(torch.stack(list(terms.values())).sum(), components=components)


@adapter("ft", "ft_full")
def ft(case: Case) -> Result:
    student, teacher = case.inputs["f_s"], case.inputs["f_t"]
    options = FactorTransfer.Options(
        power=case.hparams["p1"],
        distance_power=case.hparams["p2"],
        rate=case.hparams.get("k", 0.5),
    )
    method = FactorTransfer(options, stage_context([student], [teacher])).to(case.dtype)
    if case.kind == "ft":
        return Result(method.distance(student, teacher))
    method.train(case.record["module_mode"] == "train")
    parameters = case.fill_in_order(method)
    batch = batch_of(len(student))
    teacher_outputs = outputs(features=(teacher,))
    terms = method(outputs(features=(student,)), teacher_outputs, batch)
    with torch.no_grad():
        first = method.pretrain(teacher_outputs, teacher_outputs, batch)
    return Result(
        terms["factor"],
        parameters=parameters,
        components={"paraphraser_reconstruction_mse": first["reconstruction"]},
    )
