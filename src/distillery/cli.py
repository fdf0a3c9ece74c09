"""The command line: it computes runs, and looks after what is on disk."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from distillery.core.errors import DistilleryError, UserError, exit_on_failure
from distillery.core.signals import ending_at_once
from distillery.steering import commands as steering
from distillery.steering.arguments import (
    DEFAULT_DATA,
    DEFAULT_PARAMS,
    AsJson,
    Data,
    Params,
)

if TYPE_CHECKING:
    from distillery.costs.commands import Benchmark, Estimated

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Reproducible knowledge distillation of image classifiers.",
)

_SIDE = "Folder of a report, params file, or REVISION:FOLDER of a committed report."

app.add_typer(steering.app)


def main() -> None:
    """Run the command line; expected failures end in one line and their own exit status."""
    with ending_at_once(), exit_on_failure():
        app(standalone_mode=True)


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Folder or archive of images.")],
    params: Annotated[
        Path | None,
        typer.Option("--params", "-p", help="Params file to write; by default in params/."),
    ] = None,
    data: Data = DEFAULT_DATA,
) -> None:
    """Look at a folder of images, and write a params file that fits it."""
    from distillery.planning import loading, starting

    found = starting.look_at(folder, data)
    for line in found.lines():
        print(line)
    file = params or Path("params", f"{found.name}.yaml")
    starting.write(found, file)
    planned = loading.load(file, data)
    print(f"{file}: written, {len(planned.runs)} runs. Edit it if you like, and then:")
    print(f"  snakemake --cores all --configfile {shlex.quote(str(file))}")


@app.command()
def run(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="RUN...", help="Names of runs, parts of them, or keys."),
    ] = None,
    params: Params = DEFAULT_PARAMS,
    data: Data = DEFAULT_DATA,
    logs: Annotated[
        Path | None,
        typer.Option(help="Folder of logs, one for each run.", file_okay=False),
    ] = None,
    lanes: Annotated[
        int, typer.Option(min=1, help="How many are computed at a time, on one device.")
    ] = 1,
    only: Annotated[
        str | None,
        typer.Option(help="Instead of runs: all that the students of this method entry need."),
    ] = None,
    pair: Annotated[str | None, typer.Option(help="The same for the students of a pair.")] = None,
    seed: Annotated[int | None, typer.Option(help="The same for those of a seed.")] = None,
) -> None:
    """Compute runs of any stage, unless they are there.

    With --only, --pair and --seed: the students of the comparison that all of these name, what
    their protocols measure, and whatever these need. Each of several has a process of its own. One
    that fails does not keep the others from being tried; the exit status is that of the first that
    failed.
    """
    from distillery.planning import loading
    from distillery.runs import apart, stages
    from distillery.steering.choosing import chosen

    planned = loading.load(params, data)
    some = (only, pair, seed)
    if bool(names) == (some != (None, None, None)):
        raise UserError("name runs, or say which by --only, --pair and --seed")
    runs = [planned.find(name) for name in names or ()] or chosen(planned, *some)
    if len(runs) == 1:
        if logs:
            log = apart.log_of(logs, runs[0])
            print(f"{runs[0].name}: see {log}", flush=True)
            apart.print_into(log)
        print(stages.execute(data, runs[0]))
    else:
        sys.exit(apart.execute_all(data, runs, logs, lanes))


@app.command()
def report(
    params: Params = DEFAULT_PARAMS,
    data: Data = DEFAULT_DATA,
    complete: Annotated[
        bool, typer.Option("--complete", help="Refuse gaps, as for a final version.")
    ] = False,
) -> None:
    """Build tables, figures and the page from the results that are there.

    What is missing is left out and named at the top of the page, with the reason.
    """
    from distillery.planning import loading
    from distillery.reporting.page import publish
    from distillery.runs.stages import execute

    planned = loading.load(params, data)
    pending = {run.location for run in planned.pending(data)}
    if not complete and planned.collected in pending:
        from distillery.planning.partial import partial_plan

        planned = partial_plan(params, planned, data)
        execute(data, planned.runs[planned.collected])
        for gap in planned.report.gaps:
            print(f"missing: {gap}")
    print(publish.publish(planned.report, planned.report_key, planned.collected, data))


@app.command()
def thesis(params: Params = DEFAULT_PARAMS, data: Data = DEFAULT_DATA) -> None:
    """Write the report as a LaTeX document, with all tables and figures and the methods used."""
    from distillery.catalogue import appendix
    from distillery.experiment import reading
    from distillery.planning import loading
    from distillery.reporting.thesis import build

    methods = appendix.of(reading.load(params))
    planned = loading.load(params, data)
    print(build.build(planned.report, planned.report_key, planned.collected, data, methods))


@app.command("compare-reports")
def compare_reports(
    before: Annotated[str, typer.Argument(metavar="A", help=_SIDE)],
    after: Annotated[str, typer.Argument(metavar="B", help="The same.")],
    accuracy: Annotated[
        bool, typer.Option("--accuracy", help="Compare test accuracy alone, no protocols.")
    ] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown.")] = False,
    as_json: AsJson = False,
    fail_on_moved: Annotated[
        bool, typer.Option("--fail-on-moved", help="End with status 1 if a number has moved.")
    ] = False,
) -> None:
    """Say which numbers differ between two reports, and which of them beyond noise."""
    from distillery.reporting.changes import comparing, sides, text

    first, second = (sides.read(_report_of(side)) for side in (before, after))
    metrics = [comparing.ACCURACY] if accuracy else comparing.metrics_of(first, second)
    found = comparing.changes(first, second, metrics)
    if as_json:
        print(text.as_json(found))
    else:
        print(text.markdown(found, before, after) if markdown else text.text(found))
    if fail_on_moved and any(change.verdict == "moved" for change in found):
        sys.exit(1)


@app.command("import-teacher")
def import_teacher(
    file: Annotated[Path, typer.Argument(help="Checkpoint of RepDistiller or mdistiller.")],
    arch: Annotated[str, typer.Option(help="Architecture of the checkpoint.")],
    params: Params = DEFAULT_PARAMS,
    data: Data = DEFAULT_DATA,
    normalisation: Annotated[
        str | None,
        typer.Option(
            help="What it saw pixels normalised with, if not as this data set: imagenet, half, or "
            "MEAN,.../STD,... of each channel."
        ),
    ] = None,
    at_chance: Annotated[
        bool, typer.Option("--at-chance", help="Take it even if it is no better than chance.")
    ] = False,
) -> None:
    """Make a published checkpoint a teacher run, and print the lines that use it."""
    from distillery.planning import importing, loading
    from distillery.runs.artifact import where

    run, accuracy = importing.import_checkpoint(
        file,
        arch,
        loading.load(params, data),
        data,
        normalisation=normalisation,
        at_chance=at_chance,
    )
    print(f"{where(data, run.location)}: test top-1 {accuracy:.2f} %")
    print("Use it in a params file of the same data set:")
    print("\n".join(importing.section_of(run, normalisation)))


@app.command()
def bench(
    params: Annotated[Path, typer.Argument(metavar="PARAMS", help="Params file.", dir_okay=False)],
    data: Data = DEFAULT_DATA,
    seconds: Annotated[float, typer.Option(min=1, help="How long it may take.")] = 60,
    as_json: AsJson = False,
) -> None:
    """Measure what an experiment asks of this machine; say what to choose and how long it takes.

    Training steps of its networks in single precision and bf16, what its methods add to a step,
    evaluation, CPU threads and several processes at a time. `plan --estimate` uses it later.
    """
    from distillery.costs import commands

    _show(commands.benchmark(params, data, seconds), as_json)


@app.command()
def plan(
    params: Params = DEFAULT_PARAMS,
    data: Data = DEFAULT_DATA,
    as_json: AsJson = False,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Say what the runs cost: hours and disk.")
    ] = False,
) -> None:
    """List the runs of an experiment with their keys, and which of them are done."""
    if estimate:
        from distillery.costs import commands

        _show(commands.estimated(params, data), as_json)
        return
    from distillery.planning import loading
    from distillery.runs.artifact import Finished, is_complete

    planned, finished = loading.load(params, data), Finished(data)
    outdated = planned.outdated(data)
    runs = [
        {
            "stage": run.stage,
            "run": path.relative_to(data).as_posix(),
            "key": run.key,
            "done": is_complete(path) and run.location not in outdated,
            "outdated": is_complete(path) and run.location in outdated,
        }
        for run in planned.runs.values()
        for path in [finished.path(run.location)]
    ]
    if as_json:
        plain = {"name": planned.name, "report": planned.report_key, "notes": planned.notes}
        print(json.dumps({**plain, "runs": runs}))
        return
    for run in runs:
        print(f"{'done' if run['done'] else 'to do':6} {run['stage']:14} {run['run']}")
    for note in planned.notes:
        print(f"note: {note}")
    old = sum(bool(run["outdated"]) for run in runs)
    if old:
        print(f"note: {old} of those to do are there, but what they were made of has changed since")
    done = sum(bool(run["done"]) for run in runs)
    print(f"{len(runs)} runs, {done} done, {len(runs) - done} to do")


@app.command()
def methods(
    names: Annotated[list[str] | None, typer.Argument(help="Methods; all by default.")] = None,
    as_json: AsJson = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print docs/methods.md, or docs/peers.md.")
    ] = False,
    peers: Annotated[
        bool,
        typer.Option("--peers", help="What RepDistiller, mdistiller and torchdistill call things."),
    ] = False,
) -> None:
    """List the methods: what they need of the teacher, default weights, hyperparameters, source.

    Raises:
        UserError: names of methods were given together with --peers, which is about all of them.
    """
    if peers:
        from distillery.catalogue import peers_text

        if names:
            raise UserError("--peers lists all names of other projects; leave out the methods")
        show = peers_text.markdown if markdown else peers_text.text
        print(peers_text.as_json() if as_json else show())
        return
    from distillery.catalogue import methods as catalogue

    shown = catalogue.entries(names or ())
    if as_json:
        print(json.dumps({"methods": [asdict(entry) for entry in shown]}))
    else:
        print(catalogue.markdown(shown) if markdown else catalogue.text(shown))


@app.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    add_help_option=True,
)
def convert(
    words: Annotated[
        list[str], typer.Argument(metavar="COMMAND...", help="Their command line, or their config.")
    ],
) -> None:
    """Turn a command line of RepDistiller or a config of mdistiller into a params file.

    It is printed, with a comment for each setting that has no counterpart:
    `distillery convert python train_student.py --distill crd ... > params/mine.yaml`, or
    `distillery convert configs/cifar100/kd.yaml`. `distillery methods --peers` has all names.
    """
    from distillery.catalogue.converting import command

    print(command.convert(words).text(), end="")


Classes = Annotated[int, typer.Option(min=2, help="Number of classes.")]
Channels = Annotated[int, typer.Option(min=1, help="Channels of the images.")]
Size = Annotated[int, typer.Option("--image-size", min=1, help="Height and width of the images.")]


@app.command()
def models(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODEL...",
            help="Names or patterns, as 'timm/resnet*'; our own families by default.",
        ),
    ] = None,
    classes: Classes = 10,
    channels: Channels = 3,
    image_size: Size = 32,
    names_alone: Annotated[bool, typer.Option("--names", help="Print the names alone.")] = False,
    as_json: AsJson = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print docs/models.md.")] = False,
) -> None:
    """List architectures: parameters, FLOPs of an image, embedding, maps, and what they lack."""
    from distillery.models import catalogue, reference

    if markdown:
        print(reference.markdown())
        return
    chosen = catalogue.matching(names or ())
    if names_alone:
        print("\n".join(chosen))
        return
    images = catalogue.Images(classes, channels, image_size)
    found: list[catalogue.Entry | str] = []
    for name in chosen:
        try:
            found.append(catalogue.entry(name, images))
        except UserError as error:
            # One of many is no reason to list none.
            if len(chosen) == 1:
                raise
            found.append(str(error))
    if as_json:
        print(json.dumps({"models": [asdict(each) for each in found if not isinstance(each, str)]}))
    else:
        print(catalogue.text(found, images))


@app.command("check-model")
def check_model(
    name: Annotated[str, typer.Argument(help="Name, as models/mynet.py:MyNet or timm/resnet18.")],
    classes: Classes = 7,
    channels: Channels = 3,
    image_size: Size = 32,
) -> None:
    """Check that a network keeps to what teachers and students are relied on for.

    Raises:
        DistilleryError: it does not.
    """
    from distillery.models import contract

    broken = 0
    sizes = {"num_classes": classes, "in_channels": channels, "image_size": image_size}
    for point, wrong in contract.check(name, **sizes):
        print(f"{'ok' if wrong is None else 'BROKEN':6}  {point}{f': {wrong}' if wrong else ''}")
        broken += wrong is not None
    if broken:
        raise DistilleryError(f"model '{name}' does not keep to {broken} of these points")


@app.command()
def schema(
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print docs/params-reference.md instead.")
    ] = False,
) -> None:
    """Print the JSON Schema of params files, for editors."""
    from distillery.experiment import reference
    from distillery.experiment.schema import json_schema

    if markdown:
        print(reference.markdown(json_schema()), end="")
    else:
        print(json.dumps(json_schema(), indent=2, sort_keys=True))


@app.command()
def verify(data: Data = DEFAULT_DATA) -> None:
    """Check every file of every run, raw data against what was made, and reports that lie here."""
    from distillery.data import checking
    from distillery.reporting.page import publish
    from distillery.runs import housekeeping

    checked, problems = housekeeping.verify(data)
    problems += checking.problems_of_raw_files(data)
    reports, of_reports = publish.verify(data)
    for problem in [*problems, *of_reports]:
        print(problem)
    found = len(problems) + len(of_reports)
    with_reports = f" and {reports} reports" if reports else ""
    print(f"{checked} runs{with_reports} checked, {found} problems")
    if found:
        sys.exit(3)


@app.command()
def adopt(
    params: Params = DEFAULT_PARAMS,
    data: Data = DEFAULT_DATA,
    check: Annotated[
        int | None,
        typer.Option(
            min=1, help="Compute so many runs of each stage again; adopt it only if they agree."
        ),
    ] = None,
    tolerance: Annotated[
        float,
        typer.Option(min=0, help="Relative difference to allow between different machines."),
    ] = 0.0,
    seed: Annotated[int, typer.Option(help="Which runs are drawn for the check.")] = 0,
    dry_run: Annotated[bool, typer.Option(help="Only say what would be adopted.")] = False,
) -> None:
    """Re-key existing runs to the present code, for edits that do not change results.

    The manifest of an adopted run names the key and code it was made with and how it was checked,
    and the report marks it. The exit status is 1 when a check has failed.

    Raises:
        DistilleryError: a check has failed.
    """
    from distillery.planning import loading
    from distillery.runs import adoption

    wanted = adoption.Check(check, tolerance, seed) if check else None
    runs = loading.load(params, data).runs.values()
    outcome = adoption.adopt(runs, data, wanted, dry_run=dry_run)
    for old, new in outcome.adopted:
        print(f"{old} -> {new}")
    for location in outcome.measured_again:
        print(f"{location}: measures time, so that it is made anew instead of being adopted")
    print(f"{len(outcome.adopted)} runs {'would be ' if dry_run else ''}adopted")
    if outcome.refused:
        raise DistilleryError("\n".join(outcome.refused))


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
    unwanted = housekeeping.unwanted(_wanted(files, data), data)
    for path, size in unwanted:
        print(f"{size / 2**20:9.1f} MiB  {path}")
        if remove:
            housekeeping.remove(path)
    total = sum(size for _, size in unwanted) / 2**20
    print(f"{len(unwanted)} runs, {total:.1f} MiB {'removed' if remove else 'could be removed'}")


@app.command()
def dvc(
    params: Annotated[
        list[Path],
        typer.Argument(metavar="PARAMS...", help="Params files, within the project."),
    ],
    data: Data = DEFAULT_DATA,
) -> None:
    """Write dvc.yaml: let DVC version the runs, metrics, plots and reports of experiments."""
    from distillery.core.files import write_atomically
    from distillery.planning import loading, tracking

    plans = {path: loading.load(path, data) for path in dict.fromkeys(params)}
    write_atomically(Path("dvc.yaml"), tracking.pipeline(plans).encode())
    names = ", ".join(plan.name for plan in plans.values())
    print(f"dvc.yaml: {names}; `dvc repro` makes and records what is missing")


def _show(found: Benchmark | Estimated, as_json: bool) -> None:
    if as_json:
        print(found.model_dump_json())
        return
    for line in found.lines():
        print(line)


def _report_of(side: str) -> str:
    """Return the folder of a params file's report, and other sides as they are."""
    from distillery.experiment import reading

    if side.endswith((".yaml", ".yml")):
        return reading.load(Path(side)).report_folder
    return side


def _wanted(files: list[Path], data: Path) -> set[str]:
    """Return the keys of the runs that params files want.

    Raises:
        UserError: there is no params file, so that nothing would be wanted.
    """
    from distillery.planning import loading

    if not files:
        raise UserError("no params file names the runs to keep")
    return {run.key for file in files for run in loading.load(file, data).runs.values()}
