"""Adapters of OFD, ReviewKD, AFD, SoftPool and SSKD."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from cases import Case, Result, adapter
from helpers import batch_of, context, outputs
from torch import Tensor, nn

from distillery.methods.afd import AFD
from distillery.methods.base import Method
from distillery.methods.kd import KD
from distillery.methods.ofd import OFD, partial_l2
from distillery.methods.parts.pooling import soft_pool2d
from distillery.methods.reviewkd import ReviewKD, hierarchical_context
from distillery.methods.sskd import SSKD, cosine_similarities, own_image, trusted, turned

STEM = torch.empty(0)


def _shapes(maps: list[Tensor]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(feature.shape[1:]) for feature in maps)


def _set_mode(case: Case, method: Method) -> None:
    method.train(case.record["module_mode"] == "train")


@adapter("ofd_feat")
def ofd_feat(case: Case) -> Result:
    return Result(partial_l2(case.inputs["f_s"], case.inputs["f_t"], case.inputs["margin"]))


class _Norms(nn.Module):
    """A teacher of which only the BatchNorms before its ReLUs are known."""

    def __init__(self, weights: list[Tensor], biases: list[Tensor]) -> None:
        super().__init__()
        self.norms = [nn.BatchNorm2d(len(weight)) for weight in weights]
        for norm, weight, bias in zip(self.norms, weights, biases, strict=True):
            norm.weight.data, norm.bias.data = weight.detach(), bias.detach()

    def preactivation_norms(self) -> list[nn.BatchNorm2d]:
        return self.norms


@adapter("ofd_full")
def ofd_full(case: Case) -> Result:
    students, teachers = case.input_list("g_s"), case.input_list("g_t")
    built = replace(
        context(
            student_shapes=((1, 1, 1), *_shapes(students)),
            teacher_shapes=((1, 1, 1), *_shapes(teachers)),
        ),
        teacher_network=_Norms(case.input_list("bn_weight"), case.input_list("bn_bias")),
    )
    method = OFD(OFD.Options(kernel=case.hparams["kernel_size"]), built).to(case.dtype)
    parameters = case.fill_in_order(method)
    _set_mode(case, method)
    terms = method(
        outputs(preactivations=(STEM, *students)),
        outputs(preactivations=(STEM, *teachers)),
        batch_of(len(students[0])),
    )
    margins = {f"margin.{place}": stage.margin for place, stage in enumerate(method.stages)}
    return Result(terms["partial_l2"], parameters, outputs=margins)


@adapter("hcl")
def hcl(case: Case) -> Result:
    pairs = zip(case.input_list("g_s"), case.input_list("g_t"), strict=True)
    stages = [hierarchical_context(ours, theirs, case.hparams["levels"]) for ours, theirs in pairs]
    components = {f"stage{place}": stage.detach() for place, stage in enumerate(stages)}
    return Result(torch.stack(stages).sum(), components=components)


@adapter("reviewkd_full")
def reviewkd_full(case: Case) -> Result:
    *students, embedding = case.input_list("g_s")
    *teachers, teacher_embedding = case.input_list("g_t")
    built = context(
        embedding.shape[1],
        teacher_embedding.shape[1],
        student_shapes=((1, 1, 1), *_shapes(students)),
        teacher_shapes=((1, 1, 1), *_shapes(teachers)),
    )
    levels = {"levels": case.hparams["levels"]} if "levels" in case.hparams else {}
    options = ReviewKD.Options(max_width=case.hparams["mid_channel"], **levels)
    method = ReviewKD(options, built).to(case.dtype)
    # The reference lists the modules from deep to shallow as well.
    ours = {
        f"abfs.{place}.{name}": parameter
        for place, fusion in enumerate(method.fusions)
        for reference, part in (
            ("conv1", fusion.narrow),
            ("conv2", fusion.widen),
            ("att_conv.0", fusion.attention),
        )
        if part is not None
        for key, parameter in part.named_parameters()
        for name in (f"{reference}.{key}",)
    }
    parameters = case.fill(ours)
    _set_mode(case, method)
    batch = replace(
        batch_of(len(embedding)), epoch=case.hparams.get("epoch", options.warmup_epochs) - 1
    )
    terms = method(
        outputs(embedding=embedding[:, :, 0, 0], features=(STEM, *students)),
        outputs(embedding=teacher_embedding[:, :, 0, 0], preactivations=(STEM, *teachers)),
        batch,
    )
    return Result(terms["review"], parameters)


@adapter("afd")
def afd(case: Case) -> Result:
    students, teachers = case.input_list("g_s"), case.input_list("g_t")
    built = context()
    built = replace(
        built,
        student=replace(built.student, block_shapes=_shapes(students)),
        teacher=replace(built.teacher, block_shapes=_shapes(teachers)),
    )
    method = AFD(AFD.Options(dim=case.hparams["qk_dim"]), built).to(case.dtype)
    parameters = case.fill_in_order(method)
    _set_mode(case, method)
    layers, _ = method.layer_losses(students, teachers)
    terms = method(
        outputs()._replace(blocks=tuple(students)),
        outputs()._replace(blocks=tuple(teachers)),
        batch_of(len(students[0])),
    )
    components = {
        name: layers[place].detach()
        for place in range(len(layers))
        if (name := f"teacher{place}") in case.record.get("components", {})
    }
    return Result(terms["attention"], parameters, components)


@adapter("softpool2d")
def softpool2d(case: Case) -> Result:
    pooled = soft_pool2d(case.inputs["x"], case.hparams["kernel_size"], case.hparams["stride"])
    return Result(pooled.square().mean(), outputs={"y": pooled})


@adapter("sskd_ss", "sskd_total")
def sskd(case: Case) -> Result:
    hparams, inputs = case.hparams, case.inputs
    ce_weight, kd_weight, transformed_weight, similarity_weight = hparams.get(
        "weights_ce_kd_tf_ss", (0.0, 0.0, 0.0, 1.0)
    )
    options = SSKD.Options(
        transformed_temperature=hparams["tf_T"],
        transformed_fraction=hparams["ratio_tf"],
        self_supervised_temperature=hparams["ss_T"],
        self_supervised_fraction=hparams["ratio_ss"],
        transformed_weight=transformed_weight,
        self_supervised_weight=similarity_weight,
    )
    method = SSKD(options, context(inputs["rep_s"].shape[1], inputs["rep_t"].shape[1]))
    # The case starts behind the heads.
    method.student_head = method.teacher_head = nn.Identity()
    labels = inputs["target"]
    student = outputs(logits=inputs["out_s"], embedding=inputs["rep_s"])
    teacher = outputs(logits=inputs["out_t"], embedding=inputs["rep_t"])
    terms = method(student, teacher, batch_of(len(labels), labels))
    upright = slice(None, None, method.n_views)
    ce = F.cross_entropy(student.logits[upright], labels)
    method_kd = KD(KD.Options(temperature=hparams["kd_T"]), context())
    student_upright, teacher_upright = (
        outputs(logits=o.logits[upright]) for o in (student, teacher)
    )
    kd = method_kd(student_upright, teacher_upright, batch_of(len(labels), labels))["kd"]
    value = terms["self_supervised"]
    if case.kind == "sskd_total":
        value = value + terms["transformed"] + ce_weight * ce + kd_weight * kd
    theirs = cosine_similarities(inputs["rep_t"])
    kept_similar = trusted(theirs, own_image(theirs), hparams["ratio_ss"])
    kept_turned = trusted(turned(inputs["out_t"]), labels.repeat_interleave(3), hparams["ratio_tf"])
    components = {
        "ce": ce,
        "kd": kd,
        "tf": method.transformed(inputs["out_s"], inputs["out_t"], labels),
        "ss": method.self_supervised(inputs["rep_s"], inputs["rep_t"]),
        "n_ss_kept": kept_similar.sum(),
        "n_tf_kept": kept_turned.sum(),
    }
    return Result(
        value,
        components={name: value.detach() for name, value in components.items()},
        outputs={
            "s_simi": cosine_similarities(inputs["rep_s"]),
            "t_simi": theirs,
            "distill_index_ss": kept_similar.nonzero().flatten(),
            "distill_index_tf": kept_turned.nonzero().flatten(),
        },
    )
