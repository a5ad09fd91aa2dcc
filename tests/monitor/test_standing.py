"""Source standing over real workspaces: what a source did moves its trust, in the open and under a signature only."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from trustrag.errors import ConflictError, MalformedError, NotFoundError
from trustrag.workspace import Assessment, Bounds, Document, Workspace

NOW = 1_770_000_000
BOUNDS = Bounds(probation_approvals=3, probation_age=6, trust_step=50, trust_floor=100, trust_ceiling=900)

RIVERS = (
    "Ostra",
    "Merle",
    "Quell",
    "Tarn",
    "Varda",
    "Wissel",
    "Yarrow",
    "Zell",
    "Imber",
    "Lyne",
    "Neth",
    "Olm",
)


def said_by_wiki(place: int, length: int | None = None) -> str:
    return f"The river {RIVERS[place]} runs through the northern valley for {length or 100 + place} miles to the sea."


def said_by_atlas(place: int) -> str:
    river = RIVERS[place]
    return f"Seen from its spring, the river {river} has {100 + place} miles to go through a valley in the north."


def document(doc_id: str, text: str) -> Document:
    return Document(doc_id, text.encode(), "text/plain", text, doc_id, {"title": doc_id})


def publish(workspace: Workspace, source: str, texts: Sequence[str], start: int = 0) -> None:
    """One document at a time: four entries of the log each."""
    for place, text in enumerate(texts, start=start):
        report = workspace.ingest_documents([document(f"{source}/{place}", text)], source=source)
        assert len(report.admitted) == 1, report


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    """One established source, acme, with six documents; the policy has bounds of its own."""
    with Workspace.init(tmp_path / "kb", source="acme", embedder="hash", clock=lambda: NOW) as made:
        made.authority.set_bounds(BOUNDS)
        publish(made, "acme", [said_by_wiki(place) for place in range(6)])
        yield made


def only(workspace: Workspace, name: str, *, apply: bool = False) -> Assessment:
    (found,) = workspace.assess([name], apply=apply)
    return found


def let_in(workspace: Workspace, texts: list[str], *, start: int = 0) -> None:
    """What a newcomer brings waits, until somebody approves it."""
    papers = [document(f"new/{place}", text) for place, text in enumerate(texts, start)]
    workspace.ingest_documents(papers, source="new")
    for paper in papers:
        if workspace.history.document(paper.doc_id)[-1].standing == "quarantined":
            workspace.reviews.approve(paper.doc_id, reason="it was read")


def test_approvals_and_age_lift_probation_and_nothing_moves_unsigned(workspace: Workspace) -> None:
    workspace.add_source("new", probation=True, trust=0.6)
    let_in(workspace, ["The heron nests in reeds.", "The kestrel hovers over fields."])
    early = only(workspace, "new", apply=True)
    assert early.probation
    assert not early.changes
    assert any("2 of 3 documents" in reason for reason in early.reasons)
    let_in(workspace, ["The dipper walks under water."], start=2)

    version = workspace.policy.version
    proposed = only(workspace, "new")
    assert (proposed.probation_now, proposed.probation, proposed.changes) == (True, False, True)
    assert any(reason.startswith("leaves probation") for reason in proposed.reasons)
    assert workspace.policy.version == version
    assert workspace.authority.source("new").probation

    assert only(workspace, "new", apply=True) == proposed
    assert workspace.policy.version == version + 1
    assert not workspace.authority.source("new").probation
    again = workspace.assess(apply=True)
    assert [one.changes for one in again] == [False, False]
    assert workspace.policy.version == version + 1
    with Workspace.open(workspace.folder, clock=lambda: NOW) as elsewhere:
        assert not elsewhere.authority.source("new").probation


def test_a_young_source_waits_however_much_it_publishes_at_once(workspace: Workspace) -> None:
    workspace.add_source("new")
    many = [
        document(f"new/{place}", f"Bird number {place} sings in the {river} reeds.")
        for place, river in enumerate(RIVERS)
    ]
    assert len(workspace.ingest_documents(many, source="new").admitted) == len(RIVERS)
    workspace.authority.set_standing("new", probation=True)
    found = only(workspace, "new")
    assert found.record.documents == len(RIVERS)
    assert found.probation
    assert any("of 6 entries" in reason for reason in found.reasons)


def test_what_is_held_keeps_a_source_on_probation(workspace: Workspace) -> None:
    workspace.add_source("new", probation=True)
    let_in(
        workspace, ["The heron nests in reeds.", "The kestrel hovers.", "The dipper dives.", "The owl hunts."]
    )
    workspace.rule("quarantine", doc_id="new/3", reason="who says so?")
    found = only(workspace, "new")
    assert found.probation
    assert any("held (new/3)" in reason for reason in found.reasons)


def test_a_ruling_lowers_trust_and_a_restored_document_gives_it_back(workspace: Workspace) -> None:
    workspace.add_source("wiki", trust=0.5)
    publish(workspace, "wiki", ["The heron nests in reeds.", "The kestrel hovers.", "The dipper dives."])
    assert not only(workspace, "wiki").changes
    workspace.rule("quarantine", doc_id="wiki/1", reason="it is not so")
    found = only(workspace, "wiki", apply=True)
    assert (found.trust, found.probation) == (450, False)
    assert found.reasons == ("1 document is ruled against (wiki/1): -0.05",)
    source = workspace.authority.source("wiki")
    assert (source.prior, source.trust, source.moved) == (500, 450, -50)
    # A second time nothing adds up: the move is reckoned from the prior.
    assert not only(workspace, "wiki", apply=True).changes
    report = workspace.search("the heron nests", sources=["wiki"])
    assert {ranked.passage.trust for ranked in report.passages} == {450}
    workspace.rule("withdraw", doc_id="wiki/1", reason="it was not so")
    assert only(workspace, "wiki").trust == 450
    workspace.rule("restore", doc_id="wiki/1", reason="it was so after all")
    assert only(workspace, "wiki", apply=True).trust == 500
    assert workspace.authority.source("wiki").moved == 0


def test_taking_a_document_back_is_no_ruling_against_its_source(workspace: Workspace) -> None:
    workspace.withdraw(["acme/1", "acme/2"], reason="out of date")
    found = only(workspace, "acme")
    assert not found.changes
    assert (found.record.withdrawn, found.record.ruled) == (2, ())


def test_independent_corroboration_raises_within_the_ceiling(workspace: Workspace) -> None:
    publish(workspace, "acme", [said_by_wiki(place) for place in range(6, 12)], start=6)
    workspace.add_source("atlas", trust=0.88)
    publish(workspace, "atlas", [said_by_atlas(place) for place in range(12)])
    found = only(workspace, "atlas", apply=True)
    tally = found.record.earlier + found.record.recent
    assert (tally.looked, tally.contradicted) == (12, 0)
    assert tally.corroborated >= 8
    assert found.trust == 900
    assert any("corroborated by independent sources" in reason for reason in found.reasons)
    assert any("held at 0.9" in reason for reason in found.reasons)
    assert workspace.authority.source("atlas").prior == 880


def test_a_key_that_turns_goes_on_probation_by_proposal(workspace: Workspace) -> None:
    workspace.add_source("aged")
    publish(
        workspace, "aged", [f"Bird number {place} sings in the {RIVERS[place]} reeds." for place in range(8)]
    )
    assert not only(workspace, "aged").changes
    publish(workspace, "aged", [said_by_wiki(place, 900 + place) for place in range(4)], start=8)
    found = only(workspace, "aged")
    assert found.record.turned
    assert (found.probation_now, found.probation) == (False, True)
    assert found.reasons[0].startswith("goes on probation")
    assert not workspace.authority.source("aged").probation
    only(workspace, "aged", apply=True)
    assert workspace.authority.source("aged").probation
    assert not only(workspace, "aged", apply=True).changes
    # Who said it first has nothing to fear from who contradicts it afterwards.
    acme = only(workspace, "acme").record
    assert (acme.earlier + acme.recent).contradicted == 0


LOGS = "Audit logs of the harbour office are kept for 90 days before they are deleted by the archivist."
LOGS_IN_OTHER_WORDS = "The harbour office deletes its audit logs once 90 days have gone by."


def supporters(workspace: Workspace) -> dict[str, tuple[str, ...]]:
    report = workspace.search("How many days are audit logs kept?", k=8)
    return {
        ranked.passage.source: ranked.explanation.supporters
        for ranked in report.passages
        if "logs" in ranked.passage.text
    }


def test_a_flood_beside_a_lie_does_not_hide_the_truth(workspace: Workspace) -> None:
    """An accomplice under another name fills the neighbourhood of each lie with texts that are nearest to it."""
    workspace.add_source("aged")
    workspace.add_source("accomplice")
    lies = [said_by_wiki(place, 900 + place) for place in range(4)]
    publish(
        workspace, "aged", [f"Bird number {place} sings in the {RIVERS[place]} reeds." for place in range(8)]
    )
    publish(workspace, "aged", lies, start=8)
    flood = [
        document(f"accomplice/{place}-{copy}", lie) for place, lie in enumerate(lies) for copy in range(12)
    ]
    assert len(workspace.ingest_documents(flood, source="accomplice", advisory=["floods"]).admitted) == len(
        flood
    )
    assert only(workspace, "aged").record.recent.contradicted >= 3
    assert only(workspace, "aged").record.turned


def test_a_copy_published_later_lends_no_support(workspace: Workspace) -> None:
    workspace.add_source("mirror")
    workspace.add_source("lab")
    publish(workspace, "acme", [LOGS], start=6)
    publish(workspace, "mirror", [LOGS])
    report = workspace.search("How many days are audit logs kept?", k=8)
    index = {r.passage.source: r.passage.source_index for r in report.passages if r.passage.text == LOGS}
    assert index["acme"] < index["mirror"]
    assert supporters(workspace) == {"acme": (), "mirror": ()}
    penalties = {r.passage.source: r.explanation.penalties for r in report.passages if r.passage.text == LOGS}
    assert [penalty.name for penalty in penalties["mirror"]] == ["copy"]
    assert penalties["acme"] == ()
    # Whoever says it in words of their own does lend support; and so it is with records.
    for name in ("acme", "mirror"):
        record = only(workspace, name).record
        assert (record.earlier + record.recent).corroborated == 0
    publish(workspace, "lab", [LOGS_IN_OTHER_WORDS])
    assert supporters(workspace)["acme"] == ("lab",)
    record = only(workspace, "acme").record
    assert (record.earlier + record.recent).corroborated == 1


def test_bounds_hold_what_was_moved_before(workspace: Workspace) -> None:
    workspace.add_source("wiki", trust=0.5)
    workspace.authority.reassess({"wiki": (300, True)})
    source = workspace.authority.source("wiki")
    assert (source.prior, source.trust, source.probation) == (500, 300, True)
    workspace.authority.set_bounds(replace(BOUNDS, trust_floor=400))
    assert workspace.authority.source("wiki").trust == 400
    with pytest.raises(MalformedError, match="beyond the bounds"):
        workspace.authority.reassess({"wiki": (399, False)})
    with pytest.raises(NotFoundError):
        workspace.authority.reassess({"nobody": (500, False)})


def test_the_operator_may_say_anew_and_the_record_goes_on_from_there(workspace: Workspace) -> None:
    workspace.add_source("wiki", trust=0.5)
    publish(workspace, "wiki", ["The heron nests in reeds.", "The kestrel hovers."])
    workspace.rule("quarantine", doc_id="wiki/1", reason="it is not so")
    only(workspace, "wiki", apply=True)
    said = workspace.authority.set_standing("wiki", trust=0.12, probation=True)
    assert (said.prior, said.trust, said.moved, said.probation) == (120, 100, -20, True)
    assert workspace.authority.source("wiki") == said
    assert not only(workspace, "wiki").changes
    with pytest.raises(ConflictError, match="already"):
        workspace.authority.set_standing("wiki", trust=0.12)
    with pytest.raises(ValueError, match="0 to 1"):
        workspace.authority.set_standing("wiki", trust=1.2)


def test_a_source_without_documents_has_an_empty_record(workspace: Workspace) -> None:
    workspace.add_source("silent", probation=True)
    found = only(workspace, "silent")
    assert (found.record.documents, found.record.proved, found.record.age) == (0, 0, 0)
    assert not found.changes
