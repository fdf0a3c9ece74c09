"""From numbers to statistics, tables, figures and pages."""
