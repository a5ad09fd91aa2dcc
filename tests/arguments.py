"""How a program under tests/ takes its arguments: `--help` says what it is for, and what it cannot take stops it."""

import argparse
from collections.abc import Sequence


def parser(told: str | None) -> argparse.ArgumentParser:
    """A parser that shows the program's docstring as it is written."""
    return argparse.ArgumentParser(description=told, formatter_class=argparse.RawDescriptionHelpFormatter)


def nothing(told: str | None, argv: Sequence[str] | None = None) -> None:
    """For a program that takes no arguments: leaves with `--help`, and with status 2 for any other."""
    parser(told).parse_args(argv)


def numbers(told: str | None, of: str) -> list[int]:
    """For a program that takes as many numbers of something as one likes."""
    taking = parser(told)
    taking.add_argument("numbers", metavar=of, nargs="*", type=int)
    return list(taking.parse_args().numbers)
