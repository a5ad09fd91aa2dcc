"""Where the public vectors and attack data are, when they are there.

The project passes its tests without them; where the folder exists, tests run over it too.
"""

import os
from pathlib import Path

_ROOT = Path(os.environ.get("TRUSTRAG_SHARED", Path(__file__).resolve().parent.parent.parent / "shared"))


def shared_path(*parts: str) -> Path | None:
    """The path below the shared folder, or None where it does not exist."""
    path = _ROOT.joinpath(*parts)
    return path if path.exists() else None
