"""Their command lines and configs become params files that can be planned."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from project import refusal
from ruamel.yaml import YAML
from test_peers import MDISTILLER, MDISTILLER_METHODS
from typer.testing import CliRunner

from distillery.catalogue.converting import command, mdistiller, repdistiller
from distillery.cli import app
from distillery.core.errors import UserError
from distillery.experiment import reading
from distillery.experiment.experiment import Experiment
from distillery.planning.data_sets import DataSets
from distillery.planning.students import Student, resolve

PATH = "./save/models/resnet32x4_vanilla/ckpt_epoch_240.pth"
# Of README.md and scripts/run_cifar_distill.sh: method, -r, -a, -b; then what it is here.
SCRIPT: list[tuple[str, str, dict[str, float]]] = [
    ("kd -r 0.1 -a 0.9 -b 0", "kd", {"ce": 0.1, "kd": 0, "method": 0.9}),
    ("hint -a 0 -b 100", "fitnet", {"ce": 1, "kd": 0, "method": 100}),
    ("attention -a 0 -b 1000", "at", {"ce": 1, "kd": 0, "method": 1000}),
    ("similarity -a 0 -b 3000", "sp", {"ce": 1, "kd": 0, "method": 3000}),
    ("correlation -a 0 -b 0.02", "cc", {"ce": 1, "kd": 0, "method": 0.02}),
    ("vid -a 0 -b 1", "vid", {"ce": 1, "kd": 0, "method": 1}),
    ("rkd -a 0 -b 1", "rkd", {"ce": 1, "kd": 0, "method": 1}),
    ("pkt -a 0 -b 30000", "pkt", {"ce": 1, "kd": 0, "method": 30000}),
    ("abound -a 0 -b 1", "ab", {"ce": 1, "kd": 0, "method": 0}),
    ("factor -a 0 -b 200", "ft", {"ce": 1, "kd": 0, "method": 200}),
    ("fsp -a 0 -b 50", "fsp", {"ce": 1, "kd": 0, "method": 0}),
    ("nst -a 0 -b 50", "nst", {"ce": 1, "kd": 0, "method": 50}),
    ("crd -a 0 -b 0.8", "crd", {"ce": 1, "kd": 0, "method": 0.8}),
    ("crd -a 1 -b 0.8", "crd", {"ce": 1, "kd": 1, "method": 0.8}),
]


def student_of(text: str, folder: Path) -> tuple[Experiment, Student]:
    """Return the experiment of a params file, and its one student."""
    file = folder / "converted.yaml"
    file.write_text(text, encoding="utf-8")
    experiment = reading.load(file)
    (pair,), (entry,) = experiment.pairs, experiment.methods
    return experiment, resolve(experiment, DataSets(experiment), pair, entry)


def student_command(flags: str, path: str = PATH, student: str = "resnet8x4") -> list[str]:
    words = f"python train_student.py --path_t {path} --model_s {student} --distill {flags}"
    return words.split()


@pytest.mark.parametrize(("flags", "method", "weights"), SCRIPT)
def test_the_command_lines_of_repdistiller(
    flags: str, method: str, weights: dict[str, float], tmp_path: Path
) -> None:
    text = command.convert(student_command(f"{flags} --trial 1")).text()
    experiment, student = student_of(text, tmp_path)
    assert student.method_name == method
    assert student.weights.model_dump() == weights
    assert [teacher.arch for teacher in experiment.teachers.values()] == ["resnet32x4"]
    assert student.pair.student == "resnet8x4"
    training = student.training
    assert (training.epochs, training.lr, training.batch_size) == (240, 0.05, 64)
    assert training.milestones == (150, 180, 210)
    assert training.weight_decay == 5e-4
    assert experiment.data.source == "cifar100"
    assert "--trial 1: it names a folder and sets no seed" in text
    assert f"To have that of {PATH}: `distillery import-teacher" in text


@pytest.mark.parametrize(
    ("flags", "options"),
    [
        (
            "crd -a 0 -b 0.8 --nce_k 4096 --nce_t 0.1 --nce_m 0.9 --feat_dim 64 --mode relax",
            {
                "negatives": 4096,
                "temperature": 0.1,
                "momentum": 0.9,
                "dim": 64,
                "positives": "relax",
            },
        ),
        ("hint -a 0 -b 100 --hint_layer 3", {"hint_layer": 3}),
        ("kd -r 0.1 -a 0.9 -b 0 --kd_T 2", {"temperature": 2.0}),
        ("abound -a 0 -b 0 --init_epochs 3", {"pretraining_epochs": 3}),
        ("fsp -a 0 -b 50", {"pretraining_weight": 1.0}),
    ],
)
def test_flags_of_methods(flags: str, options: dict[str, Any], tmp_path: Path) -> None:
    _, student = student_of(command.convert(student_command(flags)).text(), tmp_path)
    found = student.options.model_dump()
    assert {name: found[name] for name in options} == options


def test_further_flags(tmp_path: Path) -> None:
    flags = (
        "crd -a 1 -b 0.8 --kd_T 2 --epochs 160 --lr_decay_epochs 100,150,180 --learning_rate 0.1 "
        "--hint_layer 3 --print_freq 10 --batch_size 128"
    )
    text = command.convert(student_command(flags, "m/wrn_40_2_vanilla/x.pth", "ShuffleV1")).text()
    experiment, student = student_of(text, tmp_path)
    assert student.kd_temperature == 2
    assert student.training.milestones == (100, 150)
    assert (experiment.training.lr, student.training.lr) == (0.1, 0.01)
    assert student.training.batch_size == 128
    assert list(experiment.teachers) == ["wrn_40_2"]
    for comment in (
        "--lr_decay_epochs: [180] left out, which 160 epochs do not reach",
        "--hint_layer 3: without effect for crd",
        "--print_freq 10: progress is shown by itself",
        "trains ShuffleV1 with 0.01, whatever is asked for",
    ):
        assert comment in text


def test_the_translators_rate_follows_the_student(tmp_path: Path) -> None:
    for student, rate in (("vgg8", None), ("resnet8x4", 0.01)):
        words = student_command("factor -a 0 -b 200", "m/vgg13_vanilla/x.pth", student)
        _, found = student_of(command.convert(words).text(), tmp_path)
        assert found.options.model_dump()["pretraining_lr"] == rate


BASE = {
    "SOLVER": {
        "BATCH_SIZE": 64,
        "EPOCHS": 240,
        "LR": 0.05,
        "LR_DECAY_STAGES": [150, 180, 210],
        "LR_DECAY_RATE": 0.1,
        "WEIGHT_DECAY": 0.0005,
        "MOMENTUM": 0.9,
        "TYPE": "SGD",
    },
}
IMAGENET = {
    "DATASET": {"TYPE": "imagenet", "NUM_WORKERS": 32, "TEST": {"BATCH_SIZE": 128}},
    "LOG": {"TENSORBOARD_FREQ": 50, "SAVE_CHECKPOINT_FREQ": 10},
}


def config(
    kind: str, teacher: str, student: str, solver: dict[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    named = {"TYPE": kind, "TEACHER": teacher, "STUDENT": student}
    tag = {"NAME": "", "TAG": f"{kind},{teacher},{student}", "PROJECT": "baselines"}
    return {
        "EXPERIMENT": tag,
        "DISTILLER": named,
        "SOLVER": BASE["SOLVER"] | (solver or {}),
        **more,
    }


def on_imagenet(
    kind: str, teacher: str, student: str, batch: int, lr: float, **more: Any
) -> dict[str, Any]:
    solver = {
        "BATCH_SIZE": batch,
        "EPOCHS": 100,
        "LR": lr,
        "LR_DECAY_STAGES": [30, 60, 90],
        "WEIGHT_DECAY": 0.0001,
    }
    return config(kind, teacher, student, solver | more.pop("solver", {}), **IMAGENET, **more)


# What its folder configs has, written out: cifar100 with dkd and dot, and imagenet.
CIFAR = {kind: config(kind, "resnet32x4", "resnet8x4") for kind in MDISTILLER_METHODS} | {
    "CRD": config("CRD", "resnet32x4", "resnet8x4", {"TRAINER": "crd"}),
    "REVIEWKD": config("REVIEWKD", "resnet32x4", "resnet8x4", REVIEWKD={"REVIEWKD_WEIGHT": 5.0}),
}
DKD: list[tuple[str, str, float | None]] = [
    ("resnet110", "resnet32", 2.0),
    ("resnet32x4", "resnet8x4", None),
    ("resnet32x4", "ShuffleV1", None),
    ("resnet32x4", "ShuffleV2", None),
    ("ResNet50", "MobileNetV2", None),
    ("resnet56", "resnet20", 2.0),
    ("vgg13", "MobileNetV2", 6.0),
    ("vgg13", "vgg8", 6.0),
    ("wrn_40_2", "ShuffleV1", None),
    ("wrn_40_2", "wrn_16_2", 6.0),
    ("wrn_40_2", "wrn_40_1", 6.0),
]
DOT = {"TRAINER": "dot", "DOT": {"DELTA": 0.075}}
CONFIGS: dict[str, dict[str, Any]] = {
    **{f"cifar100/{kind}": each for kind, each in CIFAR.items()},
    **{
        f"cifar100/dkd/{teacher}-{student}": config(
            "DKD",
            teacher,
            student,
            {"LR": 0.01 if student[0] in "MS" else 0.05},
            **({"DKD": {"BETA": beta}} if beta else {}),
        )
        for teacher, student, beta in DKD
    },
    **{
        f"cifar100/dot/{teacher}-{student}": config("KD", teacher, student, DOT)
        for teacher, student in (
            ("resnet32x4", "resnet8x4"),
            ("resnet32x4", "ShuffleV2"),
            ("vgg13", "vgg8"),
        )
    },
    **{
        f"imagenet/{teacher}-{student}/{kind}": on_imagenet(kind, teacher, student, *rest, **more)
        for teacher, student in (("ResNet34", "ResNet18"), ("ResNet50", "MobileNetV1"))
        for kind, rest, more in (
            ("AT", (512, 0.2), {}),
            ("CRD", (256, 0.1), {"CRD": {"FEAT": {"STUDENT_DIM": 512, "TEACHER_DIM": 512}}}),
            ("DKD", (512, 0.2), {"DKD": {"CE_WEIGHT": 1.0, "BETA": 0.5, "T": 1.0, "WARMUP": 1}}),
            (
                "KD",
                (512, 0.2),
                {"KD": {"TEMPERATURE": 1, "LOSS": {"CE_WEIGHT": 0.5, "KD_WEIGHT": 0.5}}},
            ),
            ("OFD", (128, 0.05), {"OFD": {"LOSS": {"FEAT_WEIGHT": 0.0001}}}),
            (
                "REVIEWKD",
                (256, 0.1),
                {
                    "REVIEWKD": {
                        "WARMUP_EPOCHS": 1,
                        "SHAPES": [1, 7, 14, 28, 56],
                        "OUT_SHAPES": [1, 7, 14, 28, 56],
                        "IN_CHANNELS": [64, 128, 256, 512, 512],
                        "OUT_CHANNELS": [64, 128, 256, 512, 512],
                        "STU_PREACT": True,
                    }
                },
            ),
        )
    },
}


def write(folder: Path, content: dict[str, Any]) -> Path:
    written = io.StringIO()
    YAML().dump(content, written)
    file = folder / "config.yaml"
    file.write_text(written.getvalue(), encoding="utf-8")
    return file


@pytest.mark.parametrize("name", CONFIGS)
def test_the_configs_of_mdistiller(name: str, tmp_path: Path) -> None:
    content = CONFIGS[name]
    text = command.convert([str(write(tmp_path, content))]).text()
    experiment, student = student_of(text, tmp_path)
    solver = content["SOLVER"]
    assert student.training.epochs == solver["EPOCHS"]
    assert student.training.lr == solver["LR"]
    assert list(student.training.milestones or ()) == solver["LR_DECAY_STAGES"]
    assert student.training.weight_decay == solver["WEIGHT_DECAY"]
    kind = content["DISTILLER"]["TYPE"]
    own = content.get(kind, {})
    weight = own.get("REVIEWKD_WEIGHT", own.get("LOSS", {}).get("FEAT_WEIGHT"))
    assert weight in (None, student.weights.method)
    assert own.get("BETA") in (None, getattr(student.options, "beta", None))
    assert ("DOT is an optimiser" in text) == ("DOT" in solver)
    assert ("torchvision's" in text) == (experiment.data.source == "imagenet")


def test_every_key_of_mdistiller_has_a_line_or_a_setting(tmp_path: Path) -> None:
    """All keys with other values than their defaults: each is in the file or in its comments."""
    content = json.loads(json.dumps(MDISTILLER))
    content["DISTILLER"] |= {"TYPE": "DKD", "TEACHER": "vgg13", "STUDENT": "vgg8"}
    text = command.convert([str(write(tmp_path, content))]).text()
    for line in (
        "LOG.PREFIX ./output: runs have a folder",
        "KD.LOSS.CE_WEIGHT 0.1: without effect for DKD",
        "DATASET.NUM_WORKERS 2: the data are held as arrays",
    ):
        assert line in text
    _, student = student_of(text, tmp_path)
    assert student.options.model_dump()["beta"] == 8


def test_changes_on_its_command_line(tmp_path: Path) -> None:
    file = str(write(tmp_path, CONFIGS["cifar100/KD"]))
    words = ["python3", "tools/train.py", "--cfg", file, "SOLVER.BATCH_SIZE", "128", "LOG.WANDB"]
    text = CliRunner().invoke(app, ["convert", *words, "False"]).stdout
    experiment, _ = student_of(text, tmp_path)
    assert experiment.training.batch_size == 128
    assert "LOG.WANDB False: nothing is sent anywhere" in text
    with pytest.raises(UserError, match=r"LOG\.WANDB has no value"):
        command.convert(words)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["ls"], "found 'ls'; convert takes a command line with train_student.py"),
        (["none.yaml"], "none.yaml: no such config"),
        (["train_teacher.py", "--model", "vgg13"], "every params file that names a teacher"),
        (student_command("crd -b 0.8"), "--alpha is missing"),
        (student_command("crdd -a 0 -b 0.8"), "unknown method 'crdd'; did you mean 'crd'?"),
        (student_command("crd -a 0 -b x"), "argument --beta/-b: invalid float value: 'x'"),
        (student_command("crd -a 0 -b 1 --nope 3"), "unrecognized arguments: --nope 3"),
        (student_command("crd -a 0 -b 1", "x.pth"), "the folder of the file names the teacher"),
        (student_command("crd -a 0 -b -1"), "methods.crd.weights.method: found -1.0"),
        (
            student_command("fsp -a 0 -b 50", "m/wrn_40_2_vanilla/x.pth", "wrn_40_1"),
            "pairs.wrn_40_2-wrn_40_1: fsp cannot match student wrn_40_1",
        ),
        (student_command("crd -a 0 -b 1 --lr_decay_epochs a"), "--lr_decay_epochs: found a"),
        (
            student_command("crd -a 0 -b 1", student="mobile_full"),
            "there is no network 'mobile_full' here: no published result",
        ),
    ],
)
def test_what_cannot_be_converted_costs_one_line(words: list[str], message: str) -> None:
    assert message in refusal(lambda: command.convert(words).text())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"DISTILLER": {"TYPE": "KDD"}}, "unknown method 'KDD'; did you mean 'KD'?"),
        ({"SOLVR": {"LR": 1}}, "unknown key 'SOLVR.LR'; did you mean 'SOLVER.LR'?"),
        ({"SOLVER": {"EPOCHS": "x"}}, "SOLVER.EPOCHS: found 'x'; allowed: an integer"),
        ({"SOLVER": {"LR_DECAY_STAGES": 3}}, "SOLVER.LR_DECAY_STAGES: found 3"),
        ({"SOLVER": {"LR": -1}}, "training.lr: found -1"),
        ({"DATASET": {"TYPE": "imagenet"}}, "unknown network 'imagenet resnet32'"),
        (
            {
                "DATASET": {"TYPE": "imagenet"},
                "DISTILLER": {"TEACHER": "ResNet50", "STUDENT": "MobileNetV2"},
            },
            "there is no network 'imagenet MobileNetV2' here: the usual student",
        ),
    ],
)
def test_wrong_configs_cost_one_line(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    file = write(tmp_path, change)
    assert message in refusal(lambda: mdistiller.convert(file).text())


def test_an_argument_cannot_leave_its_comment(tmp_path: Path) -> None:
    words = student_command("kd -r 0.1 -a 0.9 -b 0")
    text = repdistiller.convert([*words[1:], "--trial", "1\nseeds: [9]"]).text()
    experiment, _ = student_of(text, tmp_path)
    assert experiment.seeds == (0,)
