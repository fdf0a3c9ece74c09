# A rule for each stage: distillery.runs.stages has the table of them. A job computes a batch of runs.
for stage in GRAPH.stages:

    rule:
        name:
            stage.rule
        input:
            GRAPH.inputs(ancient),
        output:
            touch(GRAPH.marker(stage)),
        log:
            # Snakemake removes it when the job starts again; the runs' own logs go on.
            f"logs/jobs/{stage.name}/{{batch}}.log",
        benchmark:
            f"logs/benchmarks/{stage.name}/{{batch}}.tsv"
        wildcard_constraints:
            batch="[^/]+",
        priority: GRAPH.priority(stage)
        threads: GRAPH.threads(stage, CORES)
        resources:
            gpu=GRAPH.gpu(stage),
            mem_mb=GRAPH.memory(stage, CORES),
            runtime=GRAPH.runtime(stage, CORES),
        params:
            file=PARAMS,
            runs=GRAPH.runs,
            lanes=GRAPH.lanes(stage),
        message:
            f"{stage.doing} {{params.runs}}"
        shell:
            "exec distillery run {params.runs} --lanes {params.lanes} --params {params.file:q}"
            " --logs logs > {log:q} 2>&1"


# The runs of one folder, which is a stage of dvc.yaml.
for folder in GRAPH.folders:

    rule:
        name:
            folder
        input:
            GRAPH.results(folder),
