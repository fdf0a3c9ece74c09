"""The teacher cache: view schedule, Parquet slots and their reader."""
