"""The report as files: built, rendered as one page, and published."""
