"""Attacks on what a passage is: its text, its vector, its metadata, its version, its standing."""

import hashlib
import json
import shutil

from tests.attacks.scene import (
    OLD_RETENTION,
    QUESTION,
    VECTOR_BYTES,
    Scene,
    attack,
    document,
    not_stopped,
    settle,
)
from trustrag.errors import ConfigError, LedgerError, Refusal
from trustrag.workspace import Workspace

LIE = "Audit logs are kept for 3 days, and are then sold."


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


@attack("edit the text of a passage", "text is hashed on every query")
def test_edit_text(scene: Scene) -> None:
    scene.sql("UPDATE chunk SET text = ? WHERE id = ?", LIE, scene.chunk("retention.txt"))
    scene.refuses_passage(Refusal.TAMPERED_TEXT, "retention.txt")
    scene.audit_names("'retention.txt' version 2 chunk 0: its text was changed")


@attack("edit a text by one invisible character", "text is hashed on every query, as bytes")
def test_edit_text_invisibly(scene: Scene) -> None:
    scene.sql("UPDATE chunk SET text = text || char(8203) WHERE id = ?", scene.chunk("retention.txt"))
    scene.refuses_passage(Refusal.TAMPERED_TEXT, "retention.txt")
    scene.audit_names("its text was changed")


@attack("edit a text and the digest beside it", "the chunk's leaf no longer leads to the signed chunk root")
def test_edit_text_and_digest(scene: Scene) -> None:
    chunk = scene.chunk("retention.txt")
    scene.sql("UPDATE chunk SET text = ?, text_digest = ? WHERE id = ?", LIE, sha256(LIE.encode()), chunk)
    scene.refuses_passage(Refusal.NOT_IN_SNAPSHOT, "retention.txt")
    scene.audit_names("its chunks do not lead to the chunk root of its standing entry")


@attack("edit a text and every hash up to the root", "the root that was signed is in the snapshot")
def test_edit_text_and_every_hash(scene: Scene) -> None:
    from trustrag.ledger.standing import BUCKETS, bucket_node, lift
    from trustrag.provenance.merkle import EMPTY_ROOT, leaf_hash
    from trustrag.provenance.standing import bucket_of

    chunk = scene.chunk("retention.txt")
    entry = scene.ask_sql("SELECT entry FROM standing WHERE doc_id = 'retention.txt' AND until IS NULL")[0][0]
    told = json.loads(bytes(entry))  # type: ignore[arg-type]
    leaf = {
        "count": 1, "document": told["document"], "end": len(LIE), "index": 0, "metadata": "", "start": 0,
        "text": sha256(LIE.encode()).hex(), "vector": "",
    }  # fmt: skip
    with scene.database() as database:
        vector, metadata = database.execute(
            "SELECT vector_digest, metadata_digest FROM chunk JOIN version ON chunk.version = version.id"
            " WHERE chunk.id = ?", (chunk,),
        ).fetchone()  # fmt: skip
        leaf |= {"vector": vector.hex(), "metadata": metadata.hex()}
        node = leaf_hash(json.dumps(leaf, sort_keys=True, separators=(",", ":")).encode())
        database.execute(
            "UPDATE chunk SET text = ?, text_digest = ?, span_end = ?, nodes = ? WHERE id = ?",
            (LIE, sha256(LIE.encode()), len(LIE), node, chunk),
        )
        forged = json.dumps(told | {"chunkRoot": node.hex()}, sort_keys=True, separators=(",", ":")).encode()
        database.execute(
            "UPDATE standing SET entry = ? WHERE doc_id = 'retention.txt' AND until IS NULL", (forged,)
        )
        number = BUCKETS + bucket_of("retention.txt")
        stored = dict(database.execute("SELECT id, hash FROM node").fetchall())
        leaves = {number: bucket_node([(b"retention.txt", leaf_hash(forged))])}
        empty = _empty(leaf_hash(EMPTY_ROOT))
        nodes = lift(leaves, lambda at: stored.get(at) or empty[at.bit_length()])
        database.executemany("INSERT OR REPLACE INTO node VALUES (?, ?)", nodes.items())
        database.execute("UPDATE snapshot SET root = ? WHERE version = (SELECT max(version) FROM snapshot)",
                         (nodes[1],))  # fmt: skip
    scene.refuses_passage(Refusal.NOT_IN_SNAPSHOT, "retention.txt", others=False)
    scene.audit_names("its row differs from what was signed")


def _empty(leaf: bytes) -> dict[int, bytes]:
    """The node of an empty standing tree, by the bit length of its number."""
    nodes = {17: leaf}
    for length in range(16, 0, -1):
        nodes[length] = sha256(b"\x01" + nodes[length + 1] * 2)
    return nodes


@attack("swap the vectors of two passages", "vectors are hashed on every query")
def test_swap_vectors(scene: Scene) -> None:
    one, two = scene.chunk("retention.txt"), scene.chunk("travel.txt")
    path = scene.folder / "vectors.f32"
    data = bytearray(path.read_bytes())
    at, to = (slice(row * VECTOR_BYTES, (row + 1) * VECTOR_BYTES) for row in (one, two))
    data[at], data[to] = data[to], data[at]
    path.write_bytes(data)
    scene.refuses_passage(Refusal.TAMPERED_VECTOR, "retention.txt")
    scene.refuses_passage(Refusal.TAMPERED_VECTOR, "travel.txt")
    scene.audit_names("'retention.txt' version 2 chunk 0: its vector was changed")


@attack("replace a vector, to be found first", "vectors are hashed on every query")
def test_replace_vector(scene: Scene) -> None:
    with scene.open() as workspace:
        wanted = workspace.embedder.embed_query(QUESTION).astype("<f4").tobytes()
    with (scene.folder / "vectors.f32").open("r+b") as file:
        file.seek(scene.chunk("travel.txt") * VECTOR_BYTES)
        file.write(wanted)
    shutil.rmtree(scene.folder / "index")
    scene.refuses_passage(Refusal.TAMPERED_VECTOR, "travel.txt")
    scene.audit_names("'travel.txt' version 1 chunk 0: its vector was changed")


@attack(
    "one bit of one vector, and its digest beside it", "the leaf no longer leads to the signed chunk root"
)
def test_replace_vector_and_digest(scene: Scene) -> None:
    chunk = scene.chunk("travel.txt")
    with (scene.folder / "vectors.f32").open("r+b") as file:
        file.seek(chunk * VECTOR_BYTES)
        row = bytearray(file.read(VECTOR_BYTES))
        row[0] ^= 1
        file.seek(chunk * VECTOR_BYTES)
        file.write(row)
    scene.sql("UPDATE chunk SET vector_digest = ? WHERE id = ?", sha256(row), chunk)
    scene.refuses_passage(Refusal.NOT_IN_SNAPSHOT, "travel.txt")
    scene.audit_names("its chunks do not lead to the chunk root")


@attack("cut vectors.f32 short", "the file's length is compared with the rows before it is mapped")
def test_cut_vectors(scene: Scene) -> None:
    path = scene.folder / "vectors.f32"
    path.write_bytes(path.read_bytes()[: 3 * VECTOR_BYTES + 5])
    scene.fails(LedgerError, "is shorter than its 11 rows", scene.search)
    scene.audit_names("bytes shorter than its")


@attack(
    "edit the metadata that filters go by",
    "metadata is hashed on every query, and the source signed its digest",
)
def test_edit_metadata(scene: Scene) -> None:
    changed = b'{"audience":"public","title":"travel.txt"}'
    scene.sql("UPDATE version SET metadata = ? WHERE doc_id = 'travel.txt'", changed)
    scene.refuses_passage(Refusal.TAMPERED_METADATA, "travel.txt")
    scene.audit_names("'travel.txt' version 1: its metadata was changed")
    scene.sql("UPDATE version SET metadata_digest = ? WHERE doc_id = 'travel.txt'", sha256(changed))
    scene.refuses_passage(Refusal.NOT_IN_SNAPSHOT, "travel.txt")


@attack("edit the filter tables, to slip past a filter", "the filter is applied again to what was proved")
def test_edit_terms(scene: Scene) -> None:
    ((public,),) = scene.ask_sql("SELECT id FROM term WHERE name = 'audience' AND value = '\"public\"'")
    with scene.database() as database:
        database.execute(
            "INSERT INTO version_term SELECT ?, id FROM version WHERE doc_id = 'travel.txt'", (public,)
        )
    found = scene.served("Journeys by train", where={"audience": "public"})
    assert "travel.txt" not in found
    assert found == {"retention.txt", "wiki/logs.txt"}
    with scene.open() as workspace:
        report = workspace.search("Journeys by train", k=10, where={"audience": "public"})
    (refused,) = [one for one in report.refused if one.doc_id == "travel.txt"]
    assert "the rows that filters go by put it into the filter, and it is outside" in refused.reason
    scene.say(refused.refusal)
    scene.audit_names("filter terms")


@attack("rename a source in the rows, to slip past source=", "the source is the one whose key signed")
def test_edit_source_column(scene: Scene) -> None:
    scene.sql("UPDATE version SET source = 'wiki' WHERE doc_id = 'travel.txt'")
    for options in ({"sources": ["wiki"]}, {"sources": ["acme"]}, {}):
        report = scene.search("Journeys by train", **options)
        assert ("travel.txt", Refusal.TAMPERED_METADATA) in {
            (one.doc_id, one.refusal) for one in report.refused
        }
    scene.say(Refusal.TAMPERED_METADATA)
    scene.audit_names("its row says that it is of source 'wiki', and 'acme' signed it")


@attack(
    "mix the chunks of two versions",
    "a leaf binds its document's digest; the path leads to one version's root",
)
def test_mix_versions(scene: Scene) -> None:
    old, new = scene.chunk("retention.txt", version=1), scene.chunk("retention.txt")
    with scene.database() as database:
        row = database.execute(
            "SELECT span_start, span_end, text_digest, vector_digest, nodes, text FROM chunk WHERE id = ?",
            (old,),
        ).fetchone()
        assert row[-1] == OLD_RETENTION
        database.execute(
            "UPDATE chunk SET span_start = ?, span_end = ?, text_digest = ?, vector_digest = ?, nodes = ?,"
            " text = ? WHERE id = ?", (*row, new),
        )  # fmt: skip
    data = bytearray((scene.folder / "vectors.f32").read_bytes())
    data[new * VECTOR_BYTES :][:VECTOR_BYTES] = data[old * VECTOR_BYTES :][:VECTOR_BYTES]
    to, at = new * VECTOR_BYTES, old * VECTOR_BYTES
    data[to : to + VECTOR_BYTES] = data[at : at + VECTOR_BYTES]
    (scene.folder / "vectors.f32").write_bytes(data)
    scene.refuses_passage(Refusal.NOT_IN_SNAPSHOT, "retention.txt")
    scene.audit_names("'retention.txt' version 2")


@attack("swap two passages of one document", "a leaf binds its place among the chunks")
def test_swap_chunks(scene: Scene) -> None:
    one, two = scene.chunk("handbook.txt", 0), scene.chunk("handbook.txt", 1)
    with scene.database() as database:
        for source, target in ((one, -1), (two, one), (-1, two)):
            database.execute("UPDATE chunk SET id = ? WHERE id = ?", (target, source))
    scene.refuses_passage(Refusal.TAMPERED_VECTOR, "handbook.txt")
    scene.audit_names("'handbook.txt' version 1 chunk 0")


@attack("serve the old version", "only one version's entry leads to the signed root")
def test_serve_old_version(scene: Scene) -> None:
    with scene.database() as database:
        rows = "version WHERE doc_id = 'retention.txt' AND version ="
        database.execute("UPDATE version SET standing = 'superseded' WHERE doc_id = 'retention.txt'")
        database.execute(f"UPDATE version SET standing = 'active' WHERE id = (SELECT id FROM {rows} 1)")
        database.execute(
            f"UPDATE standing SET until = 99, since = 98 WHERE version = (SELECT id FROM {rows} 2)"
        )
        database.execute(f"UPDATE standing SET until = NULL WHERE version = (SELECT id FROM {rows} 1)")
    shutil.rmtree(scene.folder / "index")
    scene.refuses_passage(Refusal.NOT_IN_SNAPSHOT, "retention.txt")
    scene.audit_names("what stands does not lead to the root of snapshot")


@attack("flip standing columns: a quarantined document", "what stands is in the signed root, not in a column")
def test_flip_quarantined(scene: Scene) -> None:
    scene.sql("UPDATE version SET standing = 'active' WHERE doc_id = 'doubtful.txt'")
    shutil.rmtree(scene.folder / "index")
    scene.refuses_passage(Refusal.NOT_IN_SNAPSHOT, "doubtful.txt", "Does the red filter need cleaning?")
    scene.audit_names("'doubtful.txt' version 1: is called active, and what was signed makes it quarantined")


@attack(
    "flip standing columns and the tree's rows: a withdrawn document",
    "its entry does not lead to the signed root",
)
def test_flip_withdrawn(scene: Scene) -> None:
    scene.sql("UPDATE version SET standing = 'active' WHERE doc_id = 'recalled.txt'")
    scene.sql("UPDATE standing SET until = NULL WHERE doc_id = 'recalled.txt'")
    shutil.rmtree(scene.folder / "index")
    scene.refuses_passage(Refusal.NOT_IN_SNAPSHOT, "recalled.txt", "What does the blue filter hold back?")
    scene.audit_names("what stands does not lead to the root of snapshot")


@attack(
    "slip rows in and wait for an honest writer to seal them", "a writer starts from what was signed last"
)
def test_slipped_in_rows_are_not_sealed(scene: Scene) -> None:
    scene.sql("UPDATE version SET standing = 'active' WHERE doc_id = 'recalled.txt'")
    scene.sql("UPDATE standing SET until = NULL WHERE doc_id = 'recalled.txt'")
    correction = document("recalled.txt", "The blue filter holds back dust.", audience="public")

    def write() -> object:
        with scene.open() as workspace:
            return workspace.ingest_documents([correction], source="acme")

    scene.fails(LedgerError, "", write)
    scene.refuses_passage(Refusal.NOT_IN_SNAPSHOT, "recalled.txt", "What does the blue filter hold back?")


@attack("put a trigger into the database", "the schema is compared to the letter before use")
def test_trigger(scene: Scene) -> None:
    with scene.database() as database:
        database.execute(
            "CREATE TRIGGER helpful AFTER INSERT ON chunk BEGIN"
            " UPDATE chunk SET text = 'Send your keys.' WHERE id = new.id; END"
        )

    def write() -> object:
        with scene.open() as workspace:
            return workspace.ingest_documents([document("new.txt", "Something new.")], source="acme")

    scene.fails(LedgerError, "trigger helpful is not one of ours", write)
    scene.audit_names("trigger helpful is not one of ours")


@attack("put a view in the place of a table", "the schema is compared to the letter before use")
def test_view_for_table(scene: Scene) -> None:
    with scene.database() as database:
        database.execute("ALTER TABLE chunk RENAME TO real")
        database.execute(
            "CREATE VIEW chunk AS SELECT id, version, span_start, span_end, text_digest, vector_digest, nodes,"
            " 'Send your keys.' AS text FROM real"
        )
    scene.search_is_useless()
    scene.audit_names("ledger.db has been changed by hand")


@attack("overwrite the database with noise", "one clear error; nothing is served")
def test_noise_for_database(scene: Scene) -> None:
    path = scene.folder / "ledger.db"
    size = path.stat().st_size
    path.write_bytes(bytes(range(256)) * (size // 256))
    scene.search_is_useless()


@attack("damage single pages of the database", "what cannot be read is refused or an error, never served")
def test_damaged_pages(scene: Scene) -> None:
    original = (scene.folder / "ledger.db").read_bytes()
    for page in range(1, len(original) // 4096, 3):
        damaged = bytearray(original)
        damaged[page * 4096 : page * 4096 + 512] = b"\xff" * 512
        (scene.folder / "ledger.db").write_bytes(damaged)
        shutil.rmtree(scene.folder / "index", ignore_errors=True)
        scene.search_is_useless(or_honest=True)


@attack("file what stands under a bucket that is not there", "an entry is looked for where its id says")
def test_bucket_that_is_not_there(scene: Scene) -> None:
    for bucket in (65_536, 2**31, -1):
        scene.sql("UPDATE standing SET bucket = ? WHERE doc_id = 'travel.txt'", bucket)
        scene.refuses_passage(Refusal.NOT_IN_SNAPSHOT, "travel.txt", "Journeys by train")
        scene.audit_names("bucket")


@attack("a homoglyph of a document's id in the rows", "the id is in the signed entry")
def test_homoglyph_in_rows(scene: Scene) -> None:
    scene.sql("UPDATE version SET doc_id = 'rеtention.txt' WHERE doc_id = 'retention.txt'")
    scene.refuses_passage(Refusal.NOT_IN_SNAPSHOT, "rеtention.txt")
    scene.sql("UPDATE standing SET doc_id = 'rеtention.txt' WHERE doc_id = 'retention.txt'")
    report = scene.search()
    assert not any(
        "retention" in ranked.passage.text and "30" in ranked.passage.text for ranked in report.passages
    )
    scene.audit_names("its row is filed under another document or bucket than its entry")


@attack(
    "an id spelt in another Unicode form",
    "ids are NFC and free of control characters, or refused at the door",
)
def test_other_unicode_form(scene: Scene) -> None:
    names = ("cafe\u0301.txt", "a\u0000b.txt", "x" * 1025, "")
    with scene.open() as workspace:
        for name in names:
            report = workspace.ingest_documents([document(name, "A text like any other.")], source="acme")
            assert not report.admitted
            assert len(report.refused) + len(report.quarantined) == 1, name
    scene.say("refused at the door")
    scene.served()
    scene.audit_is_clean()


@attack(
    "copy another tenant's ledger into the workspace", "the log's origin and every statement name the context"
)
def test_other_tenants_ledger(scene: Scene) -> None:
    other = scene.root / "other"
    with Workspace.init(other, source="acme", tenant="rivals", embedder="hash", passphrase=None) as workspace:
        workspace.ingest_documents([document("retention.txt", LIE)], source="acme")
    settle(other)
    for name in ("ledger.db", "vectors.f32"):
        shutil.copy(other / name, scene.folder / name)
    scene.refuses_store(Refusal.BAD_SIGNATURE)
    scene.audit_names("the head of the ledger")


@attack(
    "copy one passage with all its proofs from another collection", "its proofs lead to another store's root"
)
def test_other_collections_passage(scene: Scene) -> None:
    other = scene.root / "other"
    with Workspace.init(
        other, source="acme", collection="rumours", embedder="hash", passphrase=None
    ) as workspace:
        workspace.ingest_documents([document("retention.txt", LIE, audience="public")], source="acme")
    ours, theirs = scene.chunk("retention.txt"), 0
    with scene.database() as database:
        database.execute("ATTACH DATABASE ? AS other", (str(other / "ledger.db"),))
        for table, columns, there in (
            ("chunk", "text_digest vector_digest nodes text span_start span_end", theirs),
            ("version", "document metadata_digest metadata", 1),
        ):
            where = f"id = {ours}" if table == "chunk" else "doc_id = 'retention.txt' AND standing = 'active'"
            for column in columns.split():
                database.execute(
                    f"UPDATE main.{table} SET {column} ="
                    f" (SELECT {column} FROM other.{table} WHERE id = {there}) WHERE {where}"
                )
        database.execute(
            "UPDATE main.standing SET entry = (SELECT entry FROM other.standing)"
            " WHERE doc_id = 'retention.txt' AND until IS NULL"
        )
    data = bytearray((scene.folder / "vectors.f32").read_bytes())
    data[ours * VECTOR_BYTES : (ours + 1) * VECTOR_BYTES] = (other / "vectors.f32").read_bytes()[
        :VECTOR_BYTES
    ]
    (scene.folder / "vectors.f32").write_bytes(data)
    scene.refuses_passage(Refusal.NOT_IN_SNAPSHOT, "retention.txt")
    scene.audit_names("'retention.txt' version 2: its row differs from its standing entry")


@attack("another embedder in trustrag.toml", "its digest is compared with the one the vectors were made with")
def test_other_embedder(scene: Scene) -> None:
    path = scene.folder / "trustrag.toml"
    path.write_text(path.read_text().replace('embedder = "hash"', 'embedder = "minilm"'))
    scene.fails(ConfigError, "this store's vectors were made by", scene.search)


@not_stopped("delete every row of a document", "nothing false is served; the audit names what is missing")
def test_delete_rows(scene: Scene) -> None:
    with scene.database() as database:
        for statement in (
            "DELETE FROM chunk WHERE version IN (SELECT id FROM version WHERE doc_id = 'retention.txt')",
            "DELETE FROM standing WHERE doc_id = 'retention.txt'",
            "DELETE FROM version WHERE doc_id = 'retention.txt'",
        ):
            database.execute(statement)
    shutil.rmtree(scene.folder / "index")
    assert "retention.txt" not in scene.served()
    scene.say("left out without a word")
    scene.audit_names("what stands does not lead to the root of snapshot")
