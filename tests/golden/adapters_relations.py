"""Adapters of the methods that compare embeddings or single stage maps."""

from __future__ import annotations

import torch
from cases import Case, Result, adapter
from helpers import batch_of, context, outputs
from torch import Tensor, nn

from distillery.methods.at import AttentionTransfer
from distillery.methods.base import Context, Method
from distillery.methods.cc import CorrelationCongruence
from distillery.methods.fitnet import FitNet
from distillery.methods.kdsvd import KDSVD
from distillery.methods.nst import NST
from distillery.methods.pkt import PKT
from distillery.methods.rkd import RKD
from distillery.methods.sp import SimilarityPreserving
from distillery.methods.vid import VID

_STEM = torch.zeros(1, 1, 1, 1)


def stage_context(students: list[Tensor], teachers: list[Tensor]) -> Context:
    """Return a context of networks with a stem and these stage maps (B, C, H, W)."""
    stem = tuple(_STEM.shape[1:])
    return context(
        student_shapes=(stem, *(tuple(maps.shape[1:]) for maps in students)),
        teacher_shapes=(stem, *(tuple(maps.shape[1:]) for maps in teachers)),
    )


def stage_terms(
    method: Method, students: list[Tensor], teachers: list[Tensor]
) -> dict[str, Tensor]:
    """Return a method's terms of stage maps that follow a stem."""
    return method(
        outputs(features=(_STEM, *students)),
        outputs(features=(_STEM, *teachers)),
        batch_of(len(students[0])),
    )


def _by_stage(case: Case, terms: dict[str, Tensor], name: str) -> Result:
    parts = {f"{name}{place}": term.detach() for place, term in enumerate(terms.values())}
    recorded = case.record.get("components", {})
    return Result(
        torch.stack(list(terms.values())).sum(),
        components={key: part for key, part in parts.items() if key in recorded},
    )


@adapter("hint", "hint_convreg")
def hint(case: Case) -> Result:
    student, teacher = case.inputs["f_s"], case.inputs["f_t"]
    if case.kind == "hint":
        method = FitNet(
            FitNet.Options(hint_layer=0),
            context(student_shapes=((1, 1, 1),), teacher_shapes=((1, 1, 1),)),
        )
        # The case is the loss behind the regressor.
        method.regressor = nn.Identity()
        parameters = {}
    else:
        method = FitNet(FitNet.Options(hint_layer=1), stage_context([student], [teacher])).to(
            case.dtype
        )
        assert case.hparams["use_relu"]
        method.train(case.record["module_mode"] == "train")
        parameters = case.fill_in_order(method)
    terms = method(
        outputs(features=(student, student)),
        outputs(features=(teacher, teacher)),
        batch_of(len(student)),
    )
    return Result(terms["hint"], parameters=parameters)


@adapter("at")
def at(case: Case) -> Result:
    students, teachers = case.input_list("g_s"), case.input_list("g_t")
    options = AttentionTransfer.Options(power=case.hparams["p"])
    method = AttentionTransfer(options, stage_context(students, teachers))
    return _by_stage(case, stage_terms(method, students, teachers), "stage")


@adapter("sp")
def sp(case: Case) -> Result:
    student, teacher = case.inputs["f_s"], case.inputs["f_t"]
    method = SimilarityPreserving(SimilarityPreserving.Options(), context())
    return Result(stage_terms(method, [student], [teacher])["similarity"])


@adapter("cc", "cc_embed")
def cc(case: Case) -> Result:
    student, teacher = case.inputs["f_s"], case.inputs["f_t"]
    dim = case.hparams.get("feat_dim", student.shape[1])
    options = CorrelationCongruence.Options(dim=dim)
    method = CorrelationCongruence(options, context(student.shape[1], teacher.shape[1]))
    method = method.to(case.dtype)
    if case.kind == "cc":
        return Result(method.compare(student, teacher))
    parameters = case.fill_in_order(method)
    terms = method(outputs(embedding=student), outputs(embedding=teacher), batch_of(len(student)))
    return Result(terms["correlation"], parameters=parameters)


@adapter("vid")
def vid(case: Case) -> Result:
    student, teacher = case.inputs["f_s"], case.inputs["f_t"]
    options = VID.Options(
        init_variance=case.hparams["init_pred_var"], min_variance=case.hparams["eps"]
    )
    method = VID(options, stage_context([student], [teacher])).to(case.dtype)
    method.train(case.record["module_mode"] == "train")
    before = {name: value.clone() for name, value in method.channels[0].named_parameters()}
    parameters = case.fill_in_order(method)
    for kept in case.record["params"]["fill"]["keep"]:
        torch.testing.assert_close(before[kept], parameters[kept], rtol=1e-6, atol=0)
    return Result(stage_terms(method, [student], [teacher])["stage1"], parameters=parameters)


@adapter("rkd")
def rkd(case: Case) -> Result:
    student, teacher = case.inputs["f_s"], case.inputs["f_t"]
    weights = case.hparams["w_d"], case.hparams["w_a"]
    method = RKD(RKD.Options(distance_weight=weights[0], angle_weight=weights[1]), context())
    terms = method(outputs(embedding=student), outputs(embedding=teacher), batch_of(len(student)))
    components = {
        name: term.detach() / weight
        for (name, term), weight in zip(terms.items(), weights, strict=True)
        if weight
    }
    return Result(terms["distance"] + terms["angle"], components=components)


@adapter("pkt")
def pkt(case: Case) -> Result:
    student, teacher = case.inputs["f_s"], case.inputs["f_t"]
    method = PKT(PKT.Options(eps=case.hparams["eps"]), context())
    terms = method(outputs(embedding=student), outputs(embedding=teacher), batch_of(len(student)))
    return Result(terms["neighbourhood"])


@adapter("nst")
def nst(case: Case) -> Result:
    assert case.hparams["kernel"] == "poly d=2 c=0"
    students, teachers = case.input_list("g_s"), case.input_list("g_t")
    method = NST(NST.Options(), stage_context(students, teachers))
    return _by_stage(case, stage_terms(method, students, teachers), "stage")


@adapter("kdsvd")
def kdsvd(case: Case) -> Result:
    students, teachers = case.input_list("g_s"), case.input_list("g_t")
    # The record holds what LAPACK's signs give.
    options = KDSVD.Options(vectors=case.hparams["k"], solver="svd")
    method = KDSVD(options, stage_context(students, teachers))
    return _by_stage(case, stage_terms(method, students, teachers), "pair")
