"""Loads plans, which are kept on disk.

A plan depends on the params file, on the code and on the contents of raw data alone. It is kept
under the digest of the first two: methods and models need torch, whose import would otherwise slow
down every call. What is kept is never believed: a plan that is not what was written to the bit, in
which a run's key is not that of its settings, inputs and code, or whose raw data or own networks
are others by now is made anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from distillery.core.errors import UnknownName, UserError
from distillery.core.files import read_regular, write_atomically
from distillery.data.card import Look
from distillery.experiment.errors import KeyPath, format_problem, path_of_data
from distillery.models.naming import source_of
from distillery.planning.plan import OutsideFile, Plan
from distillery.runs.artifact import Finished
from distillery.runs.fingerprint import source_digest

_CACHE = ".cache/plans"


def load(params: Path, data: Path = Path("data")) -> Plan:
    """Return the plan of a params file, from the disk when file and code are unchanged.

    Raises:
        UserError: the params file is wrong, or raw data are missing or unsuitable, in one line.
    """
    content = read_params(params)
    made_of = hashlib.sha256(
        f"{source_digest()}\0{sys.version}\0{params}\0".encode() + content
    ).hexdigest()
    file = data / _CACHE / f"{made_of[:32]}.json"
    plan = _kept(file, made_of)
    if not plan or not _is_current(plan, params, data):
        plan = _made(params, data, file, made_of)
    finished = Finished(data)
    for each in plan.outside:
        if each.run not in finished:
            _require_outside(each, params, data)
    return plan


def read_params(file: Path) -> bytes:
    """Return the content of a params file.

    Raises:
        UserError: it cannot be read; where there is none, the nearest name beside it is named.
    """
    near = [path.name for path in file.parent.glob("*.y*ml")] if not file.exists() else []
    if near:
        raise UserError(f"{file}: no such params file{UnknownName.hint(file.name, near)}")
    return read_regular(file, "params file")


def _kept(file: Path, made_of: str) -> Plan | None:
    """Return the plan in ``file``; None if there is none, or it is damaged."""
    try:
        seal, _, content = file.read_bytes().partition(b"\n")
        if seal != _seal(made_of, content):
            return None
        plan = Plan.model_validate_json(content)
    except (OSError, ValueError):
        return None
    return plan if plan.has_own_keys and _has_present_code(plan) else None


def _has_present_code(plan: Plan) -> bool:
    """Tell whether the user's own networks are still those that the plan was made of."""
    networks = {
        (run.settings.get("arch"), run.settings.get("source")) for run in plan.runs.values()
    }
    try:
        return all(source == source_of(arch) for arch, source in networks if arch and source)
    except UserError:
        return False


def _is_current(plan: Plan, params: Path, data: Path) -> bool:
    """Tell whether raw data are what they were when a plan was made."""
    if not plan.sources:
        return True
    from distillery.data.looking import identified

    sources = plan.sources
    paths = {name: source.path for name, source in sources.items()}
    present = _looks(lambda name: identified(sources[name], data), paths, params)
    return all(
        (each.contents, each.is_here) == (plan.looks[name].contents, plan.looks[name].is_here)
        for name, each in present.items()
    )


def _require_outside(wanted: OutsideFile, params: Path, data: Path) -> None:
    """Demand a file that a run reads which has not been made yet.

    Raises:
        UserError: the file is missing or another one.
    """
    from distillery.data.contents import digest_of, folder_of_raw_files
    from distillery.data.files import find, missing, roots_of

    roots = roots_of(folder_of_raw_files(data))
    path = find([wanted.name], roots)
    if path is None:
        raise UserError(f"{params}: {wanted.key}.file: {missing([wanted.name], roots)}")
    digest = digest_of(path, data)
    if digest != wanted.sha256:
        raise UserError(f"{params}: {wanted.key}.sha256: that of {path} is {digest}")


def _looks(
    how: Callable[[str], Look], paths: Mapping[str, str | None], params: Path
) -> dict[str, Look]:
    """Look at data sets, and name the key of the one that is at fault.

    Args:
        how: id of a data set -> what is found of it.
        paths: id -> the file or folder that the params file names, if it does.
        params: the params file.
    """
    found = {}
    for name, path in paths.items():
        try:
            found[name] = how(name)
        except UserError as error:
            key: KeyPath = (*path_of_data(name), *(["path"] if path else []))
            raise UserError(format_problem(params, key, str(error))) from None
    return found


def _made(params: Path, data: Path, file: Path, made_of: str) -> Plan:
    from distillery.data.looking import look
    from distillery.experiment import reading
    from distillery.planning.build import build

    experiment = reading.load(params)
    sources = {
        name: each.origin for name, each in experiment.data_sets.items() if not each.facts.built_in
    }
    paths = {name: source.path for name, source in sources.items()}
    looks = _looks(lambda name: look(sources[name], data), paths, params)
    plan = build(experiment, params, looks)
    content = plan.model_dump_json().encode()
    # Where nothing can be written, plans are made each time.
    with contextlib.suppress(OSError):
        write_atomically(file, _seal(made_of, content) + b"\n" + content)
    return plan


def _seal(made_of: str, content: bytes) -> bytes:
    """Return the digest of a plan and of what it was made of: none passes for another."""
    return hashlib.sha256(made_of.encode() + content).hexdigest().encode()
