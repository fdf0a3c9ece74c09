
rule prepare_data:
    input:
        GRAPH.inputs(ancient),
    output:
        "data/prepared/{run}/manifest.json",
    log:
        "logs/prepare/{run}.log",
    benchmark:
        "logs/benchmarks/prepare/{run}.tsv"
    wildcard_constraints:
        run=GRAPH.names("prepare"),
    threads: 1
    resources:
        gpu=0,
        mem_mb=4000,
        runtime=120,
    params:
        file=PARAMS,
    message:
        "preparing {wildcards.run}"
    shell:
        "exec distillery prepare {wildcards.run} --params {params.file} > {log} 2>&1"


rule split_data:
    input:
        GRAPH.inputs(ancient),
    output:
        "data/prepared/{run}/manifest.json",
    log:
        "logs/split/{run}.log",
    benchmark:
        "logs/benchmarks/split/{run}.tsv"
    wildcard_constraints:
        run=GRAPH.names("split"),
    threads: 1
    resources:
        gpu=0,
        mem_mb=2000,
        runtime=30,
    params:
        file=PARAMS,
    message:
        "splitting {wildcards.run}"
    shell:
        "exec distillery split {wildcards.run} --params {params.file} > {log} 2>&1"
