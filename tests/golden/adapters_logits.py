"""Adapters of DKD, DIST and LSKD."""

from __future__ import annotations

import torch
from cases import Case, Result, adapter
from helpers import batch_of, context, outputs

from distillery.methods.base import Batch, Method
from distillery.methods.dist import DIST
from distillery.methods.dkd import DKD
from distillery.methods.lskd import LSKD


def _terms(case: Case, method: Method) -> dict[str, torch.Tensor]:
    student, teacher = case.inputs["y_s"], case.inputs["y_t"]
    batch: Batch = batch_of(len(student), case.inputs.get("target"))
    return method(outputs(logits=student), outputs(logits=teacher), batch)


def _weighted(terms: dict[str, torch.Tensor], weights: dict[str, float]) -> Result:
    """Sum terms that hold their weights; components are recorded without them."""
    parts = zip(weights.items(), terms.values(), strict=True)
    components = {name: term.detach() / weight for (name, weight), term in parts if weight}
    return Result(torch.stack(list(terms.values())).sum(), components=components)


def _decoupled(case: Case, method: Method) -> Result:
    terms = _terms(case, method)
    return _weighted(terms, {"tckd": case.hparams["alpha"], "nckd": case.hparams["beta"]})


@adapter("dkd")
def dkd(case: Case) -> Result:
    hparams = case.hparams
    options = DKD.Options(
        alpha=hparams["alpha"], beta=hparams["beta"], temperature=hparams["T"], warmup_epochs=0
    )
    return _decoupled(case, DKD(options, context()))


@adapter("lskd")
def lskd(case: Case) -> Result:
    options = LSKD.Options(temperature=case.hparams["T"])
    return Result(_terms(case, LSKD(options, context()))["kd"])


@adapter("lskd_dkd")
def lskd_dkd(case: Case) -> Result:
    hparams = case.hparams
    options = LSKD.Options(
        base="dkd",
        alpha=hparams["alpha"],
        beta=hparams["beta"],
        temperature=hparams["T"],
        warmup_epochs=0,
    )
    return _decoupled(case, LSKD(options, context()))


@adapter("dist")
def dist(case: Case) -> Result:
    hparams = case.hparams
    options = DIST.Options(
        inter_weight=hparams["beta"], intra_weight=hparams["gamma"], temperature=hparams["tau"]
    )
    terms = _terms(case, DIST(options, context()))
    return _weighted(terms, {"inter": hparams["beta"], "intra": hparams["gamma"]})
