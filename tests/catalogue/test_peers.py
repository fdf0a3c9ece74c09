"""What RepDistiller, mdistiller and torchdistill call things is covered, and our side exists."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from distillery.catalogue import peers, peers_text
from distillery.catalogue.peers import Counterpart
from distillery.cli import app
from distillery.core.errors import UserError
from distillery.core.flattening import flattened
from distillery.data import registry as sources
from distillery.experiment.experiment import Experiment
from distillery.experiment.methods import MethodEntry
from distillery.methods import registry as methods
from distillery.models import registry as models

ROOT = Path(__file__).parents[2]

# Flags of train_student.py at b84f547c, and its choices.
REPDISTILLER_FLAGS = [
    "print_freq",
    "tb_freq",
    "save_freq",
    "batch_size",
    "num_workers",
    "epochs",
    "init_epochs",
    "learning_rate",
    "lr_decay_epochs",
    "lr_decay_rate",
    "weight_decay",
    "momentum",
    "dataset",
    "model_s",
    "path_t",
    "distill",
    "trial",
    "gamma",
    "alpha",
    "beta",
    "kd_T",
    "feat_dim",
    "mode",
    "nce_k",
    "nce_t",
    "nce_m",
    "hint_layer",
]
REPDISTILLER_METHODS = [
    "kd",
    "hint",
    "attention",
    "similarity",
    "correlation",
    "vid",
    "crd",
    "kdsvd",
    "fsp",
    "rkd",
    "pkt",
    "abound",
    "factor",
    "nst",
]
REPDISTILLER_NETWORKS = [
    "resnet8",
    "resnet14",
    "resnet20",
    "resnet32",
    "resnet44",
    "resnet56",
    "resnet110",
    "resnet8x4",
    "resnet32x4",
    "wrn_16_1",
    "wrn_16_2",
    "wrn_40_1",
    "wrn_40_2",
    "vgg8",
    "vgg11",
    "vgg13",
    "vgg16",
    "vgg19",
    "ResNet50",
    "MobileNetV2",
    "ShuffleV1",
    "ShuffleV2",
]
# Keys of engine/cfg.py at a08d46f1 with their defaults.
MDISTILLER: dict[str, Any] = {
    "EXPERIMENT": {"PROJECT": "distill", "NAME": "", "TAG": "default"},
    "DATASET": {"TYPE": "cifar100", "NUM_WORKERS": 2, "TEST": {"BATCH_SIZE": 64}},
    "DISTILLER": {"TYPE": "NONE", "TEACHER": "ResNet50", "STUDENT": "resnet32"},
    "SOLVER": {
        "TRAINER": "base",
        "BATCH_SIZE": 64,
        "EPOCHS": 240,
        "LR": 0.05,
        "LR_DECAY_STAGES": [150, 180, 210],
        "LR_DECAY_RATE": 0.1,
        "WEIGHT_DECAY": 0.0001,
        "MOMENTUM": 0.9,
        "TYPE": "SGD",
        "DOT": {"DELTA": 0.075},
    },
    "LOG": {
        "TENSORBOARD_FREQ": 500,
        "SAVE_CHECKPOINT_FREQ": 40,
        "PREFIX": "./output",
        "WANDB": True,
    },
    "KD": {"TEMPERATURE": 4, "LOSS": {"CE_WEIGHT": 0.1, "KD_WEIGHT": 0.9}},
    "AT": {"P": 2, "LOSS": {"CE_WEIGHT": 1.0, "FEAT_WEIGHT": 1000.0}},
    "RKD": {
        "DISTANCE_WEIGHT": 25,
        "ANGLE_WEIGHT": 50,
        "LOSS": {"CE_WEIGHT": 1.0, "FEAT_WEIGHT": 1.0},
        "PDIST": {"EPSILON": 1e-12, "SQUARED": False},
    },
    "FITNET": {
        "HINT_LAYER": 2,
        "INPUT_SIZE": [32, 32],
        "LOSS": {"CE_WEIGHT": 1.0, "FEAT_WEIGHT": 100.0},
    },
    "KDSVD": {"K": 1, "LOSS": {"CE_WEIGHT": 1.0, "FEAT_WEIGHT": 1.0}},
    "OFD": {"LOSS": {"CE_WEIGHT": 1.0, "FEAT_WEIGHT": 0.001}, "CONNECTOR": {"KERNEL_SIZE": 1}},
    "NST": {"LOSS": {"CE_WEIGHT": 1.0, "FEAT_WEIGHT": 50.0}},
    "PKT": {"LOSS": {"CE_WEIGHT": 1.0, "FEAT_WEIGHT": 30000.0}},
    "SP": {"LOSS": {"CE_WEIGHT": 1.0, "FEAT_WEIGHT": 3000.0}},
    "VID": {
        "LOSS": {"CE_WEIGHT": 1.0, "FEAT_WEIGHT": 1.0},
        "EPS": 1e-5,
        "INIT_PRED_VAR": 5.0,
        "INPUT_SIZE": [32, 32],
    },
    "CRD": {
        "MODE": "exact",
        "FEAT": {"DIM": 128, "STUDENT_DIM": 256, "TEACHER_DIM": 256},
        "LOSS": {"CE_WEIGHT": 1.0, "FEAT_WEIGHT": 0.8},
        "NCE": {"K": 16384, "MOMENTUM": 0.5, "TEMPERATURE": 0.07},
    },
    "REVIEWKD": {
        "CE_WEIGHT": 1.0,
        "REVIEWKD_WEIGHT": 1.0,
        "WARMUP_EPOCHS": 20,
        "SHAPES": [1, 8, 16, 32],
        "OUT_SHAPES": [1, 8, 16, 32],
        "IN_CHANNELS": [64, 128, 256, 256],
        "OUT_CHANNELS": [64, 128, 256, 256],
        "MAX_MID_CHANNEL": 512,
        "STU_PREACT": False,
    },
    "DKD": {"CE_WEIGHT": 1.0, "ALPHA": 1.0, "BETA": 8.0, "T": 4.0, "WARMUP": 20},
}
MDISTILLER_METHODS = [
    "NONE",
    "KD",
    "AT",
    "OFD",
    "RKD",
    "FITNET",
    "KDSVD",
    "CRD",
    "NST",
    "PKT",
    "SP",
    "VID",
    "REVIEWKD",
    "DKD",
]
# Losses of torchdistill 3e4373c4, and the arguments of each that are hyperparameters.
TORCHDISTILL = {
    "KDLoss": "temperature alpha beta",
    "FSPLoss": "fsp_pairs.weight",
    "ATLoss": "at_pairs.weight mode",
    "PKTLoss": "eps",
    "FTLoss": "p",
    "AltActTransferLoss": "feature_pairs.weight margin",
    "RKDLoss": "dist_factor angle_factor",
    "VIDLoss": "feature_pairs.weight",
    "CCKDLoss": "kernel_config.type kernel_config.gamma kernel_config.max_p",
    "SPKDLoss": "",
    "CRDLoss": "input_size output_size num_samples num_negative_samples temperature momentum eps",
    "AuxSSKDLoss": "",
    "SSKDLoss": "kl_temp ss_temp tf_temp ss_ratio tf_ratio loss_weights",
    "PADL2Loss": "eps reduction",
    "HierarchicalContextLoss": "output_sizes",
    "ChSimLoss": "feature_pairs.weight",
    "DISTLoss": "beta gamma tau eps",
    "SRDLoss": "exponent temperature",
    "LogitStdKDLoss": "temperature alpha beta eps",
    "SKDInstanceLoss": "temperature",
    "SKDDirectionLoss": "tikhonov",
    "DISTPlusLoss": "*",
    "RegularizationLoss": "*",
    "KTALoss": "*",
    "AffinityLoss": "*",
}


def test_every_name_of_repdistiller_is_covered() -> None:
    table = peers.load("repdistiller")
    flags = [f"--{flag}" for flag in REPDISTILLER_FLAGS]
    assert [key for key in table.settings if key.startswith("--")] == flags
    assert list(table.methods) == REPDISTILLER_METHODS
    assert set(REPDISTILLER_NETWORKS) <= set(table.networks)


def test_every_name_of_mdistiller_is_covered() -> None:
    table = peers.load("mdistiller")
    assert set(table.settings) == set(flattened(MDISTILLER))
    assert list(table.methods) == MDISTILLER_METHODS


def test_every_loss_of_torchdistill_is_covered() -> None:
    table = peers.load("torchdistill")
    assert list(table.methods) == list(TORCHDISTILL)
    arguments = {f"{loss}.{name}" for loss, names in TORCHDISTILL.items() for name in names.split()}
    common = {"WeightedSumLoss.sub_terms.weight", "*_path, *_io, *_pairs", "*.reduction"}
    assert set(table.settings) == arguments | common


EVERY = [
    (peer, part, theirs, each)
    for peer in peers.NAMES
    for part in peers_text.PARTS
    for theirs, each in getattr(peers.load(peer), part).items()
]


@pytest.mark.parametrize(
    ("part", "each"),
    [(part, each) for _, part, _, each in EVERY],
    ids=[f"{peer}-{theirs}" for peer, _, theirs, _ in EVERY],
)
def test_our_side_exists(part: str, each: Counterpart) -> None:
    known = {"methods": methods.names, "networks": models.names, "data": sources.names}
    for ours in each.ours:
        if part in known:
            assert ours in known[part]()
        else:
            exists(ours)
    assert each.ours or each.reason


def exists(path: str) -> None:
    """Look a setting up in the schema; options of methods in those of the method."""
    section, *keys = path.split(".")
    if section == "methods" and keys[1] == "options":
        (name, _, option) = keys
        assert option in methods.load(name).Options.model_fields
        return
    if section == "methods":
        assert keys[0] == "*" or keys[0] in methods.names()
        keys = keys[1:]
        model: Any = MethodEntry
    else:
        model = Experiment.model_fields[section].annotation
    for key in keys:
        if key == "*":
            model = model.__args__[1]
            continue
        model = next((each for each in getattr(model, "__args__", ()) if each), model)
        assert key in model.model_fields, path
        model = model.model_fields[key].annotation


def test_defaults_of_mdistiller_are_ours() -> None:
    """So that what a config leaves out can be left out of the params file."""
    checked = 0
    for key, default in flattened(MDISTILLER).items():
        for ours in peers.load("mdistiller").settings[key].ours:
            if not ours.startswith("methods.") or ours.startswith("methods.*"):
                continue
            name, *rest = ours.split(".")[1:]
            method = methods.load(name)
            of = method.weights if rest[0] == "weights" else method.Options()
            assert getattr(of, rest[1]) == default, key
            checked += 1
    assert checked > 40


def test_either_a_counterpart_or_a_reason() -> None:
    for wrong in ({}, {"ours": "kd", "reason": "none"}):
        with pytest.raises(ValueError, match="either ours or a reason"):
            Counterpart.model_validate(wrong)


def test_the_page_is_current() -> None:
    assert (ROOT / "docs" / "peers.md").read_text(encoding="utf-8") == peers_text.markdown() + "\n"


def test_the_command_line() -> None:
    shown = CliRunner().invoke(app, ["methods", "--peers"]).stdout
    assert max(map(len, shown.splitlines())) <= 120
    assert ["--nce_k", "methods.crd.options.negatives"] in [
        line.split() for line in shown.splitlines()
    ]
    found = json.loads(CliRunner().invoke(app, ["methods", "--peers", "--json"]).stdout)["peers"]
    assert [peer["title"] for peer in found] == ["RepDistiller", "mdistiller", "torchdistill"]
    refused = CliRunner().invoke(app, ["methods", "kd", "--peers"]).exception
    assert isinstance(refused, UserError)
