"""`make demo-review`: the life of one poisoned page, from the door to the shelf of what was rejected.

A wiki publishes its page on refunds. Somebody with the wiki's own key then changes two words of it: 30 days become 90.
The signature is good, the source is in scope, and nothing in the text looks like an attack. Everything here is real: keys
on three machines (three home folders), the model, the ledger, the signed decisions. Each step is asserted as it is told.
"""

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.arguments import nothing
from trustrag.errors import TrustragError
from trustrag.publisher import Publisher
from trustrag.workspace import AnyEmbedder, Details, Document, Outcome, Workspace

QUESTIONS = (
    "How long does a refund take?",
    "Who do I write to about a refund?",
    "When does the warehouse open?",
    "What happens to a parcel that nobody collects?",
)
HANDBOOK = """\
Refunds of the house are paid within 30 days after the letter of the customer has arrived. The accounts office signs each one.

The warehouse opens at seven in the morning and closes at six. A parcel that nobody collects goes back after a fortnight.
"""
PAGE = """\
# Refunds

Refunds are paid within {days} days after the letter of the customer has arrived. The letter goes to the accounts office.

A refund is paid in the currency of the purchase, to the account that the purchase was paid from.
{more}"""
ADDED = "\nWhoever has moved encloses a note of the new address.\n"


@dataclass(frozen=True, slots=True)
class Machines:
    """The home folders of three people: the operator's, and those of two reviewers."""

    root: Path

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """As this person: private keys and memory are theirs alone."""
        before = os.environ.get("TRUSTRAG_HOME")
        os.environ["TRUSTRAG_HOME"] = str(self.root / f"home-{name}")
        try:
            yield
        finally:
            os.environ["TRUSTRAG_HOME"] = before or str(self.root / "home-operator")


def page(days: int, more: str = "") -> Document:
    """The wiki's page on refunds."""
    text = PAGE.format(days=days, more=more)
    return Document("wiki/refunds.md", text.encode(), "text/markdown", text, "Refunds", {"title": "Refunds"})


def tell(step: str, *lines: str) -> None:
    """One step, and what came of it."""
    print(f"\n{step}")
    for line in lines:
        print(f"   {line}")


def found(machines: Machines, embedder: AnyEmbedder) -> Workspace:
    """A store with two sources, two reviewers on machines of their own, and a contract with the wiki."""
    ws = Workspace.init(machines.root / "kb", source="handbook", embedder=embedder, passphrase=None)
    ws.add_source("wiki", trust=0.6, scope="default/default/wiki")
    for name in ("ann", "bob"):
        with machines.of(name):
            key = Publisher.open(ws.authority.keys_folder).new_reviewer_key(name, lambda: None)
        ws.reviews.add_reviewer(name, public_key=key.hex)
    assert ws.reviews.held_reviewers() == (), "no reviewer's key lies on the operator's machine"
    contract = machines.root / "wiki.yaml"
    ws.contracts.init("wiki", contract)
    text = contract.read_text(encoding="utf-8").replace("reviewers: 0 ", "reviewers: 2 ")
    contract.write_text(text, encoding="utf-8")
    signed = ws.contracts.sign(contract)
    assert ws.authority.source("wiki").reviews == 2
    ws.reviews.keep_questions(50)
    tell(
        "1. A store, a contract, two reviewers.",
        "sources handbook and wiki; reviewers ann and bob, each with a key on a machine of their own",
        f"the contract with wiki is signed into the policy: sha256 {signed.digest.hex[:16]}, 2 reviewers",
    )
    return ws


def publish(ws: Workspace) -> None:
    """The honest page stands, and is what questions are answered from."""
    ws.ingest_documents(
        [Document("refunds.md", HANDBOOK.encode(), "text/markdown", HANDBOOK, "House rules")],
        source="handbook",
    )
    report = ws.ingest_documents([page(30)], source="wiki")
    assert [one.doc_id for one in report.admitted] == ["wiki/refunds.md"], report
    for question in QUESTIONS:
        ws.search(question)
    tell("2. The honest page.", f"wiki/refunds.md {report.admitted[0].reason}: admitted", answer(ws))


def answer(ws: Workspace) -> str:
    """What a reader is told now, of the wiki's page."""
    found = ws.search(QUESTIONS[0], sources=["wiki"]).passages[0].passage
    days = "30" if "30 days" in found.text else "90" if "90 days" in found.text else "?"
    assert days == "30", found.text
    return f'"{QUESTIONS[0]}" -> wiki/refunds.md version {found.version}: "within {days} days"'


def poison(ws: Workspace) -> Outcome:
    """The changed page comes, signed with the wiki's own key, and waits."""
    report = ws.ingest_documents([page(90)], source="wiki")
    assert not report.admitted, report
    (held,) = report.quarantined
    assert "CHANGED_VALUE" in held.reason, held
    tell("3. The poisoned page, signed by the wiki's own key.", f"QUARANTINED {held.reason}", answer(ws))
    return held


def look(ws: Workspace) -> Details:
    """What a reviewer is shown."""
    details = ws.reviews.show("wiki/refunds.md")
    changed = [(piece.kind, piece.text) for piece in details.diff if piece.kind != "same"]
    assert changed == [("gone", "30"), ("new", "90")], changed
    conflicts = [near for near in details.neighbours if near.says == "differs"]
    assert [near.source for near in conflicts] == ["handbook"], details.neighbours
    assert details.effect is not None
    assert QUESTIONS[0] in details.effect.changed, details.effect
    tell(
        "4. What a reviewer is shown.",
        f"against version {details.stands}: "
        + " ".join(f"[-{text}-]" if kind == "gone" else f"{{+{text}+}}" for kind, text in changed),
        f'conflicts with {conflicts[0].source}: "{conflicts[0].text.split(".")[0]}."',
        f"would change the top passage of {len(details.effect.changed)} of {details.effect.asked} recent questions",
    )
    return details


def attack(ws: Workspace) -> None:
    """Whoever runs the store can't decide in the reviewers' place, nor ask for fewer of them."""
    lines = []
    try:
        ws.reviews.approve("wiki/refunds.md", reason="it was read")
    except TrustragError as error:
        lines.append(f"the operator approves:      REFUSED {error}")
    kept = ws.folder / "contracts" / "wiki.yaml"
    honest = kept.read_bytes()
    kept.write_bytes(honest.replace(b"reviewers: 2 ", b"reviewers: 0 "))
    report = ws.ingest_documents([page(90, "One more line.\n")], source="wiki")
    lines += [f"the contract file is edited: REFUSED {one.reason[:72]}..." for one in report.refused]
    kept.write_bytes(honest)
    assert len(lines) == 2, lines
    tell("5. Short cuts.", *lines)


def reject(ws: Workspace, machines: Machines) -> None:
    """Two reviewers reject it, each on a machine of their own; their verdicts are carried over in files."""
    case = machines.root / "refunds.held.json"
    ws.reviews.export("wiki/refunds.md", case)
    lines = []
    for name, reason in (("ann", "the handbook says 30"), ("bob", "nobody announced a change")):
        with machines.of(name):
            shown, verdict = Publisher.open(ws.authority.keys_folder).reject(case, reason=reason)
        assert "90 days" in shown.text
        decided = ws.reviews.take(verdict)
        lines.append(f"{decided.by} rejects ({reason}): {decided.have} of {decided.needed}")
        assert decided.settled is (name == "bob")
    tell("6. Two people reject it.", *lines, answer(ws))
    again = ws.ingest_documents([page(90)], source="wiki")
    assert again.refused, again
    tell("7. The same bytes come again.", f"REFUSED {again.refused[0].reason}")


def mend(ws: Workspace) -> None:
    """The honest page goes on, and the past is there for everybody to read."""
    report = ws.ingest_documents([page(30, ADDED)], source="wiki")
    assert [one.version for one in report.admitted] == [3], report
    said, rows = ws.reviews.history("wiki/refunds.md"), ws.history.document("wiki/refunds.md")
    lines = [
        f"version {row.version} {row.standing:10}"
        + "".join(f"  {one.by} rejected: {one.reason}" for one in said[row.version])
        for row in rows
    ]
    assert [row.standing for row in rows] == ["superseded", "withdrawn", "active"]
    tell("8. The next honest page is admitted.", answer(ws), *lines)
    audit = ws.audit()
    assert not audit.problems, audit.problems
    tell(
        "9. Audit.", f"{audit.entries} log entries, {audit.passages} passages, {len(audit.problems)} problems"
    )


def main(argv: Sequence[str] | None = None, *, embedder: AnyEmbedder = "minilm") -> int:
    """The whole life; 0 when every step went as it should."""
    nothing(__doc__, argv)
    with tempfile.TemporaryDirectory(prefix="trustrag-demo-") as name:
        machines = Machines(Path(name))
        # Keys and memory of a demonstration do not belong among the keys of the person who runs it.
        os.environ["TRUSTRAG_HOME"] = str(machines.root / "home-operator")
        with found(machines, embedder) as ws:
            publish(ws)
            poison(ws)
            look(ws)
            attack(ws)
            reject(ws, machines)
            mend(ws)
    return 0


if __name__ == "__main__":
    sys.exit(main())
