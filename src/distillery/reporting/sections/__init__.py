"""Sections of the page: what protocols measured and what methods logged, one file each."""
