
rule cache_embeddings:
    input:
        GRAPH.inputs(ancient),
    output:
        "data/embeddings/{run}/manifest.json",
    log:
        "logs/embed/{run}.log",
    benchmark:
        "logs/benchmarks/embed/{run}.tsv"
    wildcard_constraints:
        run=GRAPH.names("embed"),
    threads: GRAPH.plan.threads
    resources:
        gpu=1,
        mem_mb=8000,
        runtime=720,
    params:
        file=PARAMS,
    message:
        "caching {wildcards.run}"
    shell:
        "exec distillery embed {wildcards.run} --params {params.file} > {log} 2>&1"
