"""Attacks on who may say what: stolen keys, borrowed signatures, odd keys, too few signatures."""

import base64
import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nacl.signing import SigningKey

from tests.attacks.envelopes import ORDER, canonical, envelope, payload_of, stolen_key
from tests.attacks.scene import NOW, Scene, attack, document, not_stopped
from trustrag.errors import Refusal, TrustragError, UnsignedDocumentError
from trustrag.workspace import Workspace

STRANGER = SigningKey(b"\x66" * 32)
TEXT = "Audit logs are kept for 3 days, and are then sold."
EMPTY = hashlib.sha256(b"{}").hexdigest()


def statement(scene: Scene, doc_id: str, *, version: int = 1, **context: str) -> dict[str, object]:
    """A source statement about TEXT, as anybody can write one who has read docs/formats.md."""
    with scene.open() as workspace:
        here = workspace.policy.context
    metadata = canonical({"path": Path(doc_id).name, "title": Path(doc_id).stem})
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": doc_id, "digest": {"sha256": hashlib.sha256(TEXT.encode()).hexdigest()}}],
        "predicateType": "urn:trustrag:source/v1",
        "predicate": {
            "context": {"store": here.store, "tenant": here.tenant, "collection": here.collection} | context,
            "documents": [
                {
                    "docId": doc_id, "version": version, "previous": None, "mediaType": "text/plain", "licence": None,
                    "metadata": hashlib.sha256(metadata).hexdigest(), "derivedFrom": [],
                }
            ],
            "issuedAt": "2026-11-01T00:00:00Z",
            "expires": None,
        },
    }  # fmt: skip


def hand_in(scene: Scene, *envelopes: object, doc_id: str = "wiki/sold.txt") -> str:
    """Give a document and these attestations to `ingest`; returns the one reason for which it was refused."""
    paper, signed = scene.root / Path(doc_id).name, scene.root / "forged.intoto.jsonl"
    paper.write_text(TEXT)
    lines = [item if isinstance(item, bytes) else canonical(item) for item in envelopes]
    signed.write_bytes(b"\n".join(lines) + b"\n")
    with scene.open() as workspace:
        before = workspace.search("logs").snapshot.version
        prefix = doc_id.removesuffix(paper.name)
        report = workspace.ingest([paper], attestations=signed, prefix=prefix)
        assert not report.admitted, report.admitted
        assert workspace.search("logs").snapshot.version == before, "something was written"
    reasons = {outcome.doc_id: outcome.reason for outcome in report.refused}
    return reasons[doc_id]


def refused_at_the_door(
    scene: Scene, refusal: Refusal | str, *envelopes: object, doc_id: str = "wiki/sold.txt"
) -> None:
    """The document is refused, for this reason."""
    reason = hand_in(scene, *envelopes, doc_id=doc_id)
    assert str(refusal) in reason, reason
    scene.say(str(refusal))


@attack("hand in a document that nobody signed", "no attestation and no signer: nothing is even read")
def test_unsigned(scene: Scene) -> None:
    with scene.open() as workspace:
        scene.fails(
            UnsignedDocumentError,
            "nothing says who publishes",
            lambda: workspace.ingest_documents([document("a", "b")]),
        )


@attack("sign with a key of one's own", "only keys of the policy speak")
def test_strangers_key(scene: Scene) -> None:
    refused_at_the_door(
        scene, Refusal.UNKNOWN_KEY, envelope(canonical(statement(scene, "wiki/sold.txt")), STRANGER)
    )


@attack(
    "sign with a key of one's own under another's key id", "the key id only points; the policy's key verifies"
)
def test_borrowed_key_id(scene: Scene) -> None:
    wiki = hashlib.sha256(bytes(stolen_key(scene.home, "source-wiki").verify_key)).hexdigest()
    forged = envelope(canonical(statement(scene, "wiki/sold.txt")), STRANGER, key_id=wiki)
    refused_at_the_door(scene, Refusal.BAD_SIGNATURE, forged)


@attack("a stolen source key, outside its scope", "a source speaks under its prefixes only")
def test_stolen_key_outside_scope(scene: Scene) -> None:
    wiki = stolen_key(scene.home, "source-wiki")
    for doc_id in ("sold.txt", "wikis/sold.txt", "wiki2/sold.txt", "retention.txt"):
        said = envelope(canonical(statement(scene, doc_id, version=9)), wiki)
        refused_at_the_door(scene, Refusal.OUT_OF_SCOPE, said, doc_id=doc_id)
    scene.served()


@attack(
    "a scope spelt with look-alike letters or dots", "prefixes are compared as code points, between slashes"
)
def test_homoglyph_scope(scene: Scene) -> None:
    wiki = stolen_key(scene.home, "source-wiki")
    for doc_id in (
        "wіki/sold.txt",
        "ＷＩＫＩ/sold.txt",
        "./wiki/sold.txt",
        "wiki\u2215sold.txt",
        "Wiki/sold.txt",
    ):
        said = envelope(canonical(statement(scene, doc_id)), wiki)
        refused_at_the_door(scene, Refusal.OUT_OF_SCOPE, said, doc_id=doc_id)


@attack(
    "a stolen source key over another source's document",
    "a name belongs to who published it, while it stands",
)
def test_stolen_key_over_anothers_name(scene: Scene) -> None:
    with scene.open() as workspace:
        workspace.add_source("broad")  # all of the collection
    said = envelope(
        canonical(statement(scene, "travel.txt", version=2)), stolen_key(scene.home, "source-broad")
    )
    refused_at_the_door(scene, "is published by acme", said, doc_id="travel.txt")


@attack("... with the owner's name changed in the rows", "the owner is whose key signed what stands")
def test_owner_renamed_in_the_rows(scene: Scene) -> None:
    with scene.open() as workspace:
        workspace.add_source("broad")  # all of the collection
    scene.sql("UPDATE version SET source = 'broad' WHERE doc_id = 'travel.txt'")
    said = envelope(
        canonical(statement(scene, "travel.txt", version=2)), stolen_key(scene.home, "source-broad")
    )
    refused_at_the_door(scene, "is published by acme", said, doc_id="travel.txt")
    with scene.open() as workspace:
        report = workspace.ingest_documents([document("travel.txt", TEXT)], source="broad")
    assert "is published by acme" in report.refused[0].reason


@attack("an attestation made for another tenant, collection or store", "every statement names its context")
def test_other_context(scene: Scene) -> None:
    wiki = stolen_key(scene.home, "source-wiki")
    for name in ("store", "tenant", "collection"):
        said = envelope(canonical(statement(scene, "wiki/sold.txt", **{name: "elsewhere"})), wiki)
        refused_at_the_door(scene, Refusal.WRONG_CONTEXT, said)


@attack("a good attestation with other bytes under it", "the document's digest is what was signed")
def test_other_bytes(scene: Scene) -> None:
    wiki = stolen_key(scene.home, "source-wiki")
    other = statement(scene, "wiki/sold.txt")
    other["subject"][0]["digest"]["sha256"] = hashlib.sha256(b"other").hexdigest()  # type: ignore[index]
    refused_at_the_door(scene, Refusal.TAMPERED_TEXT, envelope(canonical(other), wiki))


@attack(
    "reuse a signature under another predicate type",
    "the signature covers the type; each role signs its own types",
)
def test_other_predicate_type(scene: Scene) -> None:
    wiki, ingest, screen = (stolen_key(scene.home, name) for name in ("source-wiki", "ingest", "screen"))
    said = statement(scene, "wiki/sold.txt")
    honest = envelope(canonical(said), wiki)
    renamed = canonical(said | {"predicateType": "https://in-toto.io/attestation/svr/v0.2"})
    moved = honest | {"payload": base64.b64encode(renamed).decode()}
    assert hand_in(scene, moved).startswith(("BAD_SIGNATURE", "unsigned"))
    for key in (ingest, screen):
        refused_at_the_door(scene, Refusal.UNKNOWN_KEY, envelope(canonical(said), key))


@attack(
    "put an ingest statement where the source's should be, in the log",
    "each proof is asked for its own predicate",
)
def test_other_envelope_in_the_log(scene: Scene) -> None:
    ((data,),) = scene.ask_sql("SELECT entry FROM standing WHERE doc_id = 'travel.txt' AND until IS NULL")
    entry = json.loads(bytes(data))  # type: ignore[arg-type]
    source, ingest = entry["source"]["index"], entry["ingest"]["index"]
    scene.sql(
        "UPDATE entry SET envelope = (SELECT envelope FROM entry WHERE idx = ?) WHERE idx = ?", ingest, source
    )
    report = scene.search("Journeys by train")
    refused = {found.refusal for found in report.refused if found.doc_id == "travel.txt"}
    assert refused <= {Refusal.UNKNOWN_KEY, Refusal.MALFORMED}
    assert refused
    for refusal in refused:
        scene.say(refusal)
    scene.audit_names(f"log entry {source}")


def with_envelope(scene: Scene, change: object) -> None:
    """Bend the source attestation that travel.txt rests on, in the log."""
    ((data,),) = scene.ask_sql("SELECT entry FROM standing WHERE doc_id = 'travel.txt' AND until IS NULL")
    index = json.loads(bytes(data))["source"]["index"]  # type: ignore[arg-type]
    ((signed,),) = scene.ask_sql("SELECT envelope FROM entry WHERE idx = ?", index)
    assert callable(change)
    scene.sql("UPDATE entry SET envelope = ? WHERE idx = ?", change(bytes(signed)), index)  # type: ignore[arg-type]


@attack("a forged signature in the log", "signatures are verified under today's policy")
def test_forged_signature(scene: Scene) -> None:
    def forged(signed: bytes) -> bytes:
        fields = json.loads(signed)
        fields["signatures"][0]["sig"] = base64.b64encode(bytes(64)).decode()
        return canonical(fields)

    with_envelope(scene, forged)
    scene.refuses_passage(Refusal.BAD_SIGNATURE, "travel.txt")
    scene.audit_names("BAD_SIGNATURE")


@attack(
    "a second signature for the same message (S plus the group's order)",
    "libsodium refuses an S that is not reduced",
)
def test_malleable_signature(scene: Scene) -> None:
    def bent(signed: bytes) -> bytes:
        fields = json.loads(signed)
        raw = base64.b64decode(fields["signatures"][0]["sig"])
        other = int.from_bytes(raw[32:], "little") + ORDER
        fields["signatures"][0]["sig"] = base64.b64encode(raw[:32] + other.to_bytes(32, "little")).decode()
        return canonical(fields)

    with_envelope(scene, bent)
    scene.refuses_passage(Refusal.BAD_SIGNATURE, "travel.txt")


@attack(
    "downgrade the algorithm in the envelope",
    "the algorithm is the policy's; nothing in an envelope names one",
)
def test_algorithm_downgrade(scene: Scene) -> None:
    wiki = stolen_key(scene.home, "source-wiki")
    payload = canonical(statement(scene, "wiki/sold.txt"))
    honest = envelope(payload, wiki)
    key_id = honest["signatures"][0]["keyid"]  # type: ignore[index]
    signature = honest["signatures"][0]["sig"]  # type: ignore[index]
    mac = base64.b64encode(hashlib.sha512(bytes(wiki.verify_key) + payload).digest()).decode()
    bent = (
        honest | {"signatures": []},
        honest | {"signatures": [{"keyid": key_id, "sig": ""}]},
        honest | {"signatures": [{"alg": "none", "keyid": key_id, "sig": signature}]},
        honest | {"signatures": [{"alg": "HS512", "keyid": key_id, "sig": mac}]},
        honest | {"alg": "none"},
        honest | {"signatures": [{"keyid": key_id, "sig": signature}] * 2},
    )
    for forged in bent:
        assert hand_in(scene, forged).startswith("unsigned")
    scene.say(Refusal.MALFORMED)
    refused_at_the_door(
        scene, Refusal.BAD_SIGNATURE, honest | {"signatures": [{"keyid": key_id, "sig": mac}]}
    )
    other_type = envelope(payload, wiki, payload_type="application/json")
    refused_at_the_door(scene, Refusal.BAD_SIGNATURE, other_type)
    unmarked = {"payload": honest["payload"], "payloadType": honest["payloadType"], "signatures": [
        {"keyid": key_id, "sig": base64.b64encode(wiki.sign(payload).signature).decode()}]}  # fmt: skip
    refused_at_the_door(scene, Refusal.BAD_SIGNATURE, unmarked)


ODD_KEYS = {
    "order 1": "01" + "00" * 31,
    "order 2": "ec" + "ff" * 30 + "7f",
    "order 4": "00" * 32,
    "order 8": "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "order 1, not canonical": "01" + "00" * 30 + "80",
    "y = p + 1, not canonical": "ee" + "ff" * 30 + "7f",
    "no point": "02" + "00" * 31,
}


@attack(
    "small-order, non-canonical and off-curve keys in the policy",
    "every key is checked as a point when it is read",
)
def test_odd_keys(scene: Scene) -> None:
    for public in (*ODD_KEYS.values(), mixed_order()):
        with scene.open() as workspace:
            saying = "is no point that an honest Ed25519 key can be"
            scene.fails(TrustragError, saying, lambda: workspace.add_source("odd", public_key=public))  # noqa: B023


def mixed_order() -> str:
    """A public key plus a point of order 8: signatures under it mean one thing to one library, another to the next."""
    from nacl.bindings import crypto_core_ed25519_add

    small = bytes.fromhex(ODD_KEYS["order 8"])
    return crypto_core_ed25519_add(bytes(STRANGER.verify_key), small).hex()


@attack(
    "an odd key in a policy that the trust root's own keys signed",
    "the policy is parsed before it is believed",
)
def test_odd_key_in_signed_policy(scene: Scene) -> None:
    for public in (*ODD_KEYS.values(), mixed_order()):
        with forged_policy(scene) as policy:
            policy["sources"][1]["keys"][0]["key"] = public  # type: ignore[index]
        scene.refuses_store(Refusal.MALFORMED)


@attack("one key for two purposes in a signed policy", "a key serves one purpose in the whole policy")
def test_one_key_for_two_purposes(scene: Scene) -> None:
    with forged_policy(scene) as policy:
        eve = {"name": "eve", "keys": policy["roles"]["screen"]["keys"]}  # type: ignore[index]
        policy["roles"]["review"] = {"people": [eve], "threshold": 1}  # type: ignore[index]
    scene.refuses_store(Refusal.MALFORMED, saying="two purposes")


@attack("an approval threshold of nothing in a signed policy", "approval has to be positive")
def test_no_approval(scene: Scene) -> None:
    with forged_policy(scene) as policy:
        policy["roles"]["screen"]["threshold"] = 0  # type: ignore[index]
    scene.refuses_store(Refusal.MALFORMED, saying="approval has to be positive")


@attack("duplicate keys in a signed policy", "strict JSON: no second reading")
def test_duplicate_keys_in_policy(scene: Scene) -> None:
    with forged_policy(scene, lambda data: data.replace(b'{"context"', b'{"version":1,"context"', 1)):
        pass
    scene.refuses_store(Refusal.MALFORMED)


def policy_file(scene: Scene) -> Path:
    """The policy in force."""
    files = (scene.folder / "keys" / "targets").glob("*.policy.json")
    return max(files, key=lambda path: int(json.loads(path.read_bytes())["version"]))


@contextmanager
def forged_policy(scene: Scene, bend: object = None) -> Iterator[dict[str, object]]:
    """Change the policy, then sign targets, snapshot and timestamp anew with their stolen keys."""
    folder = scene.folder / "keys"
    (path,) = sorted((folder / "targets").glob("*.policy.json"), key=lambda found: found.stat().st_mtime_ns)[
        -1:
    ]
    current = json.loads((folder / "metadata" / "timestamp.json").read_bytes())["signed"]
    policy = json.loads(path.read_bytes())
    policy["version"] += 1
    yield policy
    data = canonical(policy)
    data = bend(data) if callable(bend) else data
    digest = hashlib.sha256(data).hexdigest()
    (folder / "targets" / f"{digest}.policy.json").write_bytes(data)
    number = current["meta"]["snapshot.json"]["version"]
    snapshot = json.loads((folder / "metadata" / f"{number}.snapshot.json").read_bytes())["signed"]
    at = snapshot["meta"]["targets.json"]["version"]
    targets = json.loads((folder / "metadata" / f"{at}.targets.json").read_bytes())["signed"]
    targets["targets"]["policy.json"] = {"hashes": {"sha256": digest}, "length": len(data)}
    for signed in (targets, snapshot, current):
        signed["version"] += 1
    named = write_signed(scene, f"{targets['version']}.targets.json", targets, "trust-targets")
    snapshot["meta"]["targets.json"] = {**named, "version": targets["version"]}
    named = write_signed(scene, f"{snapshot['version']}.snapshot.json", snapshot, "trust-snapshot")
    current["meta"]["snapshot.json"] = {**named, "version": snapshot["version"]}
    write_signed(scene, "timestamp.json", current, "trust-timestamp")


def write_signed(scene: Scene, name: str, signed: dict[str, object], *keys: str) -> dict[str, object]:
    """Write TUF metadata signed with these stolen keys; returns how the next role names it."""
    signatures = []
    for key_name in keys:
        key = stolen_key(scene.home, key_name)
        key_id = hashlib.sha256(bytes(key.verify_key)).hexdigest()
        signatures.append({"keyid": key_id, "sig": key.sign(canonical(signed)).signature.hex()})
    data = canonical({"signatures": signatures, "signed": signed})
    (scene.folder / "keys" / "metadata" / name).write_bytes(data)
    return {"hashes": {"sha256": hashlib.sha256(data).hexdigest()}, "length": len(data)}


def root_of(scene: Scene) -> dict[str, object]:
    """The root metadata in force."""
    signed: dict[str, object] = json.loads((scene.folder / "keys" / "metadata" / "1.root.json").read_bytes())[
        "signed"
    ]
    return signed


@attack("a next root that the old root's keys did not sign", "each root is signed by the one before it")
def test_root_below_threshold(scene: Scene) -> None:
    root = root_of(scene)
    write_signed(scene, "2.root.json", root | {"version": 2}, "trust-targets")
    scene.refuses_store(Refusal.BELOW_THRESHOLD)


@attack("a root for two signatures, signed with one", "thresholds are met in distinct keys")
def test_root_signed_by_one_of_two(scene: Scene) -> None:
    root = root_of(scene)
    second = {
        "keytype": "ed25519",
        "scheme": "ed25519",
        "keyval": {"public": bytes(STRANGER.verify_key).hex()},
    }
    name = hashlib.sha256(bytes(STRANGER.verify_key)).hexdigest()
    root["version"] = 2
    root["keys"][name] = second  # type: ignore[index]
    role = root["roles"]["root"]  # type: ignore[index]
    role |= {"keyids": [*role["keyids"], name], "threshold": 2}
    write_signed(scene, "2.root.json", root, "trust-root")
    scene.refuses_store(Refusal.BELOW_THRESHOLD)


@attack("one key under two ids, for a threshold of two", "no two ids of a root may hold one public key")
def test_one_key_under_two_ids(scene: Scene) -> None:
    root = root_of(scene)
    root["version"] = 2
    role = root["roles"]["root"]  # type: ignore[index]
    (first,) = role["keyids"]
    second = hashlib.sha256(b"another name").hexdigest()
    root["keys"][second] = root["keys"][first]  # type: ignore[index]
    role |= {"keyids": [first, second], "threshold": 2}
    key = stolen_key(scene.home, "trust-root")
    signature = key.sign(canonical(root)).signature.hex()
    signatures = [{"keyid": name, "sig": signature} for name in (first, second)]
    data = canonical({"signatures": signatures, "signed": root})
    (scene.folder / "keys" / "metadata" / "2.root.json").write_bytes(data)
    scene.refuses_store(Refusal.MALFORMED, saying="two key ids of the trust root hold one public key")


@attack("a policy signed by a stranger", "targets are signed by the key that the root names")
def test_strangers_policy(scene: Scene) -> None:
    path = policy_file(scene)
    assert b'"status":"suspended"' in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(b'"status":"suspended"', b'"status":"active" '))
    scene.refuses_store(Refusal.BAD_SIGNATURE)


@attack(
    "trustrag.toml points at a trust root of the attacker's",
    "the root pinned at first use must have signed it",
)
def test_other_trust_root(scene: Scene) -> None:
    with scene.open() as workspace:
        store = workspace.settings.store
    other = scene.root / "other"
    with Workspace.init(other, source="acme", embedder="hash", passphrase=None) as forged:
        theirs = forged.settings.store
    shutil.rmtree(scene.folder / "keys")
    shutil.copytree(other / "keys", scene.folder / "keys")
    scene.refuses_store(Refusal.BELOW_THRESHOLD)
    path = scene.folder / "trustrag.toml"
    path.write_text(path.read_text().replace(store, theirs))
    scene.refuses_store(Refusal.BAD_SIGNATURE)


@attack("seal a snapshot with a key that is not the seal's", "each role signs its own types of statement")
def test_strangers_snapshot(scene: Scene) -> None:
    ((index, data),) = scene.ask_sql("SELECT idx, envelope FROM entry ORDER BY idx DESC LIMIT 1")
    payload = payload_of(bytes(data))  # type: ignore[arg-type]
    forged = canonical(envelope(payload, stolen_key(scene.home, "screen")))
    scene.sql("UPDATE entry SET envelope = ? WHERE idx = ?", forged, index)
    scene.refuses_store(Refusal.UNKNOWN_KEY)
    scene.audit_names("UNKNOWN_KEY")


@attack("sign the log's head with a key of one's own", "a checkpoint is signed by the log key of the policy")
def test_strangers_checkpoint(scene: Scene) -> None:
    ((note,),) = scene.ask_sql("SELECT checkpoint FROM snapshot ORDER BY version DESC LIMIT 1")
    text, _, line = bytes(note).decode().partition("\n\n")  # type: ignore[arg-type]
    name = line.split(" ")[1]
    signed = (text + "\n").encode()
    key_hash = hashlib.sha256(name.encode() + b"\n\x01" + bytes(STRANGER.verify_key)).digest()[:4]
    blob = base64.b64encode(key_hash + STRANGER.sign(signed).signature).decode()
    forged = f"{text}\n\n\u2014 {name} {blob}\n".encode()
    scene.sql(
        "UPDATE snapshot SET checkpoint = ? WHERE version = (SELECT max(version) FROM snapshot)", forged
    )
    scene.refuses_store(Refusal.BAD_SIGNATURE)
    scene.audit_names("BAD_SIGNATURE")


@not_stopped(
    "a stolen source key, within its scope",
    "it speaks as its source until it is revoked; then all of it is silent at the next query",
)
def test_stolen_key_within_scope(scene: Scene) -> None:
    said = envelope(canonical(statement(scene, "wiki/sold.txt")), stolen_key(scene.home, "source-wiki"))
    paper, signed = scene.root / "sold.txt", scene.root / "stolen.intoto.jsonl"
    paper.write_text(TEXT)
    signed.write_bytes(canonical(said) + b"\n")
    with scene.open(now=NOW) as workspace:
        assert workspace.ingest([paper], attestations=signed, prefix="wiki/").admitted
        assert "wiki/sold.txt" in {ranked.passage.doc_id for ranked in workspace.search("logs sold").passages}
        workspace.authority.set_active("wiki", False)
        report = workspace.search("logs sold")
        assert "wiki/sold.txt" not in {ranked.passage.doc_id for ranked in report.passages}
    scene.say("served as wiki's, until revoked")


@not_stopped(
    "the trust root's own keys sign another policy",
    "they are the root of it: keep them offline; the versions seen still can't go back",
)
def test_stolen_trust_root(scene: Scene) -> None:
    with forged_policy(scene) as policy:
        policy["sources"][1]["scope"] = ["default"]  # type: ignore[index]
    with scene.open() as workspace:
        assert workspace.policy.sources[1].scope == ("default",)
    scene.say("believed")
