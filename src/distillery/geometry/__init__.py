"""Curves, tangents and random perturbations on the unit sphere; needs nothing but torch.

``sphere`` has the elementary maps, ``curves`` the points between two points, ``tangents`` the end
velocities of cubic Hermite curves, ``diffusion`` the perturbations. ``docs/geometry.md`` derives
the formulas.
"""
