"""How numbers and names are written in tables and figures."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

DASH = "–"
# Sections of a method entry, which are no part of what a setting is called.
_ROOMS = ("options", "training", "split")
_TITLES = {
    "pair": "Pair",
    "method": "Method",
    "teachers": "Teachers",
    "kd_temperature": "Temperature of KD",
    "training.lr": "Learning rate",
    "training.batch_size": "Batch size (images)",
    "training.epochs": "Epochs",
    "split.fraction": "Share of the training images",
    "split.per_class": "Training images per class",
}
_MINUS = "−"


def number(value: float, digits: int = 2, *, sign: bool = False) -> str:
    """Write a number with a true minus sign; a missing one is a dash."""
    if math.isnan(value):
        return DASH
    return f"{value:{'+' if sign else ''}.{digits}f}".replace("-", _MINUS)


def spread(mean: float, std: float, digits: int = 2) -> str:
    """Write ``mean ± std``, or the mean alone where there is no deviation."""
    text = number(mean, digits)
    return text if math.isnan(std) else f"{text} ± {number(std, digits)}"


def signed(value: float) -> str:
    """Write a difference with its sign."""
    return number(value, sign=True)


def interval(low: float, high: float, *, sign: bool = False) -> str:
    """Write an interval as ``1.20 … 3.40``, a dash where there is none."""
    if math.isnan(low):
        return DASH
    return f"{number(low, sign=sign)} … {number(high, sign=sign)}"


def p_value(p: float) -> str:
    """Write a p value; no more than three decimals are of use."""
    return "< 0.001" if p < 0.001 else number(p, 3)


def p_text(p: float) -> str:
    """Write ``p = 0.012`` or ``p < 0.001``."""
    written = p_value(p)
    return f"p {written}" if written.startswith("<") else f"p = {written}"


def digits_for(values: Iterable[float]) -> int:
    """Return how many decimals show the differences of values of this size: 12.34, 0.1234."""
    largest = max((abs(value) for value in values if not math.isnan(value)), default=0.0)
    return 2 if largest >= 10 else 3 if largest >= 1 else 4


def natural(value: float) -> str:
    """Write a number with the decimals that its size asks for."""
    return number(value, digits_for([value]))


def whole(value: float) -> str:
    """Write a number without decimals."""
    return DASH if math.isnan(value) else f"{value:,.0f}".replace(",", "\u202f")


def millions(count: float) -> str:
    """Write a number in millions: 21.28, 0.078."""
    value = count / 1e6
    return number(value, 2 if value >= 1 else 3)


def duration(seconds: float) -> str:
    """Write a time span in its natural unit."""
    if math.isnan(seconds):
        return DASH
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} s"


def setting(value: Any) -> str:
    """Write the value of a setting as a params file has it."""
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, list):
        return f"[{', '.join(map(setting, value))}]"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def variant_text(variant: str, *, named: bool = True, leave_out: Container[str] = ()) -> str:
    """Write the settings of a variant in one line.

    Args:
        variant: JSON, dotted name -> value.
        named: whether values come with the last part of their names, or with more of them where
            two would be the same.
        leave_out: names of settings that are not written.
    """
    settings = {name: value for name, value in json.loads(variant).items() if name not in leave_out}
    last = {name: name.rpartition(".")[2] for name in settings}
    names = last if len(set(last.values())) == len(last) else short_names(settings)
    return ", ".join(
        f"{names[name]} {setting(value)}" if named else setting(value)
        for name, value in settings.items()
    )


def axis_title(dotted: str) -> str:
    """Write the dotted name of a setting in words: ``options.curve.scale`` is ``Curve scale``."""
    if dotted in _TITLES:
        return _TITLES[dotted]
    room, _, rest = dotted.partition(".")
    if room == "weights":
        return f"Weight of {rest.upper() if len(rest) == 2 else rest}"
    words = re.sub(r"[._]", " ", rest if room in _ROOMS else dotted)
    return f"{words[:1].upper()}{words[1:]}"


def axis_titles(dotted: Iterable[str]) -> dict[str, str]:
    """Return the titles of several settings; where two would be one, with their dotted names."""
    return distinct({name: axis_title(name) for name in dotted})


def markdown(text: str) -> str:
    """Return a text in one line as Markdown that shows it as it is."""
    escaped = re.sub(r"([\\`*_\[\]<>|~&$])", r"\\\1", one_line(text))
    # What would begin a heading, a list or a quotation.
    return re.sub(r"^(#|[-+](?= )|\d+(?=[.)] ))", _escaped_start, escaped)


def _escaped_start(found: re.Match[str]) -> str:
    start = found[1]
    return f"{start}\\" if start.isdigit() else f"\\{start}"


def one_line(text: str) -> str:
    """Return a text without line breaks; narrow spaces between digits stay."""
    return re.sub(r"[ \t\r\n]+", " ", text).strip()


def of_one_seed(caption: str) -> str:
    """Say in a caption that its numbers are of one seed instead of means over seeds."""
    bars = " with error bars of one standard deviation"
    means = rf"(as )?\b(m|M)eans?(?: (?:and|±) standard deviation)? over seeds(?:{bars})?"
    return re.sub(
        means,
        lambda found: f"{'of ' if found[1] else ''}{'O' if found[2] == 'M' else 'o'}ne seed",
        caption,
    )


def counted(count: int, noun: str) -> str:
    """Write ``1 run``, ``2 runs``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def enumerated(names: Sequence[str]) -> str:
    """Write ``A``, ``A and B``, ``A, B and C``; nothing for no names."""
    if not names:
        return ""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def distinct(labels: Mapping[str, str]) -> dict[str, str]:
    """Return the labels; where several ids share one, each gets its id in brackets."""
    uses = Counter(labels.values())
    return {
        name: f"{label} ({name})" if uses[label] > 1 else label for name, label in labels.items()
    }


def short_names(dotted: Iterable[str]) -> dict[str, str]:
    """Return the names of settings without the ``options.`` that most have, if still distinct."""
    names = {name: name.removeprefix("options.") for name in dotted}
    uses = Counter(names.values())
    return {name: short if uses[short] == 1 else name for name, short in names.items()}
