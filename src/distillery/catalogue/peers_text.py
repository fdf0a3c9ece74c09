"""Shows what other projects' names are called here: in a terminal, and as docs/peers.md."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from distillery.catalogue import peers
from distillery.catalogue.methods import WIDTH
from distillery.catalogue.peers import Counterpart, Peer
from distillery.core.schema_words import markdown_table
from distillery.core.text_tables import text_table

PARTS = {"methods": "method", "networks": "network", "data": "data set", "settings": "setting"}

_PREFACE = """\
# Coming from RepDistiller, mdistiller or torchdistill

<!-- Made by `uv run distillery methods --peers --markdown > docs/peers.md`. -->

What the methods, networks, data sets and hyperparameters of these projects are called here, or
why there is no such thing. The tables themselves are in `src/distillery/catalogue/tables/`, to be
read by programs as well.

`distillery convert` turns a command line of RepDistiller or a config of mdistiller into a params
file, with a comment for each setting that has no counterpart:

```
distillery convert python train_student.py --path_t resnet32x4_vanilla/ckpt_epoch_240.pth \\
    --distill crd --model_s resnet8x4 -a 0 -b 0.8 > params/mine.yaml
distillery convert configs/cifar100/dkd/res32x4_res8x4.yaml > params/dkd.yaml
distillery convert tools/train.py --cfg kd.yaml SOLVER.BATCH_SIZE 128 > params/kd.yaml
```

torchdistill's configs import Python objects by name, so that they cannot be converted; its losses
are below.

Keys are those of a params file ([Params](params.md)): `methods.*` is any entry of the section
`methods`, `methods.crd` an entry of the method `crd`."""


def text() -> str:
    """Return what terminals show."""
    return "\n\n".join(_text(peer) for peer in _all())


def markdown() -> str:
    """Return docs/peers.md."""
    return "\n\n".join([_PREFACE, *(_section(peer) for peer in _all())])


def as_json() -> str:
    """Return the tables as JSON."""
    return json.dumps({"peers": [peer.model_dump(mode="json") for peer in _all()]})


def _all() -> list[Peer]:
    return [peers.load(name) for name in peers.NAMES]


def _text(peer: Peer) -> str:
    rows = [
        (theirs, ", ".join(each.ours) or "-", each.reason or each.note)
        for _, table in _parts(peer)
        for theirs, each in table.items()
    ]
    table = text_table(("THEIRS", "OURS", "NOTE"), rows, width=WIDTH)
    return "\n".join([f"{peer.title} ({peer.source})", *table])


def _section(peer: Peer) -> str:
    parts = [f"## {peer.title}", f"From {peer.source}."]
    for kind, table in _parts(peer):
        rows = [
            (
                f"`{theirs}`",
                ", ".join(f"`{name}`" for name in each.ours) or "-",
                each.note or each.reason,
            )
            for theirs, each in table.items()
        ]
        parts.append(markdown_table((kind, "here", "note"), rows))
    return "\n\n".join(parts)


def _parts(peer: Peer) -> Iterator[tuple[str, Mapping[str, Counterpart]]]:
    for name, kind in PARTS.items():
        if table := getattr(peer, name):
            yield kind, table
