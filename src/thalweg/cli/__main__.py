"""Run the command: ``python -m thalweg.cli``."""

from thalweg.cli.app import main

main()
