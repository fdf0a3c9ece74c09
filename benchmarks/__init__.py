"""Measurements of what the project costs, as ratios: ``python -m benchmarks``.

A measure is a module of this folder with a function ``measure(quick=False)`` that returns rows
(see ``rows``); it is found by its name. Ratios are taken from interleaved repeats, so that a
machine that slows down slows both sides down.
"""
