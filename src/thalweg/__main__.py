"""Run the command: ``python -m thalweg``."""

from thalweg.cli import main

main()
