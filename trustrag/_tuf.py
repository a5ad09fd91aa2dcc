"""The half of the trust root that speaks python-tuf; `trustrag.trustroot` imports it when it has to.

python-tuf's own client does the verifying: the chain of roots, signatures and thresholds, versions, hashes.
It reads a folder through `LocalFetcher`, so there is no network. What it does not check is checked here, on
the same bytes: one spelling, Ed25519 only, honest points, and no public key in two places (python-tuf counts
signatures by key id, so one key under two ids would pass for two).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, TypeAlias, TypeVar

from securesystemslib.exceptions import Error as SslibError
from securesystemslib.signer import Signature, SSlibKey
from tuf.api import exceptions
from tuf.api.metadata import Metadata, MetaFile, Role, Snapshot, TargetFile, Timestamp
from tuf.api.metadata import Root as Root
from tuf.api.metadata import Targets as Targets
from tuf.ngclient import FetcherInterface, Updater, UpdaterConfig

from trustrag.errors import (
    AuthorityError,
    ConfigError,
    MalformedError,
    Refusal,
    SignatureError,
    StaleError,
    TrustragError,
)
from trustrag.provenance.canonical import Digest, Fields, bytes_from_hex, parse_canonical
from trustrag.provenance.keys import SIGNATURE_SIZE, PublicKey, Signer

POLICY: Final = "policy.json"
MAX_BYTES: Final = 9 << 20  # above the largest policy; nothing in the folder is read further
_BASE: Final = "keys:/"
_NAME: Final = re.compile(r"metadata/([1-9][0-9]*\.)?[a-z]+\.json|targets/[0-9a-f]{64}\.policy\.json")
# python-tuf reads the wall clock; in trustrag the time is given. And an expired role must be read to be
# renewed. So its client runs at the beginning of time, and `trustroot` compares the expiries.
_BEFORE_ALL_EXPIRIES: Final = datetime.min.replace(tzinfo=UTC)

Signed: TypeAlias = Root | Targets | Snapshot | Timestamp
S = TypeVar("S", Root, Targets, Snapshot, Timestamp)


@dataclass(frozen=True, slots=True)
class Repository:
    """A trust root whose signatures, versions and hashes hold. Nothing is said about expiry."""

    root_bytes: bytes
    root: Root
    targets: Targets
    snapshot: Snapshot
    timestamp: Timestamp
    policy: bytes

    def roles(self) -> dict[str, Signed]:
        """The four roles by name."""
        return {
            "root": self.root,
            "targets": self.targets,
            "snapshot": self.snapshot,
            "timestamp": self.timestamp,
        }


class LocalFetcher(FetcherInterface):
    """Serves the files of a trust root's folder to python-tuf's client, and keeps what it served.

    Metadata is parsed strictly, and a root inspected, before python-tuf sees it: two readers must never read
    two things, and nobody counts signatures by a root whose keys are not what they seem.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.served: dict[str, bytes] = {}

    def _fetch(self, url: str) -> Iterator[bytes]:
        name = url.removeprefix(_BASE)
        if not _NAME.fullmatch(name):
            raise exceptions.DownloadHTTPError(f"{name} is no file of a trust root", 404)
        try:
            with (self._folder / name).open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        except FileNotFoundError:
            raise exceptions.DownloadHTTPError(f"{self._folder / name} is missing", 404) from None
        if name.startswith("metadata/"):
            _parse_strictly(name, data)
        if name.endswith(".root.json"):
            _read_root(name, data)
        self.served[name] = data
        return iter([data])


def load(folder: Path, first_root: bytes) -> Repository:
    """The trust root in `folder`, verified from `first_root`, which is believed.

    Raises ConfigError (a file is missing), MalformedError, SignatureError, AuthorityError (too few
    signatures) or StaleError (a version went back).
    """
    _parse_strictly("the first root", first_root)
    _read_root("the first root", first_root)
    fetcher = LocalFetcher(folder)
    config = UpdaterConfig(targets_max_length=MAX_BYTES)
    with TemporaryDirectory(prefix="trustrag-") as scratch:
        target_dir = Path(scratch, "targets")
        target_dir.mkdir()
        try:
            updater = Updater(
                metadata_dir=scratch,
                metadata_base_url=_BASE + "metadata",
                target_dir=str(target_dir),
                target_base_url=_BASE + "targets",
                fetcher=fetcher,
                config=config,
                bootstrap=first_root,
            )
            updater._trusted_set.reference_time = _BEFORE_ALL_EXPIRIES
            updater.refresh()
            target = updater.get_targetinfo(POLICY)
            if target is None:
                raise MalformedError(f"the trust root in {folder} distributes no {POLICY}")
            policy = Path(updater.download_target(target)).read_bytes()
            return _verified(fetcher.served, first_root, policy)
        except Exception as error:
            raise _translated(error, folder) from error


def _verified(served: Mapping[str, bytes], first_root: bytes, policy: bytes) -> Repository:
    """What python-tuf has verified, as objects: the last root it was served, and what each role names."""
    root_bytes = [first_root, *(data for name, data in served.items() if name.endswith(".root.json"))][-1]
    root = Metadata[Root].from_bytes(root_bytes).signed
    timestamp = Metadata[Timestamp].from_bytes(served["metadata/timestamp.json"]).signed
    snapshot_name = f"metadata/{timestamp.snapshot_meta.version}.snapshot.json"
    snapshot = Metadata[Snapshot].from_bytes(served[snapshot_name]).signed
    targets_name = f"metadata/{snapshot.meta['targets.json'].version}.targets.json"
    targets = Metadata[Targets].from_bytes(served[targets_name]).signed
    if targets.delegations is not None:
        raise MalformedError("the trust root delegates its policy to others; trustrag does not follow that")
    return Repository(root_bytes, root, targets, snapshot, timestamp, policy)


def check_root(root: Root) -> None:
    """Refuses a root whose thresholds could be met by fewer keys than they say; raises MalformedError."""
    raw = {key_id: _public_key(key_id, key) for key_id, key in root.keys.items()}
    if len(set(raw.values())) != len(raw):
        raise MalformedError("two key ids of the trust root hold one public key")
    used = [key_id for role in root.roles.values() for key_id in role.keyids]
    if len(set(used)) != len(used):
        raise MalformedError("one key of the trust root serves two roles")
    if not set(used) <= set(raw):
        raise MalformedError("a role of the trust root names a key that is not there")
    if not root.consistent_snapshot:
        raise MalformedError("the trust root does not use consistent snapshots")


def role_keys(root: Root, role: str) -> tuple[PublicKey, ...]:
    """The public keys that may sign for a role."""
    return tuple(_public_key(key_id, root.keys[key_id]) for key_id in root.roles[role].keyids)


def new_root(keys: Mapping[str, Sequence[PublicKey]], thresholds: Mapping[str, int], expires: int) -> Root:
    """Version 1 of a root that gives each role its keys."""
    roles = {role: Role([key.key_id for key in of], thresholds[role]) for role, of in keys.items()}
    root = Root(version=1, expires=_moment(expires), keys={}, roles=roles, consistent_snapshot=True)
    for key in (key for of in keys.values() for key in of):
        root.keys[key.key_id] = SSlibKey(key.key_id, "ed25519", "ed25519", {"public": key.hex})
    check_root(root)
    return root


def next_root(root: Root, expires: int) -> Root:
    """The same root, one version on."""
    following = deepcopy(root)
    following.version += 1
    following.expires = _moment(expires)
    return following


def changed_root(
    root: Root, keys: Mapping[str, Sequence[PublicKey]], thresholds: Mapping[str, int], expires: int
) -> Root:
    """The next version of a root, with these keys and thresholds for its roles. Raises MalformedError."""
    try:
        following = new_root(keys, thresholds, expires)
    except ValueError as error:
        raise MalformedError(f"such a root cannot be: {error}") from error
    following.version = root.version + 1
    for name, role in following.roles.items():
        if not 1 <= role.threshold <= len(role.keyids):
            raise MalformedError(
                f"{len(role.keyids)} keys cannot meet a threshold of {role.threshold} for {name}"
            )
    return following


def next_targets(targets: Targets, policy: bytes, expires: int) -> Targets:
    """The next version of the targets role, over this policy."""
    return _targets_of(targets.version + 1, policy, expires)


def parse_signed(kind: type[S], data: bytes) -> S:
    """The `signed` part of metadata that nobody need have signed yet, as `message` writes it. Raises MalformedError."""
    whole = b'{"signatures":[],"signed":' + data + b"}"
    _parse_strictly("what is proposed", whole)
    signed = _from_bytes(kind, "what is proposed", whole).signed
    if isinstance(signed, Root):
        check_root(signed)
    if message(signed) != data:
        raise MalformedError("what is proposed is not in canonical form")
    return signed


def message(signed: S) -> bytes:
    """The bytes that are signed: canonical JSON."""
    return Metadata(signed).signed_bytes


def parse_root(data: bytes) -> Root:
    """Root metadata that is believed as it is: the one that was pinned. Raises MalformedError."""
    root = parse_file(Root, data)
    check_root(root)
    return root


def parse_chain(roots: Sequence[bytes]) -> list[Root]:
    """Roots of which each follows the one before it and is signed by it, the first by itself.

    Raises MalformedError, AuthorityError (BELOW_THRESHOLD) or StaleError where they are not.
    """
    chain: list[Root] = []
    for data in roots:
        _parse_strictly("a root", data)
        _read_root("a root", data)
        following = Metadata[Root].from_bytes(data)
        before = chain[-1] if chain else following.signed
        if chain and following.signed.version != before.version + 1:
            raise StaleError(
                Refusal.ROLLBACK, f"root {following.signed.version} does not follow {before.version}"
            )
        for root in (before, following.signed):
            require_signed(root, "root", data)
        chain.append(following.signed)
    return chain


def require_signed(root: Root, role: str, data: bytes) -> None:
    """Raises AuthorityError (BELOW_THRESHOLD) unless enough keys that this root names for the role signed the metadata."""
    document = Metadata.from_bytes(data)
    try:
        root.verify_delegate(role, document.signed_bytes, document.signatures)
    except exceptions.UnsignedMetadataError as error:
        raise AuthorityError(Refusal.BELOW_THRESHOLD, f"the {role} metadata: {error}") from error


def is_signed(root: Root, role: str, data: bytes) -> bool:
    """Whether enough keys that this root names for the role signed the metadata."""
    try:
        require_signed(root, role, data)
    except AuthorityError:
        return False
    return True


def parse_file(kind: type[S], data: bytes) -> S:
    """What a metadata file says, whoever signed it. Raises MalformedError."""
    _parse_strictly(f"the {kind.type} file", data)
    return _from_bytes(kind, f"the {kind.type} file", data).signed


def parse_targets(data: bytes, root: Root) -> Targets:
    """The targets role, signed by enough keys of this root. Raises MalformedError or AuthorityError."""
    targets = parse_file(Targets, data)
    require_signed(root, "targets", data)
    return targets


def policy_digest(targets: Targets) -> Digest:
    """Of the policy that a targets role names. Raises MalformedError where it names none, or more."""
    named = targets.targets.get(POLICY)
    if named is None or list(targets.targets) != [POLICY] or set(named.hashes) != {"sha256"}:
        raise MalformedError(f"the targets role names other files than {POLICY}")
    return Digest.from_hex(named.hashes["sha256"])


def assembled(signed: S, signatures: Sequence[tuple[PublicKey, bytes]]) -> bytes:
    """The metadata file of what was signed elsewhere."""
    metadata = Metadata(signed)
    for key, signature in signatures:
        metadata.signatures[key.key_id] = Signature(key.key_id, signature.hex())
    return metadata.to_bytes()


def numbers(folder: Path) -> dict[str, int]:
    """What versions the snapshot and timestamp files in a folder say they are, verified by nobody: to count on from."""
    data = (folder / "metadata" / "timestamp.json").read_bytes()
    timestamp = _from_bytes(Timestamp, "timestamp.json", data).signed
    return {"timestamp": timestamp.version, "snapshot": timestamp.snapshot_meta.version}


def release(
    versions: Mapping[str, int],
    policy: bytes,
    expires: Mapping[str, int],
    signers: Mapping[str, Sequence[Signer]],
    *,
    targets_file: MetaFile | None = None,
    snapshot_file: MetaFile | None = None,
) -> Iterator[tuple[str, bytes]]:
    """(name, bytes) of the files of the next release, in the order in which they have to be written.

    `versions` are the ones to be made, `expires` unix seconds. Give `targets_file` to keep the targets role
    in force, or `snapshot_file` to keep the snapshot role too and renew nothing but the timestamp.
    """
    if snapshot_file is None:
        if targets_file is None:
            data = sign(_targets_of(versions["targets"], policy, expires["targets"]), signers["targets"])
            yield from targets_files(policy, versions["targets"], data)
            targets_file = file_of(versions["targets"], data)
        meta = {"targets.json": targets_file}
        snapshot = Snapshot(version=versions["snapshot"], expires=_moment(expires["snapshot"]), meta=meta)
        data = sign(snapshot, signers["snapshot"])
        yield f"metadata/{snapshot.version}.snapshot.json", data
        snapshot_file = file_of(snapshot.version, data)
    timestamp = Timestamp(
        version=versions["timestamp"], expires=_moment(expires["timestamp"]), snapshot_meta=snapshot_file
    )
    yield "metadata/timestamp.json", sign(timestamp, signers["timestamp"])


def targets_files(policy: bytes, version: int, data: bytes) -> Iterator[tuple[str, bytes]]:
    """(name, bytes) of a policy and of the targets role that names it, in the order in which they have to be written."""
    yield f"targets/{Digest.of(policy).hex}.{POLICY}", policy
    yield f"metadata/{version}.targets.json", data


def sign(signed: S, signers: Sequence[Signer]) -> bytes:
    """The metadata file: the canonical JSON of `signed` under the signature of each signer."""
    metadata = Metadata(signed)
    for signer in signers:
        key_id = signer.public_key.key_id
        signature = signer.sign(metadata.signed_bytes)
        metadata.signatures[key_id] = Signature(key_id, signature.hex())
    return metadata.to_bytes()


def seconds(moment: datetime) -> int:
    """Unix seconds of an expiry."""
    return int(moment.timestamp())


def _moment(unix: int) -> datetime:
    return datetime.fromtimestamp(unix, UTC)


def _targets_of(version: int, policy: bytes, expires: int) -> Targets:
    targets = Targets(version=version, expires=_moment(expires))
    targets.targets[POLICY] = TargetFile(len(policy), {"sha256": Digest.of(policy).hex}, POLICY)
    return targets


def file_of(version: int, data: bytes) -> MetaFile:
    """How the next role names this metadata file."""
    return MetaFile(version, len(data), {"sha256": Digest.of(data).hex})


def _parse_strictly(name: str, data: bytes) -> None:
    """Refuses metadata with a second spelling: canonical JSON, signatures in lowercase hex."""
    fields = Fields(parse_canonical(data, max_bytes=MAX_BYTES), name)
    for signature in fields.objects("signatures"):
        try:
            bytes_from_hex(signature.text("sig"), SIGNATURE_SIZE)
        except MalformedError as error:
            raise MalformedError(f"{name}: a signature is {error}") from error


def _read_root(name: str, data: bytes) -> None:
    check_root(_from_bytes(Root, name, data).signed)


def _from_bytes(kind: type[S], name: str, data: bytes) -> Metadata[S]:
    try:
        document = Metadata[S].from_bytes(data)
    except exceptions.RepositoryError as error:
        raise MalformedError(f"{name} is not {kind.type} metadata: {error}") from error
    if not isinstance(document.signed, kind):
        raise MalformedError(f"{name} is {document.signed.type} metadata, not {kind.type}")
    return document


def _public_key(key_id: str, key: object) -> PublicKey:
    if not isinstance(key, SSlibKey) or (key.keytype, key.scheme) != ("ed25519", "ed25519"):
        raise MalformedError(f"key {key_id[:16]} of the trust root is not an Ed25519 key")
    return PublicKey.parse(str(key.keyval.get("public")))


def _translated(error: Exception, folder: Path) -> TrustragError:
    """One border: whatever python-tuf raises over the bytes in the folder becomes one of our errors."""
    match error:
        case TrustragError():
            return error
        case exceptions.DownloadError(__cause__=TrustragError() as ours):
            return ours
        case exceptions.DownloadHTTPError():
            return ConfigError(f"the trust root in {folder} is not whole: {error}")
        case exceptions.UnsignedMetadataError():
            return AuthorityError(Refusal.BELOW_THRESHOLD, f"the trust root in {folder}: {error}")
        case exceptions.LengthOrHashMismatchError():
            return SignatureError(f"the trust root in {folder} signs other bytes: {error}")
        case exceptions.BadVersionNumberError():
            return StaleError(Refusal.ROLLBACK, f"the trust root in {folder}: {error}")
        case exceptions.RepositoryError() | exceptions.DownloadLengthMismatchError() | SslibError():
            return MalformedError(f"the trust root in {folder} is not one: {error}")
        case exceptions.DownloadError() | OSError():
            return ConfigError(f"the trust root in {folder} cannot be read: {error}")
        case _:
            return MalformedError(f"the trust root in {folder} is not one: {type(error).__name__}: {error}")
