"""Run the command line as ``python -m distillery``."""

from distillery.cli import main

main()
