"""Attacks on keys over time, and on the ceremonies in which several sign: stolen keys that ended, files changed on the way."""

import base64
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from tests.attacks.envelopes import canonical, envelope, stolen_key
from tests.attacks.scene import NOW, Scene, at_home, attack, not_stopped
from tests.attacks.test_signatures import hand_in, refused_at_the_door, root_of, statement, write_signed
from trustrag.authority.ceremony import Opened
from trustrag.errors import ConfigError, MalformedError, Refusal, StaleError, VerificationError
from trustrag.signatory import Signing, new_key, read_proposal

SIGNERS = ("alice", "bob", "carol")


def key_of(scene: Scene, purpose: str) -> str:
    """The id of the first key of a purpose."""
    with scene.open() as workspace:
        return next(fact.key for fact in workspace.authority.key_facts() if fact.purpose == purpose)


def back_dated(scene: Scene, doc_id: str = "wiki/sold.txt", key: str = "source-wiki") -> dict[str, object]:
    """A statement that says it was issued long ago, under a stolen key."""
    said = statement(scene, doc_id)
    said["predicate"]["issuedAt"] = "2020-01-01T00:00:00Z"  # type: ignore[index]
    return envelope(canonical(said), stolen_key(scene.home, key))


# ---- keys that ended


@attack(
    "sign with a revoked key, back-dated",
    "a revoked key speaks at no index of the log, whatever the date says",
)
def test_revoked_key_back_dated(scene: Scene) -> None:
    with scene.open() as operator:
        operator.keys.revoke(key_of(scene, "source wiki"), reason="stolen")
    refused_at_the_door(scene, Refusal.REVOKED_KEY, back_dated(scene))
    scene.honest = {fact for fact in scene.honest if fact[0] != "wiki/logs.txt"}
    scene.refuses_passage(Refusal.REVOKED_KEY, "wiki/logs.txt")


@attack(
    "sign with a rotated-out source key, back-dated",
    "it speaks up to a log index, and the next entry is past it",
)
def test_rotated_out_source_key(scene: Scene) -> None:
    with scene.open() as operator:
        operator.keys.rotate(source="wiki")
    reason = hand_in(scene, back_dated(scene))
    assert "was retired after log index" in reason, reason
    scene.say(Refusal.REVOKED_KEY)
    assert "wiki/logs.txt" in scene.served(), "what it signed in time still counts"


@attack("give a revoked key another life as another source", "one key is in a policy once, ended keys too")
def test_revoked_key_under_another_name(scene: Scene) -> None:
    public = bytes(stolen_key(scene.home, "source-wiki").verify_key).hex()
    with scene.open() as operator:
        operator.keys.revoke(key_of(scene, "source wiki"), reason="stolen")
        scene.fails(
            MalformedError, "serves two purposes", lambda: operator.add_source("friend", public_key=public)
        )


@attack("seal a snapshot with a rotated-out seal key", "it sealed up to its last index, and not after")
def test_rotated_out_seal_key(scene: Scene) -> None:
    with scene.open() as operator:
        operator.keys.rotate("seal")
    ((index, data),) = scene.ask_sql("SELECT idx, envelope FROM entry ORDER BY idx DESC LIMIT 1")
    payload = base64.b64decode(json.loads(bytes(data))["payload"])  # type: ignore[arg-type]
    forged = canonical(envelope(payload, stolen_key(scene.home, "seal")))
    scene.sql("UPDATE entry SET envelope = ? WHERE idx = ?", forged, index)
    scene.refuses_store(Refusal.REVOKED_KEY)


def signed_head(scene: Scene, text: str, key: str) -> bytes:
    """A checkpoint of this text under a stolen log key."""
    signer = stolen_key(scene.home, key)
    name = text.split("\n")[0]
    key_hash = hashlib.sha256(name.encode() + b"\n\x01" + bytes(signer.verify_key)).digest()[:4]
    line = base64.b64encode(key_hash + signer.sign(text.encode()).signature).decode()
    return f"{text}\n\u2014 {name} {line}\n".encode()


def last_checkpoint(scene: Scene) -> str:
    """The text of the newest checkpoint."""
    ((note,),) = scene.ask_sql("SELECT checkpoint FROM snapshot ORDER BY version DESC LIMIT 1")
    return bytes(note).decode().partition("\n\n")[0] + "\n"  # type: ignore[arg-type]


def put_head(scene: Scene, note: bytes) -> None:
    scene.sql("UPDATE snapshot SET checkpoint = ? WHERE version = (SELECT max(version) FROM snapshot)", note)


@attack(
    "a rotated-out log key signs a forked checkpoint, past its last index",
    "a log key signs trees up to the size at which it was retired",
)
def test_rotated_out_log_key_past_its_end(scene: Scene) -> None:
    with scene.open() as operator:
        operator.keys.rotate("log")
    origin, size, _ = last_checkpoint(scene).splitlines()
    forked = base64.b64encode(hashlib.sha256(b"another history").digest()).decode()
    put_head(scene, signed_head(scene, f"{origin}\n{size}\n{forked}\n", "log"))
    scene.refuses_store(Refusal.REVOKED_KEY)


@attack(
    "... and one within them, of a tree that was never published",
    "to whoever saw the log since, a smaller tree is a rollback",
)
def test_rotated_out_log_key_forks_the_past(scene: Scene) -> None:
    with scene.open() as operator:
        operator.keys.rotate("log")
        operator.search("logs")
    origin, size, _ = last_checkpoint(scene).splitlines()
    forked = base64.b64encode(hashlib.sha256(b"another history").digest()).decode()
    put_head(scene, signed_head(scene, f"{origin}\n{int(size) - 1}\n{forked}\n", "log"))
    scene.refuses_store(Refusal.ROLLBACK)


@attack("a revoked log key signs the very head", "no checkpoint that it signs is accepted, at any size")
def test_revoked_log_key(scene: Scene) -> None:
    with scene.open() as operator:
        operator.keys.revoke(key_of(scene, "log"), reason="stolen")
    put_head(scene, signed_head(scene, last_checkpoint(scene), "log"))
    scene.refuses_store(Refusal.REVOKED_KEY)


@attack(
    "put the policy of before a revocation back, root, targets and all",
    "every trust role's version seen is remembered",
)
def test_policy_of_before_a_revocation(scene: Scene) -> None:
    shutil.copytree(scene.folder / "keys", scene.root / "before")
    with scene.open() as reader, scene.open() as operator:
        reader.search("logs")
        operator.keys.revoke(key_of(scene, "source wiki"), reason="stolen")
        shutil.rmtree(scene.folder / "keys")
        shutil.copytree(scene.root / "before", scene.folder / "keys")
        scene.fails(StaleError, "ROLLBACK", lambda: reader.search("logs"))
    scene.refuses_store(Refusal.ROLLBACK)


@attack(
    "the same, with the file by which a reader notices a change: its very inode, size and time",
    "the system's own time of its last change is looked at, too",
)
def test_policy_of_before_in_the_same_inode(scene: Scene) -> None:
    timestamp = scene.folder / "keys" / "metadata" / "timestamp.json"
    shutil.copytree(scene.folder / "keys", scene.root / "before")
    os.link(timestamp, scene.root / "kept")
    was = timestamp.stat()
    with scene.open() as reader, scene.open() as operator:
        reader.search("logs")
        operator.keys.revoke(key_of(scene, "source wiki"), reason="stolen")
        shutil.rmtree(scene.folder / "keys")
        shutil.copytree(scene.root / "before", scene.folder / "keys")
        os.replace(scene.root / "kept", timestamp)
        now = timestamp.stat()
        assert (now.st_ino, now.st_size, now.st_mtime_ns) == (was.st_ino, was.st_size, was.st_mtime_ns)
        scene.fails(StaleError, "ROLLBACK", lambda: reader.search("logs"))
    scene.refuses_store(Refusal.ROLLBACK)


@attack(
    "leave a private key under keys/, to be published with it", "whoever writes the trust root looks first"
)
def test_private_key_under_keys(scene: Scene) -> None:
    (found,) = scene.home.glob("keys/*/trust-root.key")
    for name in ("root.key", "metadata/backup.json"):
        copy = scene.folder / "keys" / name
        shutil.copy(found, copy)
        with scene.open() as operator:
            scene.fails(
                ConfigError, "is a private key", lambda: operator.keys.revoke(key_of(scene, "source wiki"), reason="x")
            )  # fmt: skip
        copy.unlink()


# ---- ceremonies


def signer(scene: Scene, name: str) -> Path:
    """The home of somebody who signs on a machine of their own."""
    return scene.root / "signers" / name


def three_roots(scene: Scene) -> None:
    """Make it a trust root of which two of three have to sign every change, and none of them is the operator."""
    with scene.open() as operator:
        store = operator.settings.store
        first = operator.authority.trust_root().roles[0].keys[0].key_id
        add = []
        for name in SIGNERS:
            with at_home(signer(scene, name)):
                add.append(("root", new_key(store, f"root-{name}", lambda: None)[0].hex))
        file = scene.root / "first.json"
        operator.keys.propose(file, add=add, remove=[first], thresholds=[("root", "2")])
        Signing.open(file).sign(None)
        signed_by(scene, file, "alice", "bob")
        operator.keys.publish(read_proposal([file]))
        assert operator.authority.trust_root().roles[0].threshold == 2


def proposed(scene: Scene, name: str = "next.json") -> Path:
    """A proposal that only renews the root."""
    with scene.open() as operator:
        operator.keys.propose(scene.root / name, renew=True)
    return scene.root / name


def signed_by(scene: Scene, file: Path, *names: str) -> None:
    """These signers sign the file, each at home."""
    for name in names:
        with at_home(signer(scene, name)):
            Signing.open(file).sign(None)


def edit(file: Path, change: Callable[[dict[str, object]], None]) -> None:
    """Change a ceremony file as anybody can who has it between two steps."""
    fields = json.loads(file.read_bytes())
    change(fields)
    file.write_bytes(canonical(fields))


def refused(scene: Scene, refusal: Refusal, file: Path, by: str = "carol") -> None:
    """The next signer and the publisher both refuse the file, for this reason."""

    def sign() -> object:
        with at_home(signer(scene, by)):
            return Signing.open(file).sign(None)

    def publish() -> object:
        with scene.open() as operator:
            return operator.keys.publish(read_proposal([file]))

    for act in (sign, publish):
        scene.fails(VerificationError, str(refusal), act)


@attack("a root signed by one of two of three", "two distinct keys of the root before have to sign")
def test_root_by_one_of_three(scene: Scene) -> None:
    three_roots(scene)
    file = proposed(scene)
    signed_by(scene, file, "alice")
    with scene.open() as operator:
        scene.fails(
            VerificationError, "BELOW_THRESHOLD", lambda: operator.keys.publish(read_proposal([file]))
        )
    root = json.loads((scene.folder / "keys" / "metadata" / "2.root.json").read_bytes())["signed"]
    shutil.copy(next(signer(scene, "alice").glob("keys/*/root-alice.key")), next(scene.home.glob("keys/*")))
    write_signed(scene, "3.root.json", root | {"version": 3}, "root-alice", "trust-root")
    scene.refuses_store(Refusal.BELOW_THRESHOLD)


@attack("count one signer twice in a ceremony", "a signature is of a key, and a key is counted once")
def test_one_signer_twice(scene: Scene) -> None:
    three_roots(scene)
    file = proposed(scene)
    signed_by(scene, file, "alice")
    edit(file, lambda fields: fields["signatures"].extend(fields["signatures"] * 2))  # type: ignore[attr-defined]
    with scene.open() as operator:
        scene.fails(VerificationError, "1 of 2", lambda: operator.keys.publish(read_proposal([file])))


@attack("edit a ceremony file after it was signed", "signatures are over the bytes that will be published")
def test_ceremony_edited_between_steps(scene: Scene) -> None:
    three_roots(scene)

    def lower(fields: dict[str, object]) -> None:
        root = json.loads(str(fields["nextRoot"]))
        root["roles"]["root"]["threshold"] = 1
        fields["nextRoot"] = canonical(root).decode()

    file = proposed(scene)
    signed_by(scene, file, "alice")
    edit(file, lower)
    refused(scene, Refusal.BAD_SIGNATURE, file)


@attack("edit the policy that goes with a ceremony", "the targets role names the digest of the policy")
def test_ceremony_with_another_policy(scene: Scene) -> None:
    file = proposed(scene)
    for name in ("nextPolicy", "policy"):
        bent = scene.root / f"{name}.json"
        fields = json.loads(file.read_bytes())
        fields[name] = fields[name].replace('"trust":500', '"trust":501')
        bent.write_bytes(canonical(fields))
        refused(scene, Refusal.BAD_SIGNATURE, bent, by="alice")


@attack(
    "replay a signature of another ceremony", "each signature is over one proposal's bytes, version and all"
)
def test_signature_of_another_ceremony(scene: Scene) -> None:
    three_roots(scene)
    first = proposed(scene, "first-renewal.json")
    signed_by(scene, first, "alice", "bob")
    taken = json.loads(first.read_bytes())["signatures"]
    with scene.open(now=NOW + 60) as operator:
        operator.keys.propose(scene.root / "second.json", renew=True, add=[("root", stranger())])
    second = scene.root / "second.json"
    edit(second, lambda fields: fields.update(signatures=taken))
    refused(scene, Refusal.BAD_SIGNATURE, second)


def stranger() -> str:
    """A public key of nobody in particular."""
    from nacl.signing import SigningKey

    return bytes(SigningKey(b"\x77" * 32).verify_key).hex()


@attack("sign a ceremony with a key that has no say", "only keys of the root before or after are counted")
def test_stranger_signs_a_ceremony(scene: Scene) -> None:
    from nacl.signing import SigningKey

    file = proposed(scene)
    key = SigningKey(b"\x77" * 32)

    def add(fields: dict[str, object]) -> None:
        signature = key.sign(str(fields["nextRoot"]).encode()).signature.hex()
        said = {"key": bytes(key.verify_key).hex(), "part": "root", "signature": signature}
        fields["signatures"] = [said]

    edit(file, add)
    refused(scene, Refusal.UNKNOWN_KEY, file)


@attack(
    "have a signer sign for another trust root", "what it was shown has to go on from the root that it pinned"
)
def test_ceremony_of_another_trust_root(scene: Scene) -> None:
    three_roots(scene)
    file = proposed(scene)
    chain = json.loads(file.read_bytes())["roots"]
    other = root_of(scene) | {"expires": "2039-01-01T00:00:00Z"}
    write_signed(scene, "other.json", other, "trust-root")
    forged = (scene.folder / "keys" / "metadata" / "other.json").read_bytes().decode()
    edit(file, lambda fields: fields.update(roots=[forged, chain[1]]))  # both signed the second one
    with at_home(signer(scene, "alice")):
        scene.fails(StaleError, "FORK", lambda: Signing.open(file))
    edit(file, lambda fields: fields.update(roots=[forged]))
    with at_home(signer(scene, "alice")):
        scene.fails(VerificationError, "", lambda: Signing.open(file))


@attack(
    "have a signer sign an old proposal again", "it goes on from a root or policy older than the signer saw"
)
def test_old_ceremony(scene: Scene) -> None:
    three_roots(scene)
    old = proposed(scene, "old.json")
    new = scene.root / "new.json"
    shutil.copy(old, new)
    signed_by(scene, new, "alice", "bob")
    with scene.open() as operator:
        operator.keys.publish(read_proposal_signed(scene, new))
    later = proposed(scene, "later.json")
    signed_by(scene, later, "alice")
    with at_home(signer(scene, "alice")):
        scene.fails(StaleError, "ROLLBACK", lambda: Signing.open(old))
    scene.fails(StaleError, "ROLLBACK", lambda: publish(scene, new))


def read_proposal_signed(scene: Scene, file: Path) -> Opened:
    """The proposal with the operator's own word, whose key signs policies."""
    with at_home(scene.home):
        Signing.open(file).sign(None)
    return read_proposal([file])


def publish(scene: Scene, file: Path) -> object:
    with scene.open() as operator:
        return operator.keys.publish(read_proposal([file]))


@attack(
    "hide something in a ceremony file, or make it too much",
    "the same strict parser; size and depth counted first",
)
def test_hostile_ceremony_files(scene: Scene) -> None:
    file = proposed(scene)
    good = file.read_bytes()
    (key_file,) = scene.home.glob("keys/*/trust-root.key")
    one_key = json.loads(good)
    root = json.loads(one_key["nextRoot"])
    (name,) = root["roles"]["root"]["keyids"]
    root["keys"]["f" * 64] = root["keys"][name]
    root["roles"]["root"] |= {"keyids": [name, "f" * 64], "threshold": 2}
    bent = (
        b"",
        b"{}",
        good.replace(b'{"format"', b'{"format":"x","format"', 1),
        good.replace(b"urn:trustrag:ceremony/v1", b"urn:trustrag:ceremony/v2"),
        good.replace(b'"signatures":[]', b'"signatures":[{"part":"timestamp"}]'),
        good + b" ",
        b"[" * 100_000,
        key_file.read_bytes(),
        canonical(json.loads(good) | {"private": json.loads(key_file.read_bytes())}),
        canonical(json.loads(good) | {"roots": []}),
        canonical(json.loads(good) | {"nextRoot": None, "nextTargets": None, "nextPolicy": None}),
        canonical(json.loads(good) | {"nextPolicy": None}),
        canonical(one_key | {"nextRoot": canonical(root).decode()}),
    )
    for data in bent:
        file.write_bytes(data)
        scene.fails(MalformedError, "", lambda: Signing.open(file))


@not_stopped(
    "have two of three signers sign what they did not read",
    "each is shown every key, threshold and change, and asked; the chain of roots keeps what they signed",
)
def test_signers_who_do_not_read(scene: Scene) -> None:
    three_roots(scene)
    file = scene.root / "next.json"
    with scene.open() as operator:
        operator.keys.propose(file, add=[("root", stranger())], thresholds=[("root", "1")])
    with at_home(signer(scene, "alice")):
        lines = "\n".join(Signing.open(file).lines)
    assert stranger() in lines
    assert "root: 2 of 3 -> 1 of 4 keys have to sign" in lines
    signed_by(scene, file, "alice", "bob")
    publish(scene, file)
    with scene.open() as workspace:
        assert workspace.authority.trust_root().roles[0].threshold == 1
    scene.say("believed; it was shown")
