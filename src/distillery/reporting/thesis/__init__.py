"""A report as a LaTeX document: findings, all tables and figures, the methods in an appendix."""
