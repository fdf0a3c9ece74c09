rule build_report:
    input:
        ancient(GRAPH.collected()),
    output:
        # Its name changes with the results and the report's code; those of the other files do not.
        current=GRAPH.report_marker(),
        page=report(
            GRAPH.report_file("index.html"),
            caption="../report/page.rst",
            category="Report",
        ),
        figures=[
            report(
                file,
                caption=GRAPH.caption(file),
                category="Figures",
                labels={"figure": Path(file).stem},
            )
            for file in GRAPH.report_files(".svg")
        ],
        tables=[
            report(
                file,
                caption=GRAPH.caption(file),
                category="Tables",
                labels={"table": Path(file).stem},
            )
            for file in GRAPH.report_files(".csv")
            if Path(file).name != "runs.csv"
        ],
        runs=report(
            GRAPH.report_file("tables/runs.csv"),
            caption="../report/table.rst",
            category="Tables",
            labels={"table": "runs"},
        ),
        plots=GRAPH.report_file("plots.html"),
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


# The report as a LaTeX document: `snakemake --cores all thesis`.
rule thesis:
    input:
        rules.build_report.output.current,
    output:
        GRAPH.thesis_files(),
    log:
        f"logs/thesis/{GRAPH.plan.name}.log",
    resources:
        gpu=0,
        mem_mb=2000,
        runtime=30,
    params:
        file=PARAMS,
    message:
        "writing the thesis"
    shell:
        "exec distillery thesis --params {params.file:q} > {log:q} 2>&1"
