"""Expands an experiment into its runs.

Each module has one part of it:

* ``build``: the whole plan: rows of teachers, students and variants, the collecting run;
* ``variants``: from an ablation to its variants;
* ``students``: what a method entry becomes for one pair and one variant, and whether that works;
* ``data_sets``: the data sets, and what is known of their images before they are read;
* ``tuning``, ``trials``, ``ranges``: the runs of a tuning, what it tries, and what it draws from;
* ``names``: readable names of runs;
* ``merging``: settings of several layers made one;
* ``runs``: the runs of data, teachers, embeddings and students;
* ``evaluations``: the runs of protocols;
* ``report``: settings of the report.
"""
