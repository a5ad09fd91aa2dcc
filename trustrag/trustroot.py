"""The trust root: where a policy comes from, and why it is believed.

`keys/` is a TUF repository that distributes one file, `policy.json`. Four roles sign for it:

    root       who may sign for the roles below; changes only when keys do       10 years
    targets    the digest of the policy in force                                  1 year
    snapshot   which targets file is current                                      1 year
    timestamp  which snapshot is current                                          90 days

The lifetimes suit one person with one laptop. Being stale only ever costs a refusal that names the command
to run; an ingest by whoever holds the keys renews what is past half of its life, so a store in use never
gets there. The timestamp's is how long someone who holds back updates can hide that a key was revoked. The
root's is long, because an expired root stops every reader, and its keys should see daylight rarely.

The first root a user opens is believed (`first_use` says so) and remembered outside the workspace; from then
on every newer root must be signed by the one before it, and no version may go back.

Writing goes from the policy up: each file is whole or not there, and `timestamp.json`, which names all the
rest, comes last. Dying anywhere leaves the old trust root in force.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, Self

from trustrag.errors import ConfigError, ConflictError, MalformedError, Refusal, StaleError
from trustrag.files import locked, make_folder, write_whole
from trustrag.provenance.canonical import rfc3339
from trustrag.provenance.keys import MAX_KEY_FILE_BYTES, KeyFile, PublicKey, Signer
from trustrag.provenance.policy import Policy

if TYPE_CHECKING:
    from trustrag._tuf import Repository, Root

ROLES: Final = ("root", "targets", "snapshot", "timestamp")
DAY: Final = 86_400
_METADATA: Final = re.compile(
    r"([0-9]+\.)?(root|targets|snapshot|timestamp)\.json|[0-9a-f]{64}\.policy\.json"
)


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long each role's signature holds, in seconds."""

    root: int = 3650 * DAY
    targets: int = 365 * DAY
    snapshot: int = 365 * DAY
    timestamp: int = 90 * DAY

    def of(self, role: str) -> int:
        """The lifetime of the role of this name."""
        return {
            "root": self.root,
            "targets": self.targets,
            "snapshot": self.snapshot,
            "timestamp": self.timestamp,
        }[role]


class Keys(Protocol):
    """Private keys, looked up by their public halves: who may sign is decided by key, never by name."""

    def find(self, public_key: PublicKey) -> Signer | None:
        """The signer of this key, or None where it is not held. Unlocks nothing."""
        ...


@dataclass(frozen=True, slots=True)
class TrustRole:
    """One of the four roles as a reader sees it. `expires` in unix seconds."""

    role: str
    threshold: int
    keys: tuple[PublicKey, ...]
    version: int
    expires: int


@dataclass(frozen=True, slots=True)
class TrustRoot:
    """A verified trust root. `root` is what to pin, `versions` what to remember as seen."""

    folder: Path
    policy: Policy
    root: bytes = field(repr=False)
    roles: tuple[TrustRole, ...]
    first_use: bool

    @classmethod
    def open(
        cls,
        folder: Path,
        now: int,
        *,
        pinned: bytes | None = None,
        seen: Mapping[str, int] | None = None,
    ) -> Self:
        """The trust root in `folder`, with every signature, version, digest and expiry checked.

        `pinned` is the root to start from and `seen` the versions believed before; without a pinned root the
        oldest one in the folder is believed, and `first_use` is set.

        Raises ConfigError (none here, or not whole), MalformedError, SignatureError, AuthorityError (too few
        signatures) or StaleError: ROLLBACK for an older version than seen, EXPIRED with the command to run.
        """
        opened = cls._from(folder, _load(folder, pinned), pinned is None, seen or {})
        opened._require_current(now)
        return opened

    @classmethod
    def _from(cls, folder: Path, repository: "Repository", first_use: bool, seen: Mapping[str, int]) -> Self:
        policy = Policy.parse(repository.policy)
        opened = cls(folder, policy, repository.root_bytes, _roles(repository), first_use)
        require_separate_keys([key for role in opened.roles for key in role.keys], policy)
        for name, version in opened.versions.items():
            if version < seen.get(name, 0):
                raise StaleError(
                    Refusal.ROLLBACK,
                    f"the {name} in {folder} is version {version}, and version {seen[name]} was seen before: "
                    "an old copy was put back",
                )
        return opened

    @property
    def versions(self) -> dict[str, int]:
        """The version of each role, and of the policy."""
        return {role.role: role.version for role in self.roles} | {"policy": self.policy.version}

    @property
    def expires(self) -> int:
        """When the first of the roles expires, in unix seconds."""
        return min(role.expires for role in self.roles)

    def due(self, now: int, lifetimes: Lifetimes = Lifetimes()) -> tuple[str, ...]:
        """The roles that have less than half of their life left."""
        return tuple(r.role for r in self.roles if 2 * (r.expires - now) < lifetimes.of(r.role))

    def _require_current(self, now: int) -> None:
        for role in self.roles:
            if role.expires <= now:
                flag = " --root" if role.role == "root" else ""
                raise StaleError(
                    Refusal.EXPIRED,
                    f"the {role.role} role of the trust root in {self.folder} expired on "
                    f"{rfc3339(role.expires)}: whoever holds its key runs `trustrag keys refresh{flag}`",
                )


def create_trust_root(
    folder: Path,
    policy: Policy,
    signers: Mapping[str, Sequence[Signer]],
    *,
    now: int,
    lifetimes: Lifetimes = Lifetimes(),
    root_threshold: int = 1,
) -> TrustRoot:
    """Makes `folder` a trust root for this policy. `signers` holds the keys of each of the four roles.

    Raises ConfigError where there is one already, MalformedError where a key would serve two purposes.
    """
    from trustrag import _tuf

    keys = {role: [signer.public_key for signer in signers[role]] for role in ROLES}
    require_separate_keys([key for role in ROLES for key in keys[role]], policy)
    root = _tuf.new_root(keys, dict.fromkeys(ROLES, 1) | {"root": root_threshold}, now + lifetimes.root)
    first_root = _tuf.sign(root, signers["root"])
    make_folder(folder)
    with locked(folder):
        if (folder / "metadata" / "timestamp.json").exists():
            raise ConfigError(f"{folder} is a trust root already: it can be opened, and not made again")
        for name in ("metadata", "targets"):
            make_folder(folder / name)
        write_whole(folder / "metadata" / "1.root.json", first_root)
        expires = {role: now + lifetimes.of(role) for role in ROLES}
        versions = dict.fromkeys(ROLES, 1)
        _write(folder, _tuf.release(versions, policy.encode(), expires, signers))
        return TrustRoot.open(folder, now, pinned=first_root)


def publish_policy(
    folder: Path,
    policy: Policy,
    keys: Keys,
    *,
    now: int,
    pinned: bytes | None = None,
    seen: Mapping[str, int] | None = None,
    lifetimes: Lifetimes = Lifetimes(),
) -> TrustRoot:
    """Puts a newer policy of the same context in force. `pinned` and `seen` as for `TrustRoot.open`.

    Raises ConfigError where the keys are not held, ValueError where the version does not go up or the
    context changes, MalformedError where a key would serve two purposes, and what opening raises; an expired
    role other than the root does not stand in the way.
    """
    with _writing(folder):
        repository = _load(folder, pinned)
        before = TrustRoot._from(folder, repository, pinned is None, seen or {})
        if policy.version <= before.policy.version or policy.context != before.policy.context:
            raise ValueError(
                f"a newer policy of the same context has a version above {before.policy.version}"
            )
        require_separate_keys([key for role in before.roles for key in role.keys], policy)
        signers = _signers(repository, keys, ROLES[1:])
        _write(folder, _next_release(repository, "targets", policy.encode(), signers, now, lifetimes))
        return TrustRoot.open(folder, now, pinned=before.root, seen=before.versions)


def refresh(
    folder: Path,
    keys: Keys,
    *,
    now: int,
    pinned: bytes | None = None,
    seen: Mapping[str, int] | None = None,
    lifetimes: Lifetimes = Lifetimes(),
    force: bool = False,
) -> TrustRoot:
    """Renews targets, snapshot and timestamp where less than half of a life is left and the keys are held.

    Nothing is written when nothing is due, so an ingest may call it every time. `force` renews all three and
    raises ConfigError for a key that is not held. Raises what opening raises, after renewing what it could.
    """
    with _writing(folder):
        repository = _load(folder, pinned)
        before = TrustRoot._from(folder, repository, pinned is None, seen or {})
        due = ROLES[1:] if force else before.due(now, lifetimes)
        for start in ROLES[1:]:
            # Each role names the one before it, so renewing one means renewing all that follow.
            roles = ROLES[ROLES.index(start) :]
            if start in due and (force or _held(repository, keys, roles)):
                signers = _signers(repository, keys, roles)
                files = _next_release(repository, start, repository.policy, signers, now, lifetimes)
                _write(folder, files)
                return TrustRoot.open(folder, now, pinned=before.root, seen=before.versions)
    before._require_current(now)
    return before


def refresh_root(
    folder: Path,
    keys: Keys,
    *,
    now: int,
    pinned: bytes | None = None,
    seen: Mapping[str, int] | None = None,
    lifetimes: Lifetimes = Lifetimes(),
) -> TrustRoot:
    """Signs the next version of the root: the same keys, a new expiry. Then does what `refresh` does.

    Raises ConfigError where too few root keys are held, and what opening raises.
    """
    from trustrag import _tuf

    with _writing(folder):
        repository = _load(folder, pinned)
        before = TrustRoot._from(folder, repository, pinned is None, seen or {})
        root = _tuf.next_root(repository.root, now + lifetimes.root)
        data = _tuf.sign(root, _signers(repository, keys, ("root",))["root"])
        write_whole(folder / "metadata" / f"{root.version}.root.json", data)
    return refresh(folder, keys, now=now, pinned=before.root, seen=before.versions, lifetimes=lifetimes)


@dataclass(frozen=True, slots=True)
class SignedElsewhere:
    """Metadata whose signatures were collected: a next root, a next targets role with its policy, or both.

    `base_root` and `base_targets` are the files in force that they follow; `policy` is what `targets`, or else
    `base_targets`, names.
    """

    base_root: bytes
    base_targets: bytes
    root: bytes | None
    targets: bytes | None
    policy: bytes


def install(
    folder: Path,
    made: SignedElsewhere,
    keys: Keys,
    *,
    now: int,
    pinned: bytes | None = None,
    seen: Mapping[str, int] | None = None,
    lifetimes: Lifetimes = Lifetimes(),
) -> TrustRoot:
    """Puts in force what several signed; `keys` sign snapshot and timestamp, for the roots before and after.

    Where enough keys of both roots signed the files below the root, these hold under either root and are written
    first: dying anywhere leaves a trust root in force. Where the old keys are gone, the root has to come first, and
    dying before the last file leaves one that is refused until the same is installed again.

    Raises ConfigError where a key is missing, ConflictError where something else was published since, AuthorityError
    where too few signed, and what opening raises.
    """
    from trustrag import _tuf

    with _writing(folder):
        chain = _tuf.parse_chain([made.base_root, *([made.root] if made.root else [])])
        root_name = f"metadata/{chain[-1].version}.root.json"
        if made.root is None or _read(folder / root_name) != made.root:
            _require_base(_load(folder, pinned), made)
        targets = made.targets or made.base_targets
        version = _tuf.parse_targets(targets, chain[-1]).version
        files = list(_tuf.targets_files(made.policy, version, targets)) if made.targets else []
        signers, bridged = _online(chain, keys)
        counted, known = _tuf.numbers(folder), seen or {}
        files += _tuf.release(
            {name: max(counted[name], known.get(name, 0)) + 1 for name in counted},
            made.policy,
            {role: now + lifetimes.of(role) for role in ROLES},
            signers,
            targets_file=_tuf.file_of(version, targets),
        )
        root_file = [(root_name, made.root)] if made.root else []
        bridged = bridged and _tuf.is_signed(chain[0], "targets", targets)
        _write(folder, iter([*files, *root_file] if bridged else [*root_file, *files]))
        return TrustRoot.open(folder, now, pinned=made.root or made.base_root, seen=known)


def _require_base(repository: "Repository", made: SignedElsewhere) -> None:
    """Raises ConflictError unless what is in force is what this was made to follow."""
    from trustrag import _tuf

    # The targets role may be there already, where the last attempt died before the root.
    root, files = (
        _tuf.parse_chain([made.base_root])[-1],
        {made.base_targets, made.targets or made.base_targets},
    )
    targets = [_tuf.message(_tuf.parse_file(_tuf.Targets, data)) for data in files]
    if _tuf.message(repository.root) != _tuf.message(root) or _tuf.message(repository.targets) not in targets:
        raise ConflictError(
            "another root or policy was put in force since this was prepared: prepare it anew, and sign that"
        )


def _online(chain: "Sequence[Root]", keys: Keys) -> tuple[dict[str, list[Signer]], bool]:
    """Who of ours signs snapshot and timestamp for the last of these roots, and whether it is enough for the first, too.

    Raises ConfigError where it is not enough for the last.
    """
    from trustrag import _tuf

    signers: dict[str, list[Signer]] = {}
    enough = True
    for role in ("snapshot", "timestamp"):
        wanted = {key for root in chain for key in _tuf.role_keys(root, role)}
        held = {key: signer for key in sorted(wanted) if (signer := keys.find(key)) is not None}
        signers[role] = list(held.values())
        for root in chain:
            have, takes = len(held.keys() & set(_tuf.role_keys(root, role))), root.roles[role].threshold
            if have < takes and root is chain[-1]:
                raise ConfigError(
                    f"signing for the {role} role of the trust root takes {takes} of its keys, and {have} of them are "
                    "held here: publish where they are"
                )
            enough = enough and have >= takes
    return signers, enough


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """One writer at a time, in a trust root that is there and holds nothing private."""
    _require_one(folder)
    _require_public(folder)
    with locked(folder):
        yield


def _require_public(folder: Path) -> None:
    """Raises ConfigError where somebody put a private key into the folder that is there to be given to everybody."""
    for path in folder.rglob("*"):
        if path.is_file() and not _METADATA.fullmatch(path.name) and _is_private(path):
            raise ConfigError(
                f"{path} is a private key, and {folder} is there to be copied: move it away; was it seen, revoke it"
            )


def _is_private(path: Path) -> bool:
    if path.suffix in (".key", ".pem"):
        return True
    if path.stat().st_size > MAX_KEY_FILE_BYTES:
        return False
    try:
        KeyFile.parse(path.read_bytes())
    except MalformedError:
        return False
    return True


def _require_one(folder: Path) -> None:
    if not (folder / "metadata" / "timestamp.json").exists():
        raise ConfigError(
            f"no trust root in {folder}: name the right folder, or restore it (a new store gets one from `trustrag init`)"
        )


def _load(folder: Path, pinned: bytes | None) -> "Repository":
    """Verifies all but the expiries, from the pinned root or from the oldest one in the folder."""
    _require_one(folder)
    if pinned is None:
        metadata = folder / "metadata"
        versions = [int(path.name.split(".")[0]) for path in metadata.glob("[0-9]*.root.json")]
        if not versions:
            raise ConfigError(f"the trust root in {folder} has lost its root metadata")
        pinned = (metadata / f"{min(versions)}.root.json").read_bytes()
    from trustrag import _tuf

    return _tuf.load(folder, pinned)


def _roles(repository: "Repository") -> tuple[TrustRole, ...]:
    from trustrag import _tuf

    return tuple(
        TrustRole(
            role,
            repository.root.roles[role].threshold,
            _tuf.role_keys(repository.root, role),
            signed.version,
            _tuf.seconds(signed.expires),
        )
        for role, signed in repository.roles().items()
    )


def _next_release(
    repository: "Repository",
    start: str,
    policy: bytes,
    signers: Mapping[str, Sequence[Signer]],
    now: int,
    lifetimes: Lifetimes,
) -> Iterator[tuple[str, bytes]]:
    """The files that follow what is in force, from the role `start` on."""
    from trustrag import _tuf

    return _tuf.release(
        {role: signed.version + 1 for role, signed in repository.roles().items()},
        policy,
        {role: now + lifetimes.of(role) for role in ROLES},
        signers,
        targets_file=repository.snapshot.meta["targets.json"] if start == "snapshot" else None,
        snapshot_file=repository.timestamp.snapshot_meta if start == "timestamp" else None,
    )


def _write(folder: Path, files: Iterator[tuple[str, bytes]]) -> None:
    """Writes a release. If we die before its last file, nothing in force names what was written."""
    for name, data in list(files):
        write_whole(folder / name, data)


def _held(repository: "Repository", keys: Keys, roles: Sequence[str]) -> bool:
    """Whether these keys are enough to sign for these roles."""
    try:
        return bool(_signers(repository, keys, roles))
    except ConfigError:
        return False


def _signers(repository: "Repository", keys: Keys, roles: Sequence[str]) -> dict[str, list[Signer]]:
    """Who of ours signs for each role; raises ConfigError where that is not enough for its threshold."""
    held: dict[str, list[Signer]] = {}
    for role in _roles(repository):
        if role.role in roles:
            held[role.role] = [signer for key in role.keys if (signer := keys.find(key)) is not None]
            if len(held[role.role]) < role.threshold:
                raise ConfigError(
                    f"signing for the {role.role} role of the trust root takes {role.threshold} of its keys, "
                    f"and {len(held[role.role])} of them are held here"
                )
    return held


def require_separate_keys(of_roles: Sequence[PublicKey], policy: Policy) -> None:
    """A signature must mean one thing: no key of the trust root is one of the policy's."""
    shared = set(of_roles) & set(_keys_of(policy))
    if shared:
        name = min(shared).key_id[:16]
        raise MalformedError(f"key {name} serves the trust root and the policy: one key, one purpose")


def _keys_of(policy: Policy) -> Iterator[PublicKey]:
    """Every public key that the policy names, for whatever purpose."""
    roles = (policy.ingest, policy.screen, policy.review, policy.seal)
    held = [policy.log.keys, *(role.keys for role in roles), *(source.keys for source in policy.sources)]
    yield from (key.key for keys in held for key in keys)
    yield from (witness.key.key for witness in policy.witnesses)
