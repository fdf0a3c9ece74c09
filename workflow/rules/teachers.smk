
rule train_teacher:
    input:
        GRAPH.inputs(ancient),
    output:
        "data/teachers/{run}/manifest.json",
    log:
        "logs/train-teacher/{run}.log",
    benchmark:
        "logs/benchmarks/train-teacher/{run}.tsv"
    wildcard_constraints:
        run=GRAPH.names("train-teacher"),
    threads: GRAPH.plan.threads
    resources:
        gpu=1,
        mem_mb=8000,
        runtime=1440,
    params:
        file=PARAMS,
    message:
        "training {wildcards.run}"
    shell:
        "exec distillery train-teacher {wildcards.run} --params {params.file} > {log} 2>&1"


rule import_teacher:
    input:
        GRAPH.inputs(ancient),
    output:
        "data/teachers/{run}/manifest.json",
    log:
        "logs/import-teacher/{run}.log",
    benchmark:
        "logs/benchmarks/import-teacher/{run}.tsv"
    wildcard_constraints:
        run=GRAPH.names("import-teacher"),
    threads: 1
    resources:
        gpu=1,
        mem_mb=4000,
        runtime=60,
    params:
        file=PARAMS,
    message:
        "importing {wildcards.run}"
    shell:
        "exec distillery import-teacher {wildcards.run} --params {params.file} > {log} 2>&1"
