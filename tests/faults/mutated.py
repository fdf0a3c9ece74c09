"""Real files, changed here and there, as hypothesis draws them; and readers, kept on a short lead.

A reader may crash the process, take all memory or never end, so it works in a process of its own.
"""

from __future__ import annotations

import json
import resource
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from campaign import one_line
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from processes import FORKED

from distillery.core.errors import DistilleryError

_MORE_MEMORY, _SECONDS = 2**30, 20


@st.composite
def mutated(draw: st.DrawFn, samples: list[bytes]) -> bytes:
    """Draw a file with a few bytes overwritten, put in or left out, or with its end cut off."""
    content = bytearray(draw(st.sampled_from(samples)))
    for _ in range(draw(st.integers(1, 4))):
        # Most formats have what matters at their beginning or their end.
        near = draw(st.integers(0, min(200, len(content))))
        anywhere = st.integers(0, len(content))
        place = draw(st.sampled_from([near, len(content) - near]) | anywhere)
        few = draw(st.binary(min_size=1, max_size=8) | st.just(b"\xff\xff\xff\xff"))
        match draw(st.sampled_from(["overwrite", "insert", "leave out", "cut"])):
            case "overwrite":
                content[place : place + len(few)] = few
            case "insert":
                content[place:place] = few
            case "leave out":
                del content[place : place + len(few)]
            case _:
                del content[place:]
    return bytes(content)


def read_many(
    read: Callable[[Path], Any], samples: list[Path], count: int, folder: Path
) -> dict[str, int]:
    """Let ``read``, a function of a module, read so many mutated files; return what came of them.

    Whatever it raises but a line of ours, a crash, a file that takes longer than some seconds and
    memory beyond a gigabyte are failures; the file that was read last is left in ``folder``.
    """
    folder.mkdir()
    process = FORKED.Process(target=_read_many, args=(read, samples, count, folder))
    process.start()
    process.join()
    assert process.exitcode == 0, f"{folder}: exit {process.exitcode} of the reader"
    return dict(json.loads((folder / "counts.json").read_text()))


def _read_many(read: Callable[[Path], Any], samples: list[Path], count: int, folder: Path) -> None:
    # Once, before memory is limited: what it imports and keeps is no matter of the files.
    for sample in samples:
        read(sample)
    used = 1024 * int(_status("VmSize").split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (used + _MORE_MEMORY, used + _MORE_MEMORY))
    file = folder / f"mutated{samples[0].suffix}"
    counts: Counter[str] = Counter()
    quiet = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]

    @seed(0)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=quiet,
    )
    @given(content=mutated([sample.read_bytes() for sample in samples]))
    def once(content: bytes) -> None:
        file.write_bytes(content)
        signal.alarm(_SECONDS)
        try:
            read(file)
            outcome = "read: what was hit means nothing or a value"
        except DistilleryError as error:
            said = one_line(error)
            outcome = "refused in one line"
        else:
            said = file.name
        signal.alarm(0)
        assert file.name in said
        counts[outcome] += 1

    once()
    (folder / "counts.json").write_text(json.dumps(counts))


def _status(name: str) -> str:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(line.partition(":")[2] for line in lines if line.startswith(f"{name}:"))
