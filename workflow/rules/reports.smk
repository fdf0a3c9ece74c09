rule build_report:
    input:
        ancient(GRAPH.collected()),
    output:
        # Its name changes with the results and the report's code; those of the other files do not.
        current=GRAPH.report_marker(),
        page=report(
            GRAPH.report_files(".html"),
            caption="../report/page.rst",
            category="Report",
        ),
        figures=report(
            GRAPH.report_files(".svg"),
            caption="../report/figure.rst",
            category="Figures",
        ),
        tables=report(
            GRAPH.report_files(".csv"),
            caption="../report/table.rst",
            category="Tables",
        ),
        other=GRAPH.report_files((".json", ".pdf", ".png", ".md", ".tex")),
    log:
        f"logs/report/{GRAPH.plan.name}.log",
    benchmark:
        f"logs/benchmarks/report/{GRAPH.plan.name}.tsv"
    resources:
        gpu=0,
        mem_mb=2000,
        runtime=30,
    params:
        file=PARAMS,
    message:
        "reporting"
    shell:
        "exec distillery report --complete --params {params.file:q} > {log:q} 2>&1"
