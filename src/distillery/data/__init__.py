"""Data sets: sources, canonical Parquet, splits and augmentation."""
