"""Sources of data: one module for each place that data sets come from."""
