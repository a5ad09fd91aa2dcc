"""A module imports only from lower rows. The table is data; type-only imports count as imports."""

import ast
import importlib
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "trustrag"

# room -> the rooms it may import. Everyone may import errors; no room of a row names another of its row.
ROWS: list[dict[str, set[str]]] = [
    {"errors": set()},
    {"files": set(), "settings": set()},
    {"provenance": set(), "index": set(), "consistency": set()},
    {"stored": {"provenance"}},
    {
        "ledger": {"provenance", "stored"},
        "trustroot": {"provenance", "files"},
        "keyring": {"provenance", "files"},
    },
    {
        "ingest": {"ledger", "provenance", "consistency", "files"},
        "retrieval": {"stored", "keyring", "provenance", "consistency", "index", "files"},
        "monitor": {"ledger", "stored", "provenance", "consistency"},
        "authority": {"trustroot", "keyring", "provenance", "files"},
        "published": {"ledger", "stored", "provenance", "files"},
    },
    {
        "workspace": {
            *("provenance", "index", "consistency", "ledger", "trustroot", "keyring", "files"),
            *("ingest", "retrieval", "monitor", "authority", "published", "settings", "stored"),
        },
        "publisher": {"authority", "ingest", "provenance"},
        "reader": {"authority", "published", "retrieval", "index", "provenance", "stored"},
        "witness": {"published", "keyring", "files", "provenance"},
        "signatory": {"authority", "files", "keyring", "provenance"},
    },
    {
        "redteam": {"workspace", "provenance", "retrieval"},
        "service": {"workspace"},
        "langchain": {"workspace", "retrieval"},
        "migration": {"workspace", "ingest"},
    },
    {
        "cli": {
            "workspace",
            "publisher",
            "reader",
            "signatory",
            "witness",
            "redteam",
            "service",
            "langchain",
            "migration",
            "settings",
            "keyring",
        }
    },
]
# The same within the way in: room or module of ingest -> those it may import.
INGEST_ROWS: list[dict[str, set[str]]] = [
    {"document": set(), "report": set(), "chunking": set()},
    {"reading": {"document"}, "attest": {"document", "report"}},
    {"screening": {"document", "reading"}},
    {
        "desk": {"screening"},
        "predecessor": {"screening"},
        "around": {"screening"},
        "batch": {"document", "chunking", "screening"},
        "parser": {"reading", "screening"},
    },
    {"contracts": {"document", "screening", "desk"}, "moving": {"document", "batch"}},
    {
        "decide": {
            *("document", "report", "chunking", "reading", "attest"),
            *("screening", "predecessor", "batch", "contracts"),
        }
    },
    {
        "pipeline": {
            *("document", "report", "chunking", "attest", "screening"),
            *("around", "batch", "contracts", "moving", "decide"),
        }
    },
]
# Rooms of ingest that are entered by their door alone: nothing outside names a module of theirs.
BEHIND_A_DOOR = ("reading", "contracts", "desk", "moving")

MAY_IMPORT = {room: allowed | {"errors"} for row in ROWS for room, allowed in row.items()}

# Modules that are one room with another: trustroot opens python-tuf through its private half.
SAME_ROOM = {"_tuf": "trustroot"}

# What comes from outside, where only some may have it: module -> files or folders (relative to the package).
ONLY_IN = {
    "langchain_core": {"langchain.py"},
    "langchain_text_splitters": {"ingest/chunking.py"},
    "tuf": {"_tuf.py"},
    "securesystemslib": {"_tuf.py"},
    "faiss": {"index/faiss.py"},
    "sentence_transformers": {"index/embedding.py", "consistency/judges.py"},
    "typer": {"cli/"},
    "mcp": {"service/mcp.py"},
    "pickle": set(),
    "pickletools": {"ingest/moving/unpickle.py"},
    "bandit": {"ingest/parser.py"},
    "c2pa": {"ingest/parser.py"},
    "marshal": set(),
    "shelve": set(),
    "dill": set(),
}
CORE_MAY_IMPORT = {"nacl", "rfc8785", "trustrag"}
# The trusted core decides about bytes: it opens no file, reads no clock, starts nothing.
CORE_MAY_NOT = {
    *("os", "io", "pathlib", "tempfile", "shutil", "sqlite3", "socket", "subprocess", "threading", "time"),
    *("random", "logging", "urllib", "http", "asyncio", "multiprocessing", "ctypes", "importlib"),
}

MODULES = sorted(PACKAGE.rglob("*.py"))


def room_of(module: str) -> str:
    """The room of `trustrag.a.b`: a, or the room that shares a's door."""
    first = module.split(".")[1]
    return SAME_ROOM.get(first, first)


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = {module_name(path) for path in MODULES}


def imports(path: Path) -> list[tuple[int, str]]:
    """(line, absolute module) for each import anywhere in the file, also inside functions."""
    found: list[tuple[int, str]] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            base = node.module or ""
            # `from trustrag import ledger` names a module in the alias
            named = [(f"{base}.{alias.name}", base) for alias in node.names]
            found += [(node.lineno, full if full in NAMES else base) for full, base in named]
    return found


def inner_room(module: str) -> str:
    """The room or module of ingest: `a` of `trustrag.ingest.a.b`; empty for all else."""
    return module.split(".")[2] if module.startswith("trustrag.ingest.") else ""


@pytest.mark.parametrize("rows", [ROWS, INGEST_ROWS], ids=["trustrag", "ingest"])
def test_the_table_is_ordered(rows: list[dict[str, set[str]]]) -> None:
    below: set[str] = set()
    for row in rows:
        for room, allowed in row.items():
            assert allowed <= below, room
        below |= set(row)


def test_the_way_in_imports_one_way() -> None:
    may = {room: allowed for row in INGEST_ROWS for room, allowed in row.items()}
    inside = [path for path in MODULES if inner_room(module_name(path))]
    assert {inner_room(module_name(path)) for path in inside} == set(may)
    met: dict[str, set[str]] = {room: set() for room in may}
    for path in inside:
        room = inner_room(module_name(path))
        met[room] |= {inner_room(target) for _, target in imports(path)} - {"", room}
    assert met == may  # an arrow that nobody needs any more leaves the table, too


@pytest.mark.parametrize("room", BEHIND_A_DOOR)
def test_a_room_of_the_way_in_is_entered_by_its_door(room: str) -> None:
    door = f"trustrag.ingest.{room}"
    wrong = []
    for path in MODULES:
        if not f"{module_name(path)}.".startswith(f"{door}."):
            tree = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            named = [node for node in tree if isinstance(node, ast.Import | ast.ImportFrom)]
            wrong += [f"{path}:{node.lineno}" for node in named if passes_by(node, door)]
    assert not wrong, wrong


def passes_by(node: ast.Import | ast.ImportFrom, door: str) -> bool:
    """Whether an import names a module behind the door, or what the door does not show."""
    if isinstance(node, ast.Import):
        return any(alias.name.startswith(f"{door}.") for alias in node.names)
    if node.module == door:
        return not {alias.name for alias in node.names} <= set(importlib.import_module(door).__all__)
    return (node.module or "").startswith(f"{door}.")


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_a_module_imports_only_from_lower_rows(path: Path) -> None:
    module = module_name(path)
    if module == "trustrag":
        return  # the face re-exports; what it loads is test_public_api's business
    room = room_of(module)
    assert room in MAY_IMPORT, f"{room} is in no row of the table"
    wrong = [
        f"{path}:{line}: {room} may not import {target}"
        for line, target in imports(path)
        if target.startswith("trustrag.") and room_of(target) not in MAY_IMPORT[room] | {room}
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_outside_libraries_stay_in_their_rooms(path: Path) -> None:
    here = path.relative_to(PACKAGE).as_posix()
    wrong = [
        f"{path}:{line}: {target} belongs in {sorted(ONLY_IN[target.split('.')[0]]) or 'no file'}"
        for line, target in imports(path)
        if not any(here.startswith(place) for place in ONLY_IN.get(target.split(".")[0], {here}))
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("path", sorted((PACKAGE / "provenance").glob("*.py")), ids=module_name)
def test_the_trusted_core_needs_little(path: Path) -> None:
    for line, target in imports(path):
        name = target.split(".")[0]
        assert name in sys.stdlib_module_names | CORE_MAY_IMPORT, f"{path}:{line}: {target}"
        assert name not in CORE_MAY_NOT, f"{path}:{line}: the core does not import {target}"


def test_no_modules_of_one_room_import_each_other_in_a_circle() -> None:
    graph = {
        module_name(path): {target for _, target in imports(path) if target in NAMES}
        for path in MODULES
        if path != PACKAGE / "__init__.py"
    }
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " -> ".join((*trail[trail.index(module) :], module))
        if module not in done:
            for target in sorted(graph.get(module, ())):
                visit(target, (*trail, module))
            done.add(module)

    for module in sorted(graph):
        visit(module, ())
