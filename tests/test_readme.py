"""What README shows is run as it stands there, and what the command can do is told."""

import re
import shlex
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import typer

from trustrag.cli.main import app
from trustrag.langchain import PROVENANCE
from trustrag.retrieval.answer import Grounded
from trustrag.retrieval.retriever import SearchReport

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCS = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").glob("*.md")))
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
ROOT_COMMAND: Any = typer.main.get_command(app)


def leaves() -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every verb of the command, with the path of words that leads to it."""
    for name, command in ROOT_COMMAND.commands.items():
        inner = getattr(command, "commands", None)
        if inner is None:
            yield (name,), command
        else:
            yield from (((name, verb), leaf) for verb, leaf in inner.items())


VERBS = dict(leaves())


def shown_commands() -> Iterator[str]:
    """Each `trustrag ...` that README shows, in a block of its own or within a sentence."""
    for kind, block in BLOCKS:
        if kind != "python":
            yield from (line.split(" #")[0] for line in block.splitlines() if line.startswith("trustrag "))
    prose = re.sub(r"^```.*?^```$", "", README, flags=re.MULTILINE | re.DOTALL)
    yield from (shown for shown in re.findall(r"`(trustrag [^`]+)`", prose) if "COMMAND" not in shown)


def options_of(command: Any) -> set[str]:
    return {name for option in command.params for name in option.opts} | {"--help"}


@pytest.mark.parametrize("shown", sorted(set(shown_commands())))
def test_a_command_that_is_shown_exists_with_its_options(shown: str) -> None:
    words = shlex.split(shown.replace("...", ""))[1:]
    if words[0] == "-w":
        words = words[2:]
    path = next((tuple(words[:n]) for n in (2, 1) if tuple(words[:n]) in VERBS), None)
    assert path is not None, f"{shown}: there is no such verb"
    unknown = {word for word in words if word.startswith("-")} - options_of(VERBS[path])
    assert not unknown, f"{shown}: no such option"


def test_the_code_runs_as_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "retention.md").write_text("# Retention\n\nAudit logs are kept for 90 days.\n")
    (tmp_path / "docs" / "lunch.md").write_text("# Lunch\n\nLunch is served from noon until two.\n")
    names: dict[str, Any] = {}
    for number, code in enumerate(code for kind, code in BLOCKS if kind == "python"):
        exec(compile(code, f"README.md, python block {number + 1}", "exec"), names)
    documents = names["retriever"].invoke("How long are audit logs kept?")
    assert "90 days" in documents[0].page_content
    assert documents[0].metadata[PROVENANCE]["source"] == "acme"
    ranked = names["reranker"].invoke({"question": "How long are audit logs kept?", "documents": documents})
    assert "90 days" in ranked[0].page_content
    assert isinstance(names["report"], SearchReport)
    assert names["report"].refused == ()
    assert isinstance(names["answer"], Grounded)
    assert "90 days" in names["answer"].text
    assert "90 days" in capsys.readouterr().out


@pytest.mark.parametrize("path", sorted(VERBS), ids=" ".join)
def test_every_verb_is_told_in_readme_or_docs(path: tuple[str, ...]) -> None:
    *group, verb = path
    place = re.compile(rf"trustrag(?: -w kb)? {' '.join(path)}\b")
    beside = re.compile(
        rf"trustrag(?: {' '.join(group)})?.*\(.*`{verb}`.*\)"
    )  # `trustrag withdraw` (`restore`)
    assert place.search(README + DOCS) or beside.search(README + DOCS)


@pytest.mark.parametrize("path", sorted(VERBS), ids=" ".join)
def test_every_verb_explains_itself(path: tuple[str, ...]) -> None:
    command = VERBS[path]
    first = command.help.strip().split("\n\n")[0]
    assert first.endswith(".")
    assert len(first) <= 62, "it would be cut off in the list of verbs"
    for option in command.params:
        assert option.help or option.name == "help", f"{' '.join(path)}: {option.name} says nothing of itself"


def test_the_list_of_verbs_is_whole() -> None:
    with redirect_stdout(StringIO()) as out, pytest.raises(SystemExit):
        app(["--help"], prog_name="trustrag")
    listed = out.getvalue().split("Commands:")[1]
    assert "..." not in listed
    for name in ROOT_COMMAND.commands:
        assert re.search(rf"^  {name} ", listed, re.MULTILINE)


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#]+?)/?\)", README))))
def test_links_lead_somewhere(target: str) -> None:
    assert target.startswith("https://") or (ROOT / target).exists()
