"""The MCP server as an assistant meets it: the SDK's own client, over stdio, in a process of its own."""

import json
import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

from trustrag.workspace import Document, Workspace

GUIDE = (
    "# Retention\n\nAudit logs are kept for 90 days. They are deleted afterwards.\n\n"
    "# Backups\n\nBackups run every night at two and are kept for a month.\n"
)


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    with Workspace.init(
        tmp_path / "kb", source="acme", embedder="hash", chunk_size=80, chunk_overlap=10
    ) as made:
        metadata = {"title": "Retention guide", "url": "https://example.com/guide"}
        guide = Document("guide.md", GUIDE.encode(), "text/markdown", GUIDE, "Retention guide", metadata)
        made.ingest_documents([guide], source="acme")
        lunch = "Lunch is served from noon until two."
        made.ingest_documents([Document("lunch.txt", lunch.encode(), "text/plain", lunch)], source="acme")
        yield made


@asynccontextmanager
async def connected(workspace: Workspace) -> Any:
    """A session with `trustrag mcp` in another process."""
    command = StdioServerParameters(
        command=sys.executable,
        args=["-m", "trustrag.cli", "-w", str(workspace.folder), "mcp"],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
    )
    async with stdio_client(command) as streams, ClientSession(*streams) as session:
        await session.initialize()
        yield session


def call(workspace: Workspace, tool: str, **arguments: str) -> Any:
    """One tool call from start to end."""

    async def run() -> Any:
        async with connected(workspace) as session:
            return await session.call_tool(tool, arguments)

    return anyio.run(run)


def content(result: Any) -> Any:
    """The one JSON text item, which must say what the structured content says."""
    assert not result.is_error, result.content
    assert [item.type for item in result.content] == ["text"]
    said = json.loads(result.content[0].text)
    assert said == result.structured_content
    return said


def test_the_tools_take_one_string_each(workspace: Workspace) -> None:
    async def run() -> Any:
        async with connected(workspace) as session:
            return await session.list_tools()

    tools = {tool.name: tool for tool in anyio.run(run).tools}
    assert set(tools) == {"search", "fetch", "ask"}
    for name, argument in (("search", "query"), ("fetch", "id"), ("ask", "question")):
        schema = tools[name].input_schema
        assert {key: value["type"] for key, value in schema["properties"].items()} == {argument: "string"}
        assert schema["required"] == [argument]
        assert tools[name].output_schema is not None


def test_search_then_fetch(workspace: Workspace) -> None:
    found = content(call(workspace, "search", query="How long are audit logs kept?"))
    first = found["results"][0]
    assert (first["id"], first["title"], first["url"]) == (
        "guide.md",
        "Retention guide",
        "https://example.com/guide",
    )
    assert [result["id"] for result in found["results"]] == ["guide.md", "lunch.txt"]
    assert found["refused"] == 0
    fetched = content(call(workspace, "fetch", id=first["id"]))
    assert fetched["text"] == GUIDE.strip()
    assert fetched["metadata"]["verdict"] == "verified"
    other = content(call(workspace, "fetch", id="lunch.txt"))
    assert other["url"] == f"urn:trustrag:{workspace.settings.store}:lunch.txt@1"


def test_ask_answers_with_citations_or_abstains(workspace: Workspace) -> None:
    answer = content(call(workspace, "ask", question="How long are audit logs kept?"))
    assert answer["answer"].startswith("Audit logs are kept for 90 days.")
    assert answer["sentences"][0]["citations"][0]["id"] == "guide.md"
    assert answer["abstained"] is None
    silent = content(call(workspace, "ask", question="Who painted the ceiling of the chapel?"))
    assert silent["answer"] == ""
    assert silent["abstained"].startswith("NOT_ANSWERED")


def test_what_was_edited_does_not_leave(workspace: Workspace) -> None:
    with sqlite3.connect(workspace.folder / "ledger.db") as database:
        database.execute("UPDATE chunk SET text = replace(text, '90 days', '9 years')")
    found = content(call(workspace, "search", query="How long are audit logs kept?"))
    assert found["refused"] == 1
    assert "9 years" not in json.dumps(found)
    failed = call(workspace, "fetch", id="guide.md")
    assert failed.is_error
    assert "TAMPERED_TEXT" in failed.content[0].text


def test_an_unknown_document_is_a_clear_error(workspace: Workspace) -> None:
    failed = call(workspace, "fetch", id="no such thing")
    assert failed.is_error
    assert "no version of 'no such thing' stands" in failed.content[0].text
