"""Attacks by what is handed in: evidence files and attestations that were made to be misread, or to be too much."""

import base64
import contextlib
import io
import json
import os
import shutil
import sqlite3
import struct
import sys
import time
from pathlib import Path

import pytest
from nacl.signing import SigningKey

from tests.attacks.envelopes import canonical, envelope, stolen_key
from tests.attacks.scene import NOW, QUESTION, Scene, at_home, attack, document, not_stopped
from trustrag.errors import MalformedError, Refusal, VerificationError
from trustrag.workspace import RefusedPassage, Workspace, verify_evidence

STRANGER = SigningKey(b"\x66" * 32)
QUICK = 5.0  # seconds: far more than any refusal takes, far less than a hang


def command(*words: str) -> tuple[int, str]:
    """Run the command as a person would; returns its exit status and all that it said."""
    from trustrag.cli import main

    said, before = io.StringIO(), sys.argv
    sys.argv = ["trustrag", *words]
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            main()
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 1
        return code, said.getvalue()
    finally:
        sys.argv = before
    return 0, said.getvalue()


def evidence(scene: Scene) -> bytes:
    """An honest evidence file of today's store."""
    with scene.open() as workspace:
        return workspace.search(QUESTION).evidence().encode()


def refused_file(scene: Scene, data: bytes) -> None:
    """`trustrag verify` refuses this file as a whole: one line, no traceback, and soon."""
    path = scene.root / "evidence.json"
    path.write_bytes(data)
    start = time.monotonic()
    code, said = command("verify", str(path), "--keys", str(scene.folder / "keys"))
    assert code == 1, said
    assert time.monotonic() - start < QUICK
    assert "VERIFIED" not in said
    assert said.startswith("trustrag: ")
    assert "internal error" not in said, said
    assert len(said) < 2000
    scene.say(Refusal.MALFORMED)


def bent(data: bytes, *path: str | int, to: object) -> bytes:
    """Canonical JSON with one field changed."""
    fields = json.loads(data)
    at = fields
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = to
    return canonical(fields)


@attack("edit an answer's evidence file", "it is proved from the public keys alone, as in the store")
def test_edited_evidence(scene: Scene) -> None:
    honest = evidence(scene)
    keys = scene.folder / "keys"
    assert not [r for r in verify_evidence(honest, keys).results if isinstance(r, RefusedPassage)]
    cases = (
        (Refusal.TAMPERED_TEXT, ("passages", 0, "text"), "Audit logs are sold."),
        (Refusal.TAMPERED_METADATA, ("passages", 0, "metadata"), "{}"),
        (Refusal.TAMPERED_VECTOR, ("passages", 0, "vector"), base64.b64encode(bytes(1024)).decode()),
    )
    for refusal, path, value in cases:
        first = verify_evidence(bent(honest, *path, to=value), keys).results[0]
        assert isinstance(first, RefusedPassage)
        assert first.refusal is refusal
        scene.say(refusal)


@attack("evidence from another store", "the head is signed by the log key of the reader's own policy")
def test_other_stores_evidence(scene: Scene) -> None:
    with Workspace.init(scene.root / "other", source="acme", embedder="hash", passphrase=None) as other:
        other.ingest_documents([document("retention.txt", "Audit logs are sold.")], source="acme")
        theirs = other.search(QUESTION).evidence().encode()
    scene.fails(VerificationError, "", lambda: verify_evidence(theirs, scene.folder / "keys"))


@attack("duplicate JSON keys", "strict JSON: no second reading")
def test_duplicate_keys(scene: Scene) -> None:
    honest = evidence(scene)
    refused_file(scene, honest.replace(b'"text":', b'"text":"Audit logs are sold.","text":', 1))
    refused_file(scene, b'{"format":"x",' + honest[1:])


@attack("huge integers, floats, NaN", "integers up to 2^53 - 1, and nothing else that is a number")
def test_huge_integers(scene: Scene) -> None:
    honest = evidence(scene)
    for number in (b"9" * 4000, b"9007199254740993", b"1e400", b"NaN", b"Infinity", b"-0", b"1.0"):
        refused_file(scene, honest.replace(b'"document":0', b'"document":' + number, 1))
    for index in (2**53 - 1, -1, 10**6):
        refused_file(scene, bent(honest, "passages", 0, "document", to=index))


@attack("deep nesting", "the depth is counted before anything is parsed")
def test_deep_nesting(scene: Scene) -> None:
    for data in (
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"[" * 5_000_000,
        b'{"format":' + b"[" * 40 + b"]" * 40 + b"}",
    ):
        refused_file(scene, data)


@attack("an evidence file of 10 MB, and one of 20 MB", "sizes are capped, and proofs have at most 64 hashes")
def test_large_evidence(scene: Scene) -> None:
    honest = evidence(scene)
    refused_file(scene, bent(honest, "passages", 0, "chunkPath", to=["00" * 32] * 150_000))
    refused_file(scene, bent(honest, "envelopes", 0, "proof", to=["00" * 32] * 150_000))
    refused_file(scene, honest + b" " * (20 << 20))
    refused_file(scene, bent(honest, "passages", to=json.loads(honest)["passages"] * 2500))
    text = bent(honest, "passages", 0, "text", to="x" * (10 << 20))
    first = verify_evidence(text, scene.folder / "keys").results[0]
    assert isinstance(first, RefusedPassage)
    assert first.refusal is Refusal.TAMPERED_TEXT


@attack("noise, cuts and wrong encodings instead of evidence", "parsers raise one kind of error")
def test_noise(scene: Scene) -> None:
    honest = evidence(scene)
    cases = (
        b"",
        b"null",
        b"{}",
        b"\xff\xfe{}",
        b"\xef\xbb\xbf" + honest,
        honest[:-1],
        honest + b"{}",
        b"\x80\x04]q\x00.",
    )
    for data in cases:
        refused_file(scene, data)
    refused_file(scene, honest.replace(b'"text":"', b'"text":"\\ud800', 1))
    refused_file(scene, bytes(range(256)) * 4096)


@attack(
    "attestations made to be misread or to be too much", "one bad line is one problem; nothing of it is used"
)
def test_hostile_attestations(scene: Scene) -> None:
    wiki = stolen_key(scene.home, "source-wiki")
    honest = canonical(envelope(b"{}", wiki))
    paper, signed = scene.root / "paper.txt", scene.root / "hostile.intoto.jsonl"
    paper.write_text("A text like any other.")
    lines = {
        "duplicate keys": b'{"payload":"e30=",' + honest[1:],
        "deep nesting": b"[" * 60_000,
        "very deep nesting": b'{"a":' * 2_000_000,
        "a huge integer": b'{"payload":' + b"9" * 60_000 + b"}",
        "oversized": canonical(envelope(b"x" * 60_000, wiki)),
        "10 MB on one line": b'{"payload":"' + b"A" * (10 << 20) + b'"}',
        "not canonical": honest.replace(b":", b": "),
        "base64 with bits left over": honest.replace(b'"e30="', b'"e31="'),
        "deep payload": canonical(envelope(b"[" * 20_000, wiki)),
        "payload with duplicate keys": canonical(envelope(b'{"_type":"a","_type":"b"}', wiki)),
        "no payload": canonical(envelope(b"", wiki)),
        "noise": bytes(range(1, 256)).replace(b"\n", b""),
    }
    for name, line in lines.items():
        signed.write_bytes(line + b"\n")
        start = time.monotonic()
        code, said = command("-w", str(scene.folder), "ingest", str(paper), "--attestations", str(signed))
        assert code == 1, (name, said)
        assert time.monotonic() - start < QUICK, name
        assert "internal error" not in said, (name, said)
        assert len(said) < 3000, (name, len(said))
    scene.say(Refusal.MALFORMED)
    scene.served()
    scene.audit_is_clean()


@attack(
    "a bad line hides the good ones of a file of attestations", "the good ones go in, the bad one is named"
)
def test_good_lines_beside_bad_ones(scene: Scene) -> None:
    paper, signed = scene.root / "paper.txt", scene.root / "signed.intoto.jsonl"
    paper.write_text("A text like any other.")
    with scene.open() as workspace:
        workspace.attest([paper], signed, source="wiki", prefix="wiki/")
    signed.write_bytes(b"[" * 70_000 + b"\n" + signed.read_bytes() + b'{"payload":\n')
    words = ("ingest", str(paper), "--attestations", str(signed), "--prefix", "wiki/")
    code, said = command("-w", str(scene.folder), *words)
    assert code == 1, said
    assert "signed.intoto.jsonl:1" in said
    assert "signed.intoto.jsonl:3" in said
    with scene.open() as workspace:
        assert workspace.read("wiki/paper.txt")[0].text == "A text like any other."
    scene.say("named, the others taken in")


@attack(
    "a document that speaks to the terminal", "control characters of documents and names are never printed"
)
def test_terminal_escapes(scene: Scene) -> None:
    paper = scene.root / "paper.txt"
    paper.write_text("Audit logs \x1b]0;owned\x07\x1b[2J are kept \x9b31m for ever.")
    odd = scene.root / "od\x1b[31m\u202ed.txt"
    odd.write_text("Audit logs are odd.")
    words = ("-w", str(scene.folder))
    said = command(*words, "ingest", str(paper), str(odd), "--sign", "--source", "wiki", "--prefix", "wiki/")[
        1
    ]
    said += (
        command(*words, "search", "Audit logs")[1]
        + command(*words, "ask", "How long are audit logs kept?")[1]
    )
    assert not set(said) & {"\x1b", "\x07", "\x9b", "\u202e"}
    scene.say("printed as blanks")


@attack(
    "an index that is noise, or code to be unpickled", "a cache of integers, checked one by one, or not taken"
)
def test_garbage_index(scene: Scene) -> None:
    index = scene.folder / "index"
    (file,) = index.glob("*.idx")
    honest = file.read_bytes()
    mark = scene.root / "owned"
    pickle = b"cos\nsystem\n(S'touch " + os.fsencode(mark) + b"'\ntR."
    header = honest[: honest.index(b"\n")]
    for data in (
        b"", b"\x00" * 100_000, os.urandom(50_000), pickle, honest[:-8], honest + b"\x00" * 8,
        header + b"\n", header.replace(b'"ids": ', b'"ids": 9999999999') + b"\n", b"[" * 4000 + b"\n", b"{}\n",
    ):  # fmt: skip
        file.write_bytes(data)
        assert "retention.txt" in scene.served()
        for name in ("index.faiss", "index.pkl"):
            (index / name).write_bytes(pickle)
    assert not mark.exists()
    scene.say("not taken; answers unchanged")
    scene.audit_is_clean()


@attack("another workspace's index", "ids that this ledger never gave are not taken")
def test_other_index(scene: Scene) -> None:
    with Workspace.init(scene.root / "other", source="acme", embedder="hash", passphrase=None) as other:
        papers = [document(f"{number}.txt", f"Audit logs, part {number}.") for number in range(30)]
        other.ingest_documents(papers, source="acme")
        other.search(QUESTION)
    shutil.rmtree(scene.folder / "index")
    shutil.copytree(scene.root / "other" / "index", scene.folder / "index")
    assert "retention.txt" in scene.served()
    scene.say("not taken; answers unchanged")
    scene.audit_is_clean()


def index_of(scene: Scene, ids: list[int]) -> None:
    """Write an index cache that holds these ids, well-formed in every byte."""
    import hashlib
    import struct

    (file,) = (scene.folder / "index").glob("*.idx")
    fields = json.loads(file.read_bytes().split(b"\n", 1)[0])
    body = struct.pack(f"<{len(ids)}q", *ids)
    fields |= {"arrays": {"ids": len(ids)}, "sha256": hashlib.sha256(body).hexdigest()}
    file.write_bytes(json.dumps(fields).encode() + b"\n" + body)


@attack(
    "an index cache with wrong, doubled, negative or missing ids",
    "it is brought in line with the ledger when it is opened",
)
def test_wrong_ids(scene: Scene) -> None:
    superseded = scene.chunk("retention.txt", version=1)
    for ids in (
        [],
        [0, 0, 0],
        [-1],
        [2**62],
        [superseded],
        list(range(11)),
        [10, 9, 8],
        list(range(100_000)),
    ):
        index_of(scene, ids)
        assert "retention.txt" in scene.served(), ids
        scene.audit_is_clean()
    scene.say("corrected; answers unchanged")


@attack(
    "a folder, a link or nothing where the index should be",
    "the index is a cache; without it, it's made again",
)
def test_no_index(scene: Scene) -> None:
    index = scene.folder / "index"
    shutil.rmtree(index)
    assert "retention.txt" in scene.served()
    (file,) = index.glob("*.idx")
    file.unlink()
    file.mkdir()
    assert "retention.txt" in scene.served()
    file.rmdir()
    file.symlink_to("/dev/zero")
    if not Path("/dev/zero").exists():
        return
    shutil.rmtree(index)
    index.write_text("not a folder")
    assert "retention.txt" in scene.served()
    scene.say("made again; answers unchanged")


class Liar:
    """An index that its operator has turned: it answers with what it was told to answer."""

    def __init__(self, answer: list[tuple[int, float]]) -> None:
        self.answer = answer

    def __len__(self) -> int:
        return len(self.answer)

    def ids(self):  # type: ignore[no-untyped-def]
        import numpy as np

        return np.array(sorted({number for number, _ in self.answer if 0 <= number < 2**63}), dtype=np.int64)

    def add(self, ids, vectors) -> None:  # type: ignore[no-untyped-def]
        """It adds nothing."""

    def remove(self, ids) -> None:  # type: ignore[no-untyped-def]
        """It removes nothing."""

    def search(self, vector, k, allowed=None):  # type: ignore[no-untyped-def]
        from trustrag.index import Hit

        return [Hit(number, score) for number, score in self.answer]

    def save(self, path) -> None:  # type: ignore[no-untyped-def]
        """It keeps nothing."""

    def load(self, path, vectors_of) -> bool:  # type: ignore[no-untyped-def]
        return True


@contextlib.contextmanager
def behind(scene: Scene, answer: list[tuple[int, float]]):  # type: ignore[no-untyped-def]
    """A retriever over the attacked workspace whose index is hostile, and an audit of the two."""
    from trustrag.index import open_embedder
    from trustrag.ledger import Ledger
    from trustrag.retrieval.gate import Gate, ShortMemory
    from trustrag.retrieval.retriever import Retriever

    with scene.open() as workspace, Ledger.open(scene.folder) as ledger:
        policy = workspace.policy
        gate = Gate(policy, policy.context, ShortMemory())
        yield (
            Retriever(ledger, scene.root / "elsewhere", open_embedder("hash"), gate, index=Liar(answer)),
            ledger,
        )


@attack(
    "a live index that names wrong ids, twice, with false scores",
    "every hit is proved, and scored from the proved vector",
)
def test_lying_index(scene: Scene) -> None:
    from tests.attacks.scene import NOW, told

    new, old = scene.chunk("retention.txt"), scene.chunk("retention.txt", version=1)
    recalled, travel = scene.chunk("recalled.txt"), scene.chunk("travel.txt")
    answer = [
        (old, 9.0),
        (recalled, 8.0),
        (travel, 7.0),
        (travel, 7.0),
        (10**12, 1.0),
        (-5, 1.0),
        (new, -1.0),
        (2**70, 0.5),
    ]
    with behind(scene, answer) as (retriever, _):
        report = retriever.search(QUESTION, k=5, now=NOW)
    assert [ranked.passage.doc_id for ranked in report.passages] == ["retention.txt", "travel.txt"]
    assert {told(ranked.passage) for ranked in report.passages} <= scene.honest
    assert all(-1 <= ranked.relevance <= 1 for ranked in report.passages)
    assert {found.refusal for found in report.refused} == {Refusal.NOT_IN_SNAPSHOT}
    assert report.faults
    scene.say("NOT_IN_SNAPSHOT, faults reported")


@not_stopped(
    "a live index that leaves passages out",
    "nothing false is served; the audit names every row that is missing",
)
def test_omitting_index(scene: Scene) -> None:
    from tests.attacks.scene import NOW
    from trustrag.monitor.audit import audit

    with behind(scene, [(scene.chunk("travel.txt"), 0.5)]) as (retriever, ledger):
        report = retriever.search(QUESTION, k=5, now=NOW)
        problems = audit(ledger, retriever.gate, retriever, now=NOW).problems
    assert [ranked.passage.doc_id for ranked in report.passages] == ["travel.txt"]
    assert any("is missing: this passage stands and cannot be found" in problem.what for problem in problems)
    scene.say("left out without a word")
    scene.say("audit names it")


@attack(
    "a live index that leaves passages out, of whoever signs receipts",
    "the receipt is replayed exactly on the snapshot that it names",
)
def test_omission_under_a_receipt(scene: Scene) -> None:
    with behind(scene, [(scene.chunk("travel.txt"), 0.5)]) as (retriever, _), scene.open() as workspace:
        data = workspace.receipts.of(retriever.search(QUESTION, k=5, now=NOW))
        found = workspace.receipts.replay(data)
    assert not found.same
    assert "retention.txt" in [passage.doc_id for passage in found.missing]
    scene.say("MISSING, by name")


@attack(
    "edit a receipt, or put another question beside it",
    "signed; question, vector and filter have its digests",
)
def test_edited_receipt(scene: Scene) -> None:
    with scene.open() as workspace:
        data = workspace.receipts.of(workspace.search(QUESTION, k=3))
        for field, value in (("question", "Is lunch at noon?"), ("where", '{"audience":"public"}')):
            with pytest.raises(MalformedError):
                workspace.receipts.replay(canonical(json.loads(data) | {field: value}))
        bent = json.loads(data)
        inner = json.loads(bent["envelope"])
        payload = base64.b64decode(inner["payload"]).replace(b'"snapshot":', b'"snapshot":1')
        inner["payload"] = base64.b64encode(payload).decode()
        bent["envelope"] = canonical(inner).decode()
        with pytest.raises(VerificationError) as caught:
            workspace.receipts.replay(canonical(bent))
    assert caught.value.refusal is Refusal.BAD_SIGNATURE
    scene.say("MALFORMED, BAD_SIGNATURE")


@attack(
    "comparisons of texts that were made up, in the workspace, or in a folder that a link puts there",
    "they are kept in the user's own folder, and nowhere else are they believed",
)
def test_pairs_in_the_workspace(scene: Scene) -> None:
    question, other = "audit logs", scene.root / "elsewhere"
    honest = [(one.passage.doc_id, one.score) for one in scene.search(question).passages]
    (kept,) = (scene.home / "pairs").glob("*.db")

    def forged(place: Path) -> None:
        """As kept, but each pair a copy of each other."""
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(kept, place)
        with sqlite3.connect(place) as database:
            database.execute("UPDATE pairs SET value = ?", (struct.pack("<4d", 1, 1, 1, 1),))

    for folder in ("pairs", "index/pairs", "keys/pairs", ""):
        forged(scene.folder / folder / kept.name)
    assert [(one.passage.doc_id, one.score) for one in scene.search(question).passages] == honest
    # A home whose folder of pairs lies in the workspace, by whatever way: not read, and not written.
    shutil.copytree(scene.home, other)
    shutil.rmtree(other / "pairs")
    (other / "pairs").symlink_to(scene.folder / "pairs")
    before = (scene.folder / "pairs" / kept.name).read_bytes()
    with at_home(other), Workspace.open(scene.folder, clock=lambda: NOW) as workspace:
        found = workspace.search(question, k=10).passages
    assert [(one.passage.doc_id, one.score) for one in found] == honest
    assert (scene.folder / "pairs" / kept.name).read_bytes() == before
    # Where they are kept, a number that nothing can have come to is worked out again.
    with sqlite3.connect(kept) as database:
        database.execute("UPDATE pairs SET value = ?", (struct.pack("<4d", 9, 9, 9, 9),))
    assert [(one.passage.doc_id, one.score) for one in scene.search(question).passages] == honest
    scene.say("not read; ranking unchanged")
