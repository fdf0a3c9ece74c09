"""AECRD, the method of ``method``.

``options`` has its options; ``pairs`` chooses points of a batch, ``synthesis`` makes synthetic ones
between them, ``negatives`` decides which of them count for which anchor, and ``diagnostics`` says
what they are like. ``heads``, ``centroids`` and ``readout`` are what the method learns and keeps.
"""
