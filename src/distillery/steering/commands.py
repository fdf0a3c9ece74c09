"""The commands of this room."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from distillery.steering.arguments import (
    DEFAULT_DATA,
    DEFAULT_LOGS,
    DEFAULT_PARAMS,
    AsJson,
    Data,
    Params,
    RunName,
)

app = typer.Typer()

Logs = Annotated[Path, typer.Option(help="Folder of logs.", file_okay=False)]


@app.command()
def status(
    params: Params = DEFAULT_PARAMS,
    data: Data = DEFAULT_DATA,
    logs: Logs = DEFAULT_LOGS,
    as_json: AsJson = False,
) -> None:
    """Say what is done, running, failed and why, stopped, and what waits."""
    from distillery.planning import loading
    from distillery.steering import finished, status

    found = status.status_of(loading.load(params, data), data, logs)
    if as_json:
        print(finished.as_json(found))
    else:
        status.print_status(found)


@app.command()
def show(run: RunName, data: Data = DEFAULT_DATA, as_json: AsJson = False) -> None:
    """Show a finished run: settings, metrics, curves, and the command that rebuilds it."""
    from distillery.steering import finished, showing

    artifact = finished.open_finished(run, data)
    if as_json:
        print(finished.as_json(finished.described(artifact)))
    else:
        showing.print_run(artifact, data)


@app.command()
def compare(
    run: RunName,
    other: Annotated[str, typer.Argument(metavar="RUN", help="The other one.")],
    data: Data = DEFAULT_DATA,
    as_json: AsJson = False,
) -> None:
    """Compare two finished runs: settings and inputs that differ, and all metrics."""
    from distillery.steering import finished, showing

    pair = (finished.open_finished(name, data) for name in (run, other))
    differences = showing.compared(*pair)
    if as_json:
        print(finished.as_json(differences))
    else:
        showing.print_compared(differences)


@app.command()
def log(
    run: RunName,
    logs: Logs = DEFAULT_LOGS,
    lines: Annotated[
        int | None, typer.Option("--lines", "-n", min=1, help="Only so many, the last ones.")
    ] = None,
) -> None:
    """Print the log of a run."""
    from distillery.steering.logs import find_log

    said = find_log(run, logs).read_text(encoding="utf-8", errors="replace").splitlines()
    for line in said[-lines:] if lines else said:
        print(line)


@app.command()
def redo(
    run: RunName,
    params: Params = DEFAULT_PARAMS,
    data: Data = DEFAULT_DATA,
    follow: Annotated[
        bool,
        typer.Option(
            "--follow", help="Remove what was made of the old run, if the new one is another."
        ),
    ] = False,
) -> None:
    """Make a run again from the beginning; the old one is kept until the new one is whole."""
    from distillery.planning import loading
    from distillery.steering import redoing

    print(redoing.redo(data, loading.load(params, data).find(run), follow=follow))


@app.command()
def export(
    run: RunName,
    to: Annotated[Path, typer.Option(help="Folder of the files.", file_okay=False)] = Path(
        "exports"
    ),
    formats: Annotated[
        list[str] | None,
        typer.Option("--format", "-f", help="onnx, int8 or pt2; all of them by default."),
    ] = None,
    data: Data = DEFAULT_DATA,
) -> None:
    """Write a finished network as ONNX (float and int8) and for torch.export, ready for use."""
    from distillery.steering import using

    for path in using.export(run, data, to, formats):
        print(path)


@app.command()
def predict(
    network: Annotated[
        str, typer.Argument(metavar="RUN|FILE", help="A run as elsewhere, or an exported file.")
    ],
    images: Annotated[list[Path], typer.Argument(metavar="IMAGES...", help="Image files.")],
    top: Annotated[int, typer.Option("--top", "-k", min=1, help="How many classes.")] = 3,
    data: Data = DEFAULT_DATA,
    as_json: AsJson = False,
) -> None:
    """Classify images by a finished run or an exported file."""
    from distillery.steering import finished, using

    served = using.network_of(network, data)
    found = using.predicted(served, images, top)
    if as_json:
        print(finished.as_json(found))
    else:
        using.print_predicted(found)
