"""The command `thalweg`."""

from thalweg.cli.app import main

__all__ = ["main"]
