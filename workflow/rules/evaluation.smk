
rule extract_features:
    input:
        GRAPH.inputs(ancient),
    output:
        "data/evaluations/{run}/manifest.json",
    log:
        "logs/extract/{run}.log",
    benchmark:
        "logs/benchmarks/extract/{run}.tsv"
    wildcard_constraints:
        run=GRAPH.names("extract"),
    threads: 1
    resources:
        gpu=1,
        mem_mb=4000,
        runtime=120,
    params:
        file=PARAMS,
    message:
        "extracting {wildcards.run}"
    shell:
        "exec distillery extract {wildcards.run} --params {params.file} > {log} 2>&1"


rule evaluate:
    input:
        GRAPH.inputs(ancient),
    output:
        "data/evaluations/{run}/manifest.json",
    log:
        "logs/evaluate/{run}.log",
    benchmark:
        "logs/benchmarks/evaluate/{run}.tsv"
    wildcard_constraints:
        run=GRAPH.names("evaluate"),
    threads: 1
    resources:
        gpu=1,
        mem_mb=4000,
        runtime=120,
    params:
        file=PARAMS,
    message:
        "evaluating {wildcards.run}"
    shell:
        "exec distillery evaluate {wildcards.run} --params {params.file} > {log} 2>&1"


rule collect_results:
    input:
        GRAPH.inputs(ancient),
    output:
        "data/evaluations/{run}/manifest.json",
    log:
        "logs/collect/{run}.log",
    benchmark:
        "logs/benchmarks/collect/{run}.tsv"
    wildcard_constraints:
        run=GRAPH.names("collect"),
    threads: 1
    resources:
        gpu=0,
        mem_mb=4000,
        runtime=30,
    params:
        file=PARAMS,
    message:
        "collecting {wildcards.run}"
    shell:
        "exec distillery collect {wildcards.run} --params {params.file} > {log} 2>&1"
