"""What differs between two reports, and whether it does so beyond noise.

* ``sides``: the runs of a report, from its folder or from a commit;
* ``comparing``: rows matched, differences tested seed by seed;
* ``text``: the result for terminals, for comments in Markdown, and for programs.
"""
