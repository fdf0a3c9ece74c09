"""What the project says of its methods, and what other projects call them.

* ``methods``: the methods, for `distillery methods` and docs/methods.md; ``costs.csv`` is measured;
* ``peers``: the names of RepDistiller, mdistiller and torchdistill, in ``tables``; ``peers_text``
  shows them;
* ``converting``: from a command line or a config of theirs to a params file.
"""
