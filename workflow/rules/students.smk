
rule train_student:
    input:
        GRAPH.inputs(ancient),
    output:
        "data/students/{run}/manifest.json",
    log:
        "logs/train-student/{run}.log",
    benchmark:
        "logs/benchmarks/train-student/{run}.tsv"
    wildcard_constraints:
        run=GRAPH.names("train-student"),
    threads: GRAPH.plan.threads
    resources:
        gpu=1,
        mem_mb=8000,
        runtime=1440,
    params:
        file=PARAMS,
    message:
        "distilling {wildcards.run}"
    shell:
        "exec distillery train-student {wildcards.run} --params {params.file} > {log} 2>&1"
