"""Adapters of the newer methods that learn from maps, from regions or with the teacher's head."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from cases import Case, Result, adapter
from helpers import batch_of, context, outputs
from torch import Tensor, nn

from distillery.methods.catkd import CATKD
from distillery.methods.ickd import ICKD
from distillery.methods.mlkd import MLKD
from distillery.methods.sdd import SDD
from distillery.methods.semckd import SemCKD
from distillery.methods.simkd import SimKD
from distillery.methods.srrl import SRRL
from distillery.models.base import Outputs
from distillery.models.reused_head import bottleneck


def _dims(case: Case) -> tuple[int, int]:
    return case.inputs["f_s"].shape[1], case.inputs["f_t"].shape[1]


def _maps(**maps: Tensor) -> Outputs:
    return outputs()._replace(**maps)


def _head(case: Case) -> nn.Linear:
    weight, bias = case.inputs["w_t"], case.inputs["b_t"]
    head = nn.Linear(weight.shape[1], weight.shape[0]).to(case.dtype)
    with torch.no_grad():
        head.weight.copy_(weight)
        head.bias.copy_(bias)
    return head


@adapter("ickd")
def ickd(case: Case) -> Result:
    method = ICKD(ICKD.Options(), context(*_dims(case))).to(case.dtype)
    parameters = case.fill_in_order(method)
    student, teacher = (_maps(last_map=case.inputs[name]) for name in ("f_s", "f_t"))
    return Result(method(student, teacher, batch_of(2))["correlation"], parameters=parameters)


@adapter("catkd")
def catkd(case: Case) -> Result:
    hparams = case.hparams
    options = CATKD.Options(
        resolution=hparams["resolution"],
        normalise=hparams["normalize"],
        binarise=hparams["binarize"],
    )
    student, teacher = (_maps(class_maps=case.inputs[name]) for name in ("f_s", "f_t"))
    return Result(CATKD(options, context())(student, teacher, batch_of(2))["attention"])


@adapter("srrl")
def srrl(case: Case) -> Result:
    inputs, weight = case.inputs, case.hparams["weight"]
    built = replace(context(*_dims(case)), teacher_head=_head(case))
    method = SRRL(SRRL.Options(regression_weight=weight), built).to(case.dtype)
    parameters = case.fill_in_order(method)
    teacher = outputs(logits=inputs["y_t"], embedding=inputs["f_t"].mean((2, 3)))
    terms = method(_maps(last_map=inputs["f_s"]), teacher, batch_of(2))
    components = {"fm": terms["features"], "sr": terms["regression"] / weight}
    return Result(sum(terms.values()), parameters=parameters, components=components)


@adapter("simkd")
def simkd(case: Case) -> Result:
    student, teacher = case.inputs["f_s"], case.inputs["f_t"]
    transfer = bottleneck(*_dims(case), case.hparams["factor"]).to(case.dtype)
    parameters = case.fill_in_order(transfer)
    size = min(student.shape[2], teacher.shape[2])
    transferred = transfer(F.adaptive_avg_pool2d(student, size))
    method = SimKD(SimKD.Options(), context())
    terms = method(_maps(last_map=transferred), _maps(last_map=teacher), batch_of(2))
    logits = _head(case)(transferred.mean((2, 3)))
    return Result(terms["map"], parameters=parameters, outputs={"logits": logits})


@adapter("semckd")
def semckd(case: Case) -> Result:
    student, teacher = case.input_list("g_s"), case.input_list("g_t")
    images = len(student[0])
    stem = (1, 1, 1)
    built = context(
        student_shapes=(stem, *(tuple(each.shape[1:]) for each in student)),
        teacher_shapes=(stem, *(tuple(each.shape[1:]) for each in teacher)),
    )
    options = SemCKD.Options(factor=case.hparams["factor"])
    method = SemCKD(options, replace(built, batch_size=images)).to(case.dtype)
    parameters = case.fill_in_order(method)
    nothing = torch.zeros(())
    terms = method(
        outputs(features=(nothing, *student)),
        outputs(features=(nothing, *teacher)),
        batch_of(images),
    )
    attention = method.attention(student, teacher)
    return Result(terms["calibrated"], parameters=parameters, outputs={"attention": attention})


@adapter("sdd_kd", "sdd_dkd")
def sdd_regions(case: Case) -> Result:
    hparams = case.hparams
    options = SDD.Options(
        base="dkd" if case.kind == "sdd_dkd" else "kd",
        temperature=hparams["T"],
        alpha=hparams.get("alpha", 1),
        beta=hparams.get("beta", 1),
        warmup_epochs=0,
    )
    student, teacher = case.inputs["z_s"], case.inputs["z_t"]
    batch = batch_of(len(student), case.inputs["target"])
    return Result(SDD(options, context()).loss(student, teacher, batch))


@adapter("sdd_full")
def sdd_full(case: Case) -> Result:
    inputs = case.inputs
    grids = tuple(int(side) for side in case.hparams["M"].strip("[]").split(","))
    method = SDD(SDD.Options(temperature=case.hparams["T"], grids=grids), context())
    networks = [
        outputs(logits=maps.mean((2, 3)) + bias[None])._replace(class_maps=maps)
        for maps, bias in (
            (
                torch.einsum("bdhw,cd->bchw", inputs[f"f_{side}"], inputs[f"w_{side}"]),
                inputs[f"b_{side}"],
            )
            for side in "st"
        )
    ]
    batch = batch_of(len(inputs["f_s"]), inputs["target"])
    return Result(method(*networks, batch)["regions"], outputs={"z_s": method.regions(networks[0])})


@adapter("mlkd")
def mlkd(case: Case) -> Result:
    options = MLKD.Options(
        temperature=case.hparams["temperature"], distillation_weight=1, strong_ce_weight=0
    )
    student, teacher = (
        outputs(
            logits=torch.stack(
                [case.inputs[f"y_{side}_weak"], case.inputs[f"y_{side}_strong"]], dim=1
            ).flatten(0, 1)
        )
        for side in "st"
    )
    terms = MLKD(options, context())(student, teacher, batch_of(len(student.logits) // 2))
    components = {"kd": terms["instance"], "cc": terms["classes"], "bc": terms["batch"]}
    return Result(sum(terms.values()), components=components)
