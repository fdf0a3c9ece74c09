"""A params file: one module for each section, and what reads and checks the whole.

* ``experiment``: the whole file; ``data``, ``teachers``, ``pairs``, ``methods``, ``ablations``,
  ``tuning``, ``protocols`` and ``report``: its sections; ``overrides`` and ``fields``: what they
  share;
* ``reading``: from a file to an experiment;
* ``checks``: names, references and options that the types alone cannot check;
* ``errors``: mistakes, and the one line that each costs;
* ``schema``: the JSON Schema, for editors.
"""
