"""Attacks on a published folder: its files are bent one at a time, and put back as they were last week."""

import json
import shutil
from collections.abc import Callable

from tests.attacks.publication import Publication, again, publication
from tests.attacks.scene import (
    NOW,
    QUESTION,
    RETENTION,
    VECTOR_BYTES,
    Scene,
    at_home,
    attack,
    not_stopped,
    told,
)
from trustrag.errors import ConfigError, LedgerError, Refusal
from trustrag.published.shards import DOCUMENT, TERM
from trustrag.reader import Reader

DAY = 86_400


@attack("edit a text in a published shard", "text, metadata and vector are hashed on every query")
def test_published_text(scene: Scene) -> None:
    made = publication(scene)
    made.edit(RETENTION.encode(), RETENTION.replace("90", "91").encode())
    made.refuses_passage(Refusal.TAMPERED_TEXT, "retention.txt")


@attack("... and the digest beside it", "the leaf no longer leads to the chunk root")
def test_published_text_and_digest(scene: Scene) -> None:
    from hashlib import sha256

    made = publication(scene)
    bent = RETENTION.replace("90", "91").encode()
    made.edit(RETENTION.encode(), bent)
    made.edit(sha256(RETENTION.encode()).hexdigest().encode(), sha256(bent).hexdigest().encode())
    made.refuses_passage(Refusal.NOT_IN_SNAPSHOT, "retention.txt")


@attack("edit the metadata in a published shard", "the source signed their digest")
def test_published_metadata(scene: Scene) -> None:
    made = publication(scene)
    made.edit(
        rb"\"audience\":\"public\",\"title\":\"retention.txt\"",
        rb"\"audience\":\"secret\",\"title\":\"retention.txt\"",
    )
    made.refuses_passage(Refusal.TAMPERED_METADATA, "retention.txt")


@attack("put another vector under a published text", "the vector's digest is in its leaf")
def test_published_vector(scene: Scene) -> None:
    made = publication(scene)
    row = scene.chunk("retention.txt")
    other = scene.chunk("travel.txt")
    path = made.folder / "vectors" / "0.f32"
    data = path.read_bytes()
    rows = [data[at : at + VECTOR_BYTES] for at in range(0, len(data), VECTOR_BYTES)]
    rows[row], rows[other] = rows[other], rows[row]
    path.write_bytes(b"".join(rows))
    made.refuses_passage(Refusal.TAMPERED_VECTOR, "travel.txt")


@attack("cut the published vectors short", "their length is compared before they are mapped")
def test_published_vectors_cut(scene: Scene) -> None:
    made = publication(scene)
    path = made.folder / "vectors" / "0.f32"
    path.write_bytes(path.read_bytes()[:-1])
    made.fails(LedgerError, "is shorter than its")


def misfile(made: Publication, doc_id: str, bend: Callable[[bytes, int, int], bytes]) -> None:
    """Bend the tables of the shard that holds a document: `bend` gets the file, where its tables begin, and how many."""
    for path in (made.folder / "standing").glob("*/*"):
        data = path.read_bytes()
        if f'docId\\":\\"{doc_id}'.encode() in data:
            header, _, _ = data.partition(b"\n")
            told = json.loads(header)
            assert told["documents"] == 1
            path.write_bytes(bend(data, len(header) + 1, told["terms"]))
            return
    raise AssertionError(f"{doc_id} is in no shard")


@attack(
    "file a published document under another source or other metadata",
    "filters are applied again to what was proved",
)
def test_published_filters(scene: Scene) -> None:
    made = publication(scene)
    honest = {path: path.read_bytes() for path in (made.folder / "standing").glob("*/*")}

    def renamed(data: bytes, at: int, terms: int) -> bytes:
        return data[:at].replace(b'"acme"', b'"wiki"') + data[at:]

    def refiled(data: bytes, at: int, terms: int) -> bytes:
        first = at + DOCUMENT.itemsize
        return data[:first] + bytes(terms * TERM.itemsize) + data[first + terms * TERM.itemsize :]

    def relabelled(data: bytes, at: int, terms: int) -> bytes:
        return data.replace(b'"source":"acme"', b'"source":"wiki"')

    for bend, options in (
        (renamed, {"sources": ["acme"]}),
        (renamed, {"sources": ["wiki"]}),
        (refiled, {"where": {"audience": "public"}}),
        (relabelled, {}),
    ):
        misfile(made, "retention.txt", bend)
        with at_home(made.home):
            reader = Reader.open(made.folder, clock=lambda: NOW)
            report = reader.search(QUESTION, k=10, **options)
            audited = reader.audit()
        for refused in (report.refused, audited):
            assert ("retention.txt", Refusal.TAMPERED_METADATA) in {
                (one.doc_id, one.refusal) for one in refused
            }
        for path, data in honest.items():
            path.write_bytes(data)
    scene.say(Refusal.TAMPERED_METADATA)


@attack("leave a document out of a published shard", "its table has to lead to the signed root")
def test_published_omission(scene: Scene) -> None:
    made = publication(scene)
    for path in (made.folder / "standing").glob("*/*"):
        data = path.read_bytes()
        if b"retention.txt" in data:
            header, _, _ = data.partition(b"\n")
            path.write_bytes(
                header.replace(b'"documents":1', b'"documents":0').replace(b'"terms":2', b'"terms":0') + b"\n"
            )
    made.fails(LedgerError, "does not list what its state says stands")


@attack("leave a whole shard out", "what is named and not there is an error")
def test_published_shard_missing(scene: Scene) -> None:
    made = publication(scene)
    shutil.rmtree(next((made.folder / "standing").iterdir()))
    made.fails(LedgerError, "is missing or cannot be read")


@attack("show today's checkpoint with last week's state", "the state has to lead to the root that is signed")
def test_published_old_state(scene: Scene) -> None:
    made = publication(scene)
    (old,) = (made.folder / "state").iterdir()
    data = old.read_bytes()
    with scene.open() as workspace:
        again(scene, lambda: workspace.withdraw("travel.txt", reason="out of date"), made)
    new = max((made.folder / "state").iterdir(), key=lambda path: int(path.name))
    today = new.read_bytes()
    header, body = today.partition(b"\n")[0], data.partition(b"\n")[2]
    new.write_bytes(header + b"\n" + body)
    made.fails(LedgerError, "does not lead to the root that its snapshot signs")
    new.write_bytes(data)
    made.refuses(Refusal.MALFORMED)


@attack("put last week's publication back", "the newest checkpoint seen is remembered by the reader")
def test_published_last_week(scene: Scene) -> None:
    made = publication(scene)
    shutil.copytree(made.folder, scene.root / "last-week")
    with scene.open() as workspace:
        again(scene, lambda: workspace.withdraw("travel.txt", reason="out of date"), made)
    assert "travel.txt" not in {
        ranked.passage.doc_id for ranked in made.search("How are journeys booked?").passages
    }
    shutil.rmtree(made.folder)
    shutil.copytree(scene.root / "last-week", made.folder)
    made.refuses(Refusal.ROLLBACK)


@attack("put last week's checkpoint back beside today's files", "a shorter log than was seen is a rollback")
def test_published_old_checkpoint(scene: Scene) -> None:
    made = publication(scene)
    old = (made.folder / "checkpoint").read_bytes()
    with scene.open() as workspace:
        again(scene, lambda: workspace.withdraw("travel.txt", reason="out of date"), made)
    (made.folder / "checkpoint").write_bytes(old)
    made.refuses(Refusal.ROLLBACK)


@attack("freeze the published policy", "the versions of every trust role seen are remembered")
def test_published_frozen_policy(scene: Scene) -> None:
    made = publication(scene)
    shutil.copytree(made.folder / "keys", scene.root / "old-keys")
    with scene.open() as workspace:
        again(scene, lambda: workspace.authority.set_active("wiki", False), made)
    shutil.rmtree(made.folder / "keys")
    shutil.copytree(scene.root / "old-keys", made.folder / "keys")
    made.refuses(Refusal.ROLLBACK)


@attack("never publish again", "trust root and snapshot run out")
def test_published_frozen(scene: Scene) -> None:
    publication(scene).refuses(Refusal.EXPIRED, now=NOW + 100 * DAY)


@attack("bend a tile of the published log", "its hashes have to lead to the signed root")
def test_published_tile(scene: Scene) -> None:
    made = publication(scene)
    (name,) = (path.relative_to(made.folder).as_posix() for path in (made.folder / "tile/0/000.p").iterdir())
    made.flip(name, 5)
    made.refuses(Refusal.NOT_IN_SNAPSHOT)


@attack("bend an entry of the published log", "an envelope is what its signer signed, or nothing")
def test_published_entry(scene: Scene) -> None:
    made = publication(scene)
    made.edit(b'"payload":"', b'"payload":\'', "tile/entries/*.p/*")
    made.refuses(Refusal.MALFORMED)


@attack("publish the trust root of another store with it", "trust root and publication name one context")
def test_published_foreign_keys(scene: Scene) -> None:
    from trustrag.workspace import Workspace

    made = publication(scene)
    with Workspace.init(scene.root / "mine", source="acme", embedder="hash", passphrase=None) as other:
        shutil.rmtree(made.folder / "keys")
        shutil.copytree(other.authority.keys_folder, made.folder / "keys")
    made.refuses(Refusal.WRONG_CONTEXT)


@attack("name a model of a hub as the publication's embedder", "no model is fetched because a folder says so")
def test_published_model(scene: Scene) -> None:
    made = publication(scene)
    made.edit(b'"hash-256"', b'"evil/mod"', "state/*")
    made.fails(ConfigError, "made with evil/mod: give it as embedder=")


@attack("fork the log and publish the other half", "the reader's newest checkpoint has to be extended")
def test_published_fork(scene: Scene) -> None:
    from tests.attacks.scene import document

    shutil.copytree(scene.folder, scene.root / "half")
    made = publication(scene)
    with scene.open() as workspace:
        again(scene, lambda: workspace.withdraw("travel.txt", reason="out of date"), made)
    shutil.copytree(scene.home, scene.root / "operator")
    shutil.rmtree(scene.root / "operator" / "state")
    with at_home(scene.root / "operator"), scene.open(scene.root / "half") as half:
        half.ingest_documents([document("other.txt", "Something else.")], source="acme")
        half.ingest_documents([document("more.txt", "And more.")], source="acme")
        half.log.publish(scene.root / "other-half")
    Publication(scene, scene.root / "other-half", made.home).refuses(Refusal.FORK)


@not_stopped("bend a published vector so that its text is not found", "an audit of the publication names it")
def test_published_vector_hides(scene: Scene) -> None:
    made = publication(scene)
    path = made.folder / "vectors" / "0.f32"
    data = bytearray(path.read_bytes())
    row = scene.chunk("retention.txt")
    for at in range(row * VECTOR_BYTES, (row + 1) * VECTOR_BYTES, 4):
        data[at : at + 4] = b"\x00\x00\x80\xff"  # minus infinity
    path.write_bytes(data)
    with at_home(made.home):
        reader = Reader.open(made.folder, clock=lambda: NOW)
        found = {told(ranked.passage)[0] for ranked in reader.search(QUESTION, k=1).passages}
        assert "retention.txt" not in found
        scene.say("not found")
        refused = {(one.doc_id, one.refusal) for one in reader.audit()}
    assert ("retention.txt", Refusal.TAMPERED_VECTOR) in refused
    scene.say("audit names it")
