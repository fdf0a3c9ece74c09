"""Sources of data: one module for each form in which data sets come."""
