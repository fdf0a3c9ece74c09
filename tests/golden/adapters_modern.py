"""Adapters of the methods since 2023 that learn from logits or embeddings."""

from __future__ import annotations

from dataclasses import replace

from cases import Case, Result, adapter
from helpers import batch_of, context, outputs
from torch import Tensor

from distillery.methods.base import Method
from distillery.methods.ctkd import CTKD
from distillery.methods.nkd import NKD
from distillery.methods.pad import PAD
from distillery.methods.skd import SKD
from distillery.methods.srd import SRD
from distillery.methods.ttm import TTM
from distillery.methods.wttm import WTTM


def _logits(case: Case, method: Method, epoch: int = 0) -> dict[str, Tensor]:
    student, teacher = case.inputs["y_s"], case.inputs["y_t"]
    batch = replace(batch_of(len(student), case.inputs.get("target")), epoch=epoch)
    return method(outputs(logits=student), outputs(logits=teacher), batch)


@adapter("nkd")
def nkd(case: Case) -> Result:
    gamma = case.hparams["gamma"]
    method = NKD(NKD.Options(temperature=case.hparams["temp"], gamma=gamma), context())
    terms = _logits(case, method)
    components = {"target": terms["target"], "nontarget": terms["others"] / gamma}
    return Result(sum(terms.values()), components=components)


@adapter("ttm", "wttm")
def ttm(case: Case) -> Result:
    kind = {"ttm": TTM, "wttm": WTTM}[case.kind]
    terms = _logits(case, kind(kind.Options(exponent=case.hparams["l"]), context()))
    return Result(terms["match"])


@adapter("ctkd")
def ctkd(case: Case) -> Result:
    hparams = case.hparams
    options = CTKD.Options(
        start=hparams["t_start"], range=hparams["t_end"], loops=hparams["decay_loops"]
    )
    method = CTKD(options, context()).to(case.dtype)
    parameters = case.fill({"global_T": method.position})
    epoch = hparams["epoch"] - 1
    terms = _logits(case, method, epoch)
    components = {"temperature": method.temperature(epoch)}
    return Result(terms["kd"], parameters=parameters, components=components)


@adapter("skd_dir")
def skd_dir(case: Case) -> Result:
    options = SKD.Options(ridge=case.hparams["tikhonov"])
    return Result(_logits(case, SKD(options, context()))["direction"])


@adapter("srd")
def srd(case: Case) -> Result:
    hparams, inputs = case.hparams, case.inputs
    options = SRD.Options(
        exponent=hparams["exponent"],
        representation_weight=hparams["rep_weight"],
        temperature=hparams["T"],
    )
    dims = inputs["f_s"].shape[1], inputs["f_t"].shape[1]
    method = SRD(options, context(*dims)).to(case.dtype)
    parameters = case.fill_in_order(method)
    terms = method(
        outputs(logits=inputs["y_s"], embedding=inputs["f_s"]),
        outputs(logits=inputs["y_t"], embedding=inputs["f_t"]),
        batch_of(len(inputs["y_s"])),
    )
    components = {
        "rep": terms["representation"] / hparams["rep_weight"],
        "logit": terms["logits"],
    }
    return Result(sum(terms.values()), parameters=parameters, components=components)


@adapter("pad_l2")
def pad_l2(case: Case) -> Result:
    inputs = case.inputs
    options = PAD.Options(epsilon=case.hparams["eps"], reduction=case.hparams["reduction"])
    dim = inputs["f_s"].shape[1]
    method = PAD(options, context(dim, dim)).to(case.dtype).train()
    parameters = case.fill_in_order(method)
    terms = method(
        outputs(embedding=inputs["f_s"]),
        outputs(embedding=inputs["f_t"]),
        batch_of(len(inputs["f_s"])),
    )
    return Result(terms["adaptive"], parameters=parameters)
