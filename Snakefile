"""The workflow: `snakemake --cores all`, or `snakemake --cores all --configfile params/X.yaml`.

The graph comes from the plan, which reads one params file. A job computes a batch of those runs that
are not there: a directory that a key names is current whenever it exists, whatever its modification
time, and no job ever touches it.
"""

import sys
from pathlib import Path

from snakemake.utils import min_version
from snakemake_interface_executor_plugins.settings import ExecMode

min_version("9.25")

# The sources beside this file come first, also in a copied workspace (`dvc exp run --temp`).
SOURCES = str(Path(workflow.basedir) / "src")
sys.path.insert(0, SOURCES)

from distillery import workflow as distillery

distillery.use_sources(SOURCES)

# Whoever measures time asks for all of them; on a cluster there is no such number.
CORES = workflow.resource_settings.cores
IS_FIRST = workflow.exec_mode == ExecMode.DEFAULT
SIZE = distillery.size_of_jobs(
    workflow.global_resources.get("batch").value,
    workflow.global_resources.get("lanes").value,
    CORES,
    is_first=IS_FIRST,
)


# Jobs on other machines read this file, too.
envvars:
    distillery.SIZE_OF_JOBS,


GRAPH = distillery.graph(
    workflow.overwrite_configfiles,
    workflow.config_settings.config,
    data="data",
    default="params/digits.yaml",
    size=SIZE,
    says_notes=IS_FIRST,
)
if IS_FIRST:
    GRAPH.forget_outdated()
PARAMS = distillery.params_file(
    workflow.overwrite_configfiles, {}, default="params/digits.yaml"
)


# Jobs on other machines print into logs.
if IS_FIRST:
    CONSOLE = distillery.Console(
        workflow.logger_manager.get_log_handlers(),
        GRAPH,
        GRAPH.runs_at_a_time(CORES, workflow.resource_settings.nodes),
        is_dry=workflow.output_settings.dryrun,
    )


onstart:
    CONSOLE.begin(workflow.dag.needrun_jobs())


report: "workflow/report/workflow.rst"


include: "workflow/rules/runs.smk"
include: "workflow/rules/reports.smk"


# One method that fails does not cost the report of the others.
onerror:
    CONSOLE.report_what_is_there(PARAMS)


rule all:
    default_target: True
    input:
        GRAPH.results(),
        rules.build_report.output,
