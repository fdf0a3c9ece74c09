"""Reads a command line of RepDistiller's train_student.py."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from typing import Any, NoReturn

from distillery.catalogue import peers
from distillery.catalogue.converting.converted import Converted, counterpart, reached
from distillery.core.errors import UserError

PROGRAM = "train_student.py"
TEACHERS = "train_teacher.py"

# Name, short name, kind and default, as its parser has them.
_FLAGS: tuple[tuple[str, str, type, Any], ...] = (
    ("--print_freq", "", int, 100),
    ("--tb_freq", "", int, 500),
    ("--save_freq", "", int, 40),
    ("--batch_size", "", int, 64),
    ("--num_workers", "", int, 8),
    ("--epochs", "", int, 240),
    ("--init_epochs", "", int, 30),
    ("--learning_rate", "", float, 0.05),
    ("--lr_decay_epochs", "", str, "150,180,210"),
    ("--lr_decay_rate", "", float, 0.1),
    ("--weight_decay", "", float, 5e-4),
    ("--momentum", "", float, 0.9),
    ("--dataset", "", str, "cifar100"),
    ("--model_s", "", str, "resnet8"),
    ("--path_t", "", str, None),
    ("--distill", "", str, "kd"),
    ("--trial", "", str, "1"),
    ("--gamma", "-r", float, 1.0),
    ("--alpha", "-a", float, None),
    ("--beta", "-b", float, None),
    ("--kd_T", "", float, 4.0),
    ("--feat_dim", "", int, 128),
    ("--mode", "", str, "exact"),
    ("--nce_k", "", int, 16384),
    ("--nce_t", "", float, 0.07),
    ("--nce_m", "", float, 0.5),
    ("--hint_layer", "", int, 2),
)
DEFAULTS = {flag: default for flag, _, _, default in _FLAGS}
# Option here by flag there, of each method that reads the flag.
_OPTIONS = {
    "kd": {"--kd_T": "temperature"},
    "fitnet": {"--hint_layer": "hint_layer"},
    "cc": {"--feat_dim": "dim"},
    "crd": {
        "--feat_dim": "dim",
        "--mode": "positives",
        "--nce_k": "negatives",
        "--nce_t": "temperature",
        "--nce_m": "momentum",
    },
    "ab": {"--init_epochs": "pretraining_epochs"},
    "fsp": {"--init_epochs": "pretraining_epochs"},
    "ft": {"--init_epochs": "pretraining_epochs"},
}
_OF_METHODS = {flag for flags in _OPTIONS.values() for flag in flags}
# Methods to which its loop adds no loss of their own, whatever --beta is.
_WITHOUT_BETA = ("kd", "ab", "fsp")
_MOBILE = ("MobileNetV2", "mobile_half", "mobile_full", "ShuffleV1", "ShuffleV2")
_MOBILE_RATE = 0.01


def convert(words: Sequence[str]) -> Converted:
    """Return what a command line asks for.

    Args:
        words: the command line, from the program's name on.

    Raises:
        UserError: it is none, or asks for what there is not here.
    """
    origin = shlex.join(words)
    if words[0].endswith(TEACHERS):
        raise UserError(
            f"{TEACHERS}: every params file that names a teacher trains it; "
            f"convert the command line of {PROGRAM}"
        )
    given = _parsed(words[1:])
    values = DEFAULTS | given
    for flag in ("--path_t", "--alpha", "--beta"):
        if values[flag] is None:
            raise UserError(f"{PROGRAM}: {flag} is missing; it has no default there that works")
    table = peers.load("repdistiller")
    method = counterpart(table.methods, "method", values["--distill"], PROGRAM)
    comments = _without_counterpart(given, method)
    teacher = _teacher_of(values["--path_t"])
    mobile = {"lr": _MOBILE_RATE} if values["--model_s"] in _MOBILE else {}
    if mobile and values["--learning_rate"] != _MOBILE_RATE:
        comments.append(f"{PROGRAM} trains {values['--model_s']} with 0.01, whatever is asked for")
    comments.append(
        f"the teacher is trained, too. To have that of {values['--path_t']}: `distillery "
        f"import-teacher FILE --arch {teacher}` prints the lines for the section teachers"
    )
    return Converted(
        origin=origin,
        source=counterpart(table.data, "data set", values["--dataset"], PROGRAM),
        teacher=counterpart(table.networks, "network", teacher, PROGRAM),
        student=counterpart(table.networks, "network", values["--model_s"], PROGRAM),
        training=_training(values, comments),
        of_student=mobile,
        method=method,
        entry=_entry(method, values, comments),
        comments=comments,
    )


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UserError(f"{PROGRAM}: {message}")


def _parsed(words: Sequence[str]) -> dict[str, Any]:
    """Return the flags that are given, by their long names."""
    parser = _Parser(add_help=False, argument_default=argparse.SUPPRESS)
    for flag, short, kind, _ in _FLAGS:
        parser.add_argument(*filter(None, (flag, short)), type=kind)
    return {f"--{name}": value for name, value in vars(parser.parse_args(words)).items()}


def _teacher_of(path: str) -> str:
    """Return the architecture that its loader finds in a path: FOLDER of .../FOLDER/FILE."""
    folders = path.split("/")
    if len(folders) < 2:
        raise UserError(f"{PROGRAM}: --path_t {path}: the folder of the file names the teacher")
    parts = folders[-2].split("_")
    return "_".join(parts[:3]) if parts[0] == "wrn" else parts[0]


def _training(values: dict[str, Any], comments: list[str]) -> dict[str, Any]:
    try:
        milestones = [int(epoch) for epoch in values["--lr_decay_epochs"].split(",")]
    except ValueError:
        found = values["--lr_decay_epochs"]
        raise UserError(f"{PROGRAM}: --lr_decay_epochs: found {found}; allowed: 150,180") from None
    return {
        "epochs": values["--epochs"],
        "batch_size": values["--batch_size"],
        "lr": values["--learning_rate"],
        "milestones": reached(milestones, values["--epochs"], "--lr_decay_epochs", comments),
        "gamma": values["--lr_decay_rate"],
        "weight_decay": values["--weight_decay"],
        "momentum": values["--momentum"],
    }


def _entry(method: str, values: dict[str, Any], comments: list[str]) -> dict[str, Any]:
    alpha, beta = values["--alpha"], values["--beta"]
    weights = {"ce": values["--gamma"]}
    if method == "kd":
        weights["method"] = alpha
    else:
        weights["kd"] = alpha
        if method not in _WITHOUT_BETA:
            weights["method"] = beta
    if method in _WITHOUT_BETA and beta:
        comments.append(f"--beta {beta:g}: without effect for {values['--distill']} there")
    options = {
        option: values[flag]
        for flag, option in _OPTIONS.get(method, {}).items()
        if values[flag] != DEFAULTS[flag]
    }
    if method == "fsp":
        options["pretraining_weight"] = 1.0
    if method == "ft" and not values["--model_s"].startswith(("resnet", "wrn")):
        options["pretraining_lr"] = None
    entry: dict[str, Any] = {"weights": weights}
    if options:
        entry["options"] = options
    if method != "kd" and alpha and values["--kd_T"] != DEFAULTS["--kd_T"]:
        entry["kd_temperature"] = values["--kd_T"]
    return entry


def _without_counterpart(given: dict[str, Any], method: str) -> list[str]:
    """Return a comment for every flag that is given in vain."""
    comments = []
    for flag, value in given.items():
        found = peers.load("repdistiller").settings[flag]
        read_by_method = flag in _OPTIONS.get(method, {})
        is_vain = flag in _OF_METHODS and not read_by_method
        if flag == "--kd_T":
            is_vain = method != "kd" and not given.get("--alpha")
        if is_vain:
            comments.append(f"{flag} {value}: without effect for {method}")
        elif found.reason or flag == "--trial":
            comments.append(f"{flag} {value}: {found.reason or found.note}")
    return comments
