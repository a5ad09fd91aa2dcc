"""`make attacks`: every attack, made on a real store now, and what came of it. Exits 1 if anything got through."""

import sys
import tempfile
from collections.abc import Sequence
from importlib import import_module
from itertools import zip_longest
from pathlib import Path
from textwrap import wrap

from tests.arguments import nothing
from tests.attacks.scene import ATTACKS, Attack, World, build, staged

MODULES = (
    *("passages", "history", "rollback", "witnesses", "signatures", "keys", "reviews", "files"),
    *("published", "columns"),
)
WIDTHS = (44, 44, 36)  # of the three columns, in characters


def main() -> int:
    """Run them all and print the table; 0 when each came out as it says here."""
    for name in MODULES:
        import_module(f"tests.attacks.test_{name}")
    stopped = [attack for attack in ATTACKS if attack.stopped]
    others = [attack for attack in ATTACKS if not attack.stopped]
    with tempfile.TemporaryDirectory(prefix="trustrag-attacks-") as folder:
        world = build(Path(folder).resolve())
        print(
            f"{len(stopped)} attacks that are stopped: what was done, by what it is stopped, what came of it\n"
        )
        wrong = table(world, stopped)
        print(
            f"\n{len(others)} attacks that are NOT stopped: what was done, what is left to do, what came of it\n"
        )
        surprises = table(world, others)
    print(f"\n{len(stopped) - wrong} of {len(stopped)} attacks stopped; nothing altered was served."
          if not wrong else f"\n{wrong} of {len(stopped)} attacks GOT THROUGH or ended in a crash.")  # fmt: skip
    if surprises:
        print(f"{surprises} attacks that are said not to be stopped did not come out as described.")
    return 1 if wrong or surprises else 0


def table(world: World, attacks: Sequence[Attack]) -> int:
    """Make these attacks, one line each; returns how many did not come out as they should."""
    wrong = 0
    for attack in attacks:
        verdict, as_said = made(world, attack)
        wrong += not as_said
        print(in_columns(attack.title, attack.mechanism, verdict), flush=True)
    return wrong


def in_columns(*cells: str) -> str:
    """One line of the table, over as many lines as its longest cell takes."""
    wrapped = [wrap(cell, width) for cell, width in zip(cells, WIDTHS, strict=True)]
    lines = ["  ".join(part.ljust(width) for part, width in zip(row, WIDTHS, strict=True)).rstrip()
             for row in zip_longest(*wrapped, fillvalue="")]  # fmt: skip
    return "\n".join(lines)


def made(world: World, attack: Attack) -> tuple[str, bool]:
    """What came of one attack, and whether that is what was claimed."""
    with staged(world) as scene:
        try:
            attack.run(scene)
        except Exception as error:
            found = " ".join(str(error).split())[:200]
            return (
                f"{'GOT THROUGH' if attack.stopped else 'NOT AS SAID'}: {type(error).__name__}: {found}",
                False,
            )
        return ", ".join(scene.verdicts), True


if __name__ == "__main__":
    nothing(__doc__)
    sys.exit(main())
