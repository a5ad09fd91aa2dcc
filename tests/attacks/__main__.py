"""`make attacks`: every attack, made on a real store now, and what came of it. Exits 1 if anything got through."""

import sys
import tempfile
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from tests.attacks.scene import ATTACKS, Attack, World, build, staged

MODULES = ("passages", "history", "signatures", "files")
WIDTHS = (62, 70)


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
        cells = (attack.title.ljust(WIDTHS[0]), attack.mechanism.ljust(WIDTHS[1]))
        print("  ".join((*cells, verdict)), flush=True)
    return wrong


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
    sys.exit(main())
