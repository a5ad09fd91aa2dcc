"""The command `trustrag`. Exit status: 0 done, 1 something was refused or is wrong (and named), 2 used wrongly."""

from trustrag.cli.main import main

__all__ = ["main"]
