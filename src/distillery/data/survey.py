"""What the heads of all image files of a set say together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain

from distillery.core.errors import UserError
from distillery.core.processes import available_cores, mapping
from distillery.data.images import Header, ImageFiles

# Heads that a process reads at a time.
_SHARE = 512
# Unreadable files that are named.
_SHOWN = 5


@dataclass(frozen=True)
class Survey:
    """What there is among images.

    Attributes:
        sizes: (width, height) -> how many.
        modes: Pillow's mode -> how many.
        grey, transparent, animated: how many are so.
        odd: number of the first image of another size than the first; None if there is none.
    """

    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    modes: Counter[str] = field(default_factory=Counter)
    grey: int = 0
    transparent: int = 0
    animated: int = 0
    odd: int | None = None

    @property
    def channels(self) -> int:
        """1 when all images are grey, else 3."""
        return 1 if self.grey == self.modes.total() else 3

    def joined(self, other: Survey) -> Survey:
        """Return what there is among the images of both."""
        return Survey(
            self.sizes + other.sizes,
            self.modes + other.modes,
            self.grey + other.grey,
            self.transparent + other.transparent,
            self.animated + other.animated,
        )

    def notes(self, background: str) -> list[str]:
        """Return what becomes of images that are not simply taken as they are."""
        notes, of_all = [], f"of {self.modes.total()} images have"
        if self.animated:
            notes.append(f"{self.animated} {of_all} several frames: the first is taken")
        if self.transparent:
            notes.append(
                f"{self.transparent} {of_all} transparency: they are laid over {background}"
            )
        return notes


def survey(images: ImageFiles) -> Survey:
    """Read the heads of all images; several processes do if there are many.

    Raises:
        UserError: some cannot be read; all of them are counted, so that one look finds them.
    """
    starts = range(0, len(images), _SHARE)

    def read(start: int) -> list[Header | str]:
        return [_read(images, each) for each in range(start, min(start + _SHARE, len(images)))]

    with mapping(read, max(1, min(available_cores(), len(starts)))) as over:
        found = list(chain.from_iterable(over(starts)))
    _require_readable([problem for problem in found if isinstance(problem, str)])
    heads = [head for head in found if isinstance(head, Header)]
    return Survey(
        sizes=Counter(head.size for head in heads),
        modes=Counter(head.mode for head in heads),
        grey=sum(head.is_grey for head in heads),
        transparent=sum(head.is_transparent for head in heads),
        animated=sum(head.frames > 1 for head in heads),
        odd=next((n for n, head in enumerate(heads) if head.size != heads[0].size), None),
    )


def _read(images: ImageFiles, number: int) -> Header | str:
    """Return the head of an image, or in a line why it cannot be read."""
    try:
        return images.header(number)
    except UserError as error:
        return str(error)


def _require_readable(problems: Sequence[str]) -> None:
    if not problems:
        return
    first, *others = problems
    names = ", ".join(problem.partition(": ")[0] for problem in others[:_SHOWN])
    beyond = ", ..." if len(others) > _SHOWN else ""
    more = f"; the same of {len(others)} more: {names}{beyond}" if others else ""
    raise UserError(f"{first}{more}")
