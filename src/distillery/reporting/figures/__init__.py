"""Figures: their style, their panels, and those that several parts of the report share."""
