"""Adapters of KD and CRD."""

from __future__ import annotations

import torch
from cases import Case, Result, adapter
from helpers import batch_of, context, outputs

from distillery.methods.crd import CRD
from distillery.methods.kd import KD
from distillery.methods.parts.nce import Block


@adapter("kd")
def kd(case: Case) -> Result:
    method = KD(KD.Options(temperature=case.hparams["T"]), context())
    student, teacher = case.inputs["y_s"], case.inputs["y_t"]
    terms = method(outputs(logits=student), outputs(logits=teacher), batch_of(len(student)))
    return Result(terms["kd"])


def _crd(case: Case, student_dim: int, teacher_dim: int, dim: int) -> CRD:
    hparams = case.hparams
    options = CRD.Options(
        dim=dim, negatives=hparams["K"], temperature=hparams["nce_T"], momentum=hparams["momentum"]
    )
    # Two classes, so that the sampler of negatives accepts the case's K.
    labels = torch.arange(hparams["n_data"]) % 2
    method = CRD(options, context(student_dim, teacher_dim, labels=labels)).to(case.dtype)
    method.student_bank.copy_(case.inputs["memory_v1"].detach())
    method.teacher_bank.copy_(case.inputs["memory_v2"].detach())
    # The reference calls Z_v1 the constant of the student's scores.
    method.normaliser.copy_(torch.tensor([hparams["Z_v1"], hparams["Z_v2"]]))
    return method


def _contrast(case: Case, method: CRD, students: torch.Tensor, teachers: torch.Tensor) -> Result:
    index = case.inputs["contrast_idx"]
    # The reference draws with replacement, so that each anchor has a block of its own here.
    blocks = [
        Block(rows, torch.tensor([anchor]), torch.ones(1, len(rows)))
        for anchor, rows in enumerate(index[:, 1:])
    ]
    terms = method.contrast(students, teachers, case.inputs["idx"], index[:, 0], blocks)

    def banks() -> dict[str, torch.Tensor]:
        method.after_step()
        after = {"memory_v1_after": method.student_bank, "memory_v2_after": method.teacher_bank}
        return {name: bank for name, bank in after.items() if name in case.record["outputs"]}

    return Result(
        terms["student_anchor"] + terms["teacher_anchor"],
        components={
            "loss_s": terms["student_anchor"].detach(),
            "loss_t": terms["teacher_anchor"].detach(),
            "Z_v1": method.normaliser[0],
            "Z_v2": method.normaliser[1],
        },
        after_step=banks,
    )


@adapter("crd_nce")
def crd_nce(case: Case) -> Result:
    students, teachers = case.inputs["f_s"], case.inputs["f_t"]
    dim = students.shape[1]
    return _contrast(case, _crd(case, dim, dim, dim), students, teachers)


@adapter("crd_full")
def crd_full(case: Case) -> Result:
    students, teachers = case.inputs["f_s_raw"], case.inputs["f_t_raw"]
    method = _crd(case, students.shape[1], teachers.shape[1], case.hparams["feat_dim"])
    parameters = case.fill_in_order(method)
    result = _contrast(case, method, method.student_head(students), method.teacher_head(teachers))
    result.parameters = parameters
    return result
