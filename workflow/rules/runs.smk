# A rule for each stage: distillery.runs.stages has the table of them. Every run is a job.
for stage in GRAPH.stages:

    rule:
        name:
            stage.rule
        input:
            GRAPH.inputs(ancient),
        output:
            f"data/{stage.folder}/{{run}}/manifest.json",
        log:
            f"logs/{stage.name}/{{run}}.log",
        benchmark:
            f"logs/benchmarks/{stage.name}/{{run}}.tsv"
        wildcard_constraints:
            run=GRAPH.names(stage),
        threads: GRAPH.threads(stage, CORES)
        resources:
            gpu=GRAPH.gpu(stage),
            mem_mb=stage.memory_mb,
            runtime=stage.runtime,
        params:
            file=PARAMS,
        message:
            f"{stage.doing} {{wildcards.run}}"
        shell:
            "exec distillery run {wildcards.run} --params {params.file:q} > {log:q} 2>&1"


# The runs of one folder, which is a stage of dvc.yaml.
for folder in GRAPH.folders:

    rule:
        name:
            folder
        input:
            GRAPH.manifests(folder),
