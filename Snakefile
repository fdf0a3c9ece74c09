"""The workflow: `snakemake --cores all`, or `snakemake --cores all --configfile params/X.yaml`.

The graph comes from the plan, which reads one params file. Every run is one job whose output is the
manifest of a directory that its key names. Inputs are `ancient`: such a directory is current
whenever it exists, whatever its modification time.
"""

import sys
from pathlib import Path

from snakemake.utils import min_version

min_version("9.25")

# The sources beside this file come first, also in a copied workspace (`dvc exp run --temp`).
SOURCES = str(Path(workflow.basedir) / "src")
sys.path.insert(0, SOURCES)

from distillery import workflow as distillery

distillery.use_sources(SOURCES)

GRAPH = distillery.graph(
    workflow.overwrite_configfiles,
    workflow.config_settings.config,
    data="data",
    default="params/digits.yaml",
)
PARAMS = distillery.params_file(
    workflow.overwrite_configfiles, {}, default="params/digits.yaml"
)
# Whoever measures time asks for all of them; on a cluster there is no such number.
CORES = workflow.resource_settings.cores


report: "workflow/report/workflow.rst"


include: "workflow/rules/runs.smk"
include: "workflow/rules/reports.smk"


rule all:
    default_target: True
    input:
        GRAPH.manifests(),
        rules.build_report.output,
