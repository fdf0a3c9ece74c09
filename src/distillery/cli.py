"""The command line: one subcommand a stage, and commands that look after what is on disk."""

from __future__ import annotations

import errno
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from distillery.core.errors import DistilleryError, UserError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Reproducible knowledge distillation of image classifiers.",
)

Params = Annotated[
    Path, typer.Option("--params", "-p", help="Params file of the experiment.", dir_okay=False)
]
Data = Annotated[Path, typer.Option(help="Data folder.", file_okay=False)]
RunName = Annotated[str, typer.Argument(help="Directory name or key of the run.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
# What the disk, and not the code, is to blame for.
_ENVIRONMENT = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}
DEFAULT_PARAMS = Path("params/digits.yaml")
DEFAULT_DATA = Path("data")


def main() -> None:
    """Run the command line; expected failures end in one line and their own exit status."""
    try:
        app(standalone_mode=True)
    except DistilleryError as error:
        print(f"distillery: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except OSError as error:
        if error.errno not in _ENVIRONMENT:
            raise
        print(f"distillery: {error}", file=sys.stderr)
        sys.exit(DistilleryError.exit_code)


def _execute(stage: str, run: str, params: Path, data: Path) -> None:
    from distillery.planning import plan
    from distillery.runs import stages

    found = plan.load(params, data).find(run)
    if found.stage != stage:
        message = f"{found.name} is a run of the stage '{found.stage}', not of '{stage}'"
        raise UserError(message)
    print(stages.execute(data, found))


@app.command()
def prepare(run: RunName, params: Params = DEFAULT_PARAMS, data: Data = DEFAULT_DATA) -> None:
    """Convert a data set to canonical Parquet."""
    _execute("prepare", run, params, data)


@app.command()
def split(run: RunName, params: Params = DEFAULT_PARAMS, data: Data = DEFAULT_DATA) -> None:
    """Choose training and validation images."""
    _execute("split", run, params, data)


@app.command()
def train_teacher(run: RunName, params: Params = DEFAULT_PARAMS, data: Data = DEFAULT_DATA) -> None:
    """Train a teacher."""
    _execute("train-teacher", run, params, data)


@app.command()
def embed(run: RunName, params: Params = DEFAULT_PARAMS, data: Data = DEFAULT_DATA) -> None:
    """Cache a teacher's logits and embeddings under every view."""
    _execute("embed", run, params, data)


@app.command()
def train_student(run: RunName, params: Params = DEFAULT_PARAMS, data: Data = DEFAULT_DATA) -> None:
    """Distil a student."""
    _execute("train-student", run, params, data)


@app.command()
def extract(run: RunName, params: Params = DEFAULT_PARAMS, data: Data = DEFAULT_DATA) -> None:
    """Cache a network's features of another data set."""
    _execute("extract", run, params, data)


@app.command()
def evaluate(run: RunName, params: Params = DEFAULT_PARAMS, data: Data = DEFAULT_DATA) -> None:
    """Run an evaluation protocol on a finished network."""
    _execute("evaluate", run, params, data)


@app.command()
def collect(run: RunName, params: Params = DEFAULT_PARAMS, data: Data = DEFAULT_DATA) -> None:
    """Collect every result of an experiment in one table."""
    _execute("collect", run, params, data)


@app.command()
def report(params: Params = DEFAULT_PARAMS, data: Data = DEFAULT_DATA) -> None:
    """Build tables, figures and the page from the collected results."""
    from distillery.planning import plan
    from distillery.reporting import publish

    print(publish.publish(plan.load(params, data), data))


@app.command("import-teacher")
def import_teacher(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="Checkpoint of RepDistiller or mdistiller; without --arch, a run as for the other "
            "stages.",
        ),
    ],
    arch: Annotated[str | None, typer.Option(help="Architecture of the checkpoint.")] = None,
    params: Params = DEFAULT_PARAMS,
    data: Data = DEFAULT_DATA,
) -> None:
    """Make a published checkpoint a teacher run, and print the lines that use it."""
    if arch is None:
        if Path(file).is_file():
            raise UserError(f"{file}: name its architecture with --arch")
        _execute("import-teacher", file, params, data)
        return
    from distillery.planning import importing, plan

    run, accuracy = importing.import_checkpoint(Path(file), arch, plan.load(params, data), data)
    print(f"{data / run.location}: test top-1 {accuracy:.2f} %")
    print("Use it in a params file of the same data set:")
    print(f"  teachers:\n    {arch}:\n      arch: {arch}\n      checkpoint:")
    print(f"        file: {run.settings['file']}\n        sha256: {run.settings['sha256']}")


@app.command()
def plan(
    params: Params = DEFAULT_PARAMS, data: Data = DEFAULT_DATA, as_json: AsJson = False
) -> None:
    """List the runs of an experiment with their keys, and which of them are done."""
    from distillery.planning import plan as planning
    from distillery.runs import artifacts

    planned = planning.load(params, data)
    runs = [
        {
            "stage": run.stage,
            "run": run.location,
            "key": run.key,
            "done": artifacts.is_complete(data / run.location),
        }
        for run in planned.runs.values()
    ]
    if as_json:
        print(json.dumps({"name": planned.name, "report": planned.report_key, "runs": runs}))
        return
    for run in runs:
        print(f"{'done' if run['done'] else 'to do':6} {run['stage']:14} {run['run']}")
    done = sum(bool(run["done"]) for run in runs)
    print(f"{len(runs)} runs, {done} done, {len(runs) - done} to do")


@app.command()
def methods(
    names: Annotated[list[str] | None, typer.Argument(help="Methods; all by default.")] = None,
    as_json: AsJson = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print docs/methods.md.")] = False,
) -> None:
    """List the methods: what they need of the teacher, default weights, hyperparameters, source."""
    from distillery.methods import catalogue

    shown = catalogue.entries(names or ())
    if as_json:
        print(json.dumps({"methods": [asdict(entry) for entry in shown]}))
    else:
        print(catalogue.markdown(shown) if markdown else catalogue.text(shown))


@app.command()
def schema() -> None:
    """Print the JSON Schema of params files, for editors."""
    from distillery.experiment import params

    print(json.dumps(params.json_schema(), indent=2, sort_keys=True))


@app.command()
def verify(data: Data = DEFAULT_DATA) -> None:
    """Check every file of every run against its manifest."""
    from distillery.runs import housekeeping

    checked, problems = housekeeping.verify(data)
    for problem in problems:
        print(problem)
    print(f"{checked} runs checked, {len(problems)} problems")
    if problems:
        sys.exit(3)


@app.command()
def adopt(
    params: Params = DEFAULT_PARAMS,
    data: Data = DEFAULT_DATA,
    dry_run: Annotated[bool, typer.Option(help="Only say what would be adopted.")] = False,
) -> None:
    """Re-key existing runs to the present code, for edits that you know to be harmless.

    The manifest of an adopted run names the key and code it was made with, and the report marks it.
    """
    from distillery.planning import plan as planning
    from distillery.runs import housekeeping

    adopted = housekeeping.adopt(planning.load(params, data), data, dry_run=dry_run)
    for old, new in adopted:
        print(f"{old} -> {new}")
    print(f"{len(adopted)} runs {'would be ' if dry_run else ''}adopted")


@app.command()
def gc(
    params: Annotated[
        list[Path] | None,
        typer.Option("--params", "-p", help="Params files to keep; all of params/ by default."),
    ] = None,
    data: Data = DEFAULT_DATA,
    remove: Annotated[bool, typer.Option(help="Remove them; otherwise they are listed.")] = False,
) -> None:
    """List or remove runs that no params file wants."""
    from distillery.runs import housekeeping

    files = params or sorted(Path("params").glob("*.y*ml"))
    unwanted = housekeeping.unwanted(files, data)
    for path, size in unwanted:
        print(f"{size / 2**20:9.1f} MiB  {path}")
        if remove:
            housekeeping.remove(path)
    total = sum(size for _, size in unwanted) / 2**20
    print(f"{len(unwanted)} runs, {total:.1f} MiB {'removed' if remove else 'could be removed'}")
