"""A ceremony: what several have to sign, as one file that goes from hand to hand.

    propose   whoever keeps the store writes the file: the next root, the next policy, or both
    sign      each signer, on a machine of its own, with this file and its own key and nothing else
    publish   whoever keeps the store puts the signed copies together, and in force

The file proves itself: it holds every root up to the one in force, each signed by the one before, and the policy in
force with the signatures over it. So a signer sees what changes against what is proved to be in force, and refuses a
file that does not go on from the root that it pinned the last time. Signatures are over the very bytes that will be
published; whoever edits the file afterwards makes them fail.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Self, TypeAlias

from trustrag import trustroot
from trustrag.errors import (
    AuthorityError,
    ConflictError,
    MalformedError,
    NotFoundError,
    Refusal,
    SignatureError,
    StaleError,
)
from trustrag.files import make_folder, write_whole
from trustrag.keyring import SeenState, home
from trustrag.provenance.canonical import Digest, Encodable, Fields, bytes_from_hex, encode, parse_canonical
from trustrag.provenance.keys import SIGNATURE_SIZE, PublicKey, Signer
from trustrag.provenance.policy import Policy

if TYPE_CHECKING:
    from trustrag._tuf import Root, Targets

FORMAT: Final = "urn:trustrag:ceremony/v1"
MAX_BYTES: Final = 24 << 20
MAX_ROOTS: Final = 1000

Part: TypeAlias = Literal["root", "targets"]
Find: TypeAlias = Callable[[PublicKey], Signer | None]


@dataclass(frozen=True, slots=True, order=True)
class Signature:
    """One signer's word on one part of the proposal."""

    part: Part
    key: PublicKey
    signature: bytes


@dataclass(frozen=True, slots=True)
class Proposal:
    """What is to be signed, and what it follows. Nothing of it is believed before `opened`.

    `roots` lead up to the root in force; `targets` and `policy` are in force. `next_root` and `next_targets` are the
    bytes that are signed; `next_policy` is what the latter names.
    """

    roots: tuple[bytes, ...]
    targets: bytes
    policy: bytes
    next_root: bytes | None
    next_targets: bytes | None
    next_policy: bytes | None
    signatures: tuple[Signature, ...] = ()

    def encode(self) -> bytes:
        """The bytes of the file."""
        signatures: list[Encodable] = [
            {"part": one.part, "key": one.key.hex, "signature": one.signature.hex()}
            for one in sorted(self.signatures)
        ]
        return encode(
            {
                "format": FORMAT,
                "roots": [root.decode() for root in self.roots],
                "targets": self.targets.decode(),
                "policy": self.policy.decode(),
                "nextRoot": _text(self.next_root),
                "nextTargets": _text(self.next_targets),
                "nextPolicy": _text(self.next_policy),
                "signatures": signatures,
            }
        )

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Reads such a file; raises MalformedError, and nothing else."""
        fields = Fields(parse_canonical(data, max_bytes=MAX_BYTES), "ceremony file")
        fields.literal("format", FORMAT)

        def text(name: str) -> bytes:
            return fields.text(name, max_bytes=MAX_BYTES).encode()

        roots = fields.items("roots", minimum=1, maximum=MAX_ROOTS)
        if not all(isinstance(root, str) for root in roots):
            raise MalformedError("the roots of a ceremony file are texts")
        made = cls(
            tuple(str(root).encode() for root in roots),
            text("targets"),
            text("policy"),
            fields.nullable("nextRoot", text),
            fields.nullable("nextTargets", text),
            fields.nullable("nextPolicy", text),
            tuple(_read_signature(item) for item in fields.objects("signatures")),
        )
        fields.close()
        if made.next_root is None and made.next_targets is None:
            raise MalformedError("a ceremony file proposes a root, a policy, or both")
        if (made.next_targets is None) != (made.next_policy is None):
            raise MalformedError("a ceremony file proposes a policy with the targets role that names it")
        return made

    def opened(self) -> "Opened":
        """What it proposes, checked: the chain of roots, what is in force, what follows, and every signature so far.

        Raises MalformedError, AuthorityError (too few signed what is in force, or a stranger signed this),
        SignatureError (the file was edited, or the signature is of another one) or StaleError.
        """
        from trustrag import _tuf

        root = _tuf.parse_chain(self.roots)[-1]
        targets, policy = _tuf.parse_targets(self.targets, root), Policy.parse(self.policy)
        _require_named(targets, self.policy)
        next_root = None if self.next_root is None else _tuf.parse_signed(_tuf.Root, self.next_root)
        next_targets, next_policy = None, policy
        if self.next_targets is not None and self.next_policy is not None:
            next_targets, next_policy = (
                _tuf.parse_signed(_tuf.Targets, self.next_targets),
                Policy.parse(self.next_policy),
            )
            _require_named(next_targets, self.next_policy)
        made = Opened(self, root, targets, policy, next_root, next_targets, next_policy)
        made.require_following()
        for one in self.signatures:
            made.require_signature(one)
        return made


@dataclass(frozen=True, slots=True)
class Opened:
    """A proposal whose bytes are consistent and whose signatures hold. Whether they are enough, `missing` tells."""

    proposal: Proposal
    root: "Root" = field(repr=False)
    targets: "Targets" = field(repr=False)
    policy: Policy
    next_root: "Root | None" = field(repr=False)
    next_targets: "Targets | None" = field(repr=False)
    next_policy: Policy

    def require_following(self) -> None:
        """Raises MalformedError or StaleError unless each part follows what is in force, one version on."""
        for now, then in ((self.root, self.next_root), (self.targets, self.next_targets)):
            if then is not None and then.version != now.version + 1:
                raise StaleError(
                    Refusal.ROLLBACK, f"{then.type} version {then.version} does not follow {now.version}"
                )
        same = self.next_policy.digest == self.policy.digest
        if not same and self.next_policy.version <= self.policy.version:
            raise StaleError(
                Refusal.ROLLBACK,
                f"policy version {self.next_policy.version} does not follow {self.policy.version}",
            )
        if self.next_policy.context != self.policy.context:
            raise AuthorityError(Refusal.WRONG_CONTEXT, "the proposed policy is of another store")
        trustroot.require_separate_keys(
            [key for role in trustroot.ROLES for key in self.keys_of(role)], self.next_policy
        )

    def require_extends(self, seen: SeenState) -> None:
        """Raises StaleError unless this goes on from what was seen before: FORK for another root, ROLLBACK for an older."""
        from trustrag import _tuf

        there = {"root": self.root.version, "targets": self.targets.version, "policy": self.policy.version}
        for name, version in there.items():
            if version < seen.trust.get(name, 0):
                raise StaleError(
                    Refusal.ROLLBACK,
                    f"this file goes on from {name} version {version}, and version {seen.trust[name]} was seen here",
                )
        if seen.root is not None:
            pinned = _tuf.message(_tuf.parse_root(seen.root))
            chain = [_tuf.message(root) for root in _tuf.parse_chain(self.proposal.roots)]
            if pinned not in chain:
                raise StaleError(
                    Refusal.FORK,
                    "this file does not go on from the root that was pinned here: it is of another trust root",
                )

    def first_keys(self) -> list[str]:
        """The ids of the keys that signed the first root here, which all the others follow."""
        from trustrag import _tuf

        return [key.key_id for key in _tuf.role_keys(_tuf.parse_root(self.proposal.roots[0]), "root")]

    def keys_of(self, role: str) -> tuple[PublicKey, ...]:
        """The keys that the root in force, or the proposed one, names for a role."""
        from trustrag import _tuf

        roots = [self.root, *([self.next_root] if self.next_root is not None else [])]
        return tuple(dict.fromkeys(key for root in roots for key in _tuf.role_keys(root, role)))

    def parts(self) -> dict[Part, bytes]:
        """What is to be signed."""
        proposed: dict[Part, bytes | None] = {
            "root": self.proposal.next_root,
            "targets": self.proposal.next_targets,
        }
        return {part: data for part, data in proposed.items() if data is not None}

    def require_signature(self, one: Signature) -> None:
        """Raises AuthorityError for a stranger's, SignatureError for one over other bytes."""
        data = self.parts().get(one.part)
        if data is None or one.key not in self.keys_of(one.part):
            raise AuthorityError(
                Refusal.UNKNOWN_KEY, f"key {one.key.key_id[:16]} has no say in the {one.part} role"
            )
        try:
            one.key.verify(data, one.signature)
        except SignatureError:
            raise SignatureError(
                f"key {one.key.key_id[:16]} signed another {one.part} than this one: the file was edited after it was "
                "signed, or the signature was taken from elsewhere"
            ) from None

    def mine(self, find: Find) -> list[tuple[Part, bytes, Signer]]:
        """What our keys have a say in and did not sign yet. Raises AuthorityError where they have none, ConflictError where
        they signed it all.
        """
        say = [
            (part, data, signer)
            for part, data in self.parts().items()
            for key in self.keys_of(part)
            if (signer := find(key)) is not None
        ]
        if not say:
            raise AuthorityError(Refusal.UNKNOWN_KEY, "none of the keys held here has a say in this")
        known = {(one.part, one.key) for one in self.proposal.signatures}
        new = [(part, data, signer) for part, data, signer in say if (part, signer.public_key) not in known]
        if not new:
            raise ConflictError("this was signed with the keys that are held here already")
        return new

    def signed(self, find: Find) -> Proposal:
        """The file with the word of each of our keys that has a say. Raises as `mine`."""
        new = [
            Signature(part, signer.public_key, signer.sign(data)) for part, data, signer in self.mine(find)
        ]
        return replace(self.proposal, signatures=(*self.proposal.signatures, *new))

    def tally(self) -> Iterator[tuple[str, int, int]]:
        """(what, signatures there, signatures asked for) of each part, under each root that has a say."""
        from trustrag import _tuf

        roots = {"in force": self.root} | ({} if self.next_root is None else {"proposed": self.next_root})
        for part in self.parts():
            by = {one.key for one in self.proposal.signatures if one.part == part}
            for which, root in roots.items():
                # A policy has to hold under the root that follows; under the one in force it only bridges a crash.
                if part == "targets" and self.next_root is not None and which == "in force":
                    continue
                have = len(by & set(_tuf.role_keys(root, part)))
                yield f"{part}, by the root {which}", have, root.roles[part].threshold

    def missing(self) -> list[str]:
        """Whose signatures are still missing, in words; empty when there are enough."""
        return [f"{what}: {have} of {takes}" for what, have, takes in self.tally() if have < takes]

    def made(self) -> trustroot.SignedElsewhere:
        """What can be put in force. Raises AuthorityError (BELOW_THRESHOLD) while signatures are missing."""
        from trustrag import _tuf

        if missing := self.missing():
            raise AuthorityError(
                Refusal.BELOW_THRESHOLD, f"signatures are missing: {'; '.join(missing)} (trustrag root sign)"
            )
        by: Mapping[Part, list[tuple[PublicKey, bytes]]] = {"root": [], "targets": []}
        for one in sorted(self.proposal.signatures):
            by[one.part].append((one.key, one.signature))
        return trustroot.SignedElsewhere(
            base_root=self.proposal.roots[-1],
            base_targets=self.proposal.targets,
            root=None if self.next_root is None else _tuf.assembled(self.next_root, by["root"]),
            targets=None if self.next_targets is None else _tuf.assembled(self.next_targets, by["targets"]),
            policy=self.proposal.next_policy or self.proposal.policy,
        )


@dataclass(frozen=True, slots=True)
class RootChange:
    """What the next root does to the keys of its roles: keys that come, keys that go, and thresholds."""

    add: Mapping[str, Sequence[PublicKey]] = field(default_factory=dict)
    remove: Sequence[PublicKey] = ()
    thresholds: Mapping[str, int] = field(default_factory=dict)

    def keys(self, role: trustroot.TrustRole) -> list[PublicKey]:
        """The keys that the role has afterwards. Raises ConflictError for one that it has already."""
        new = self.add.get(role.role, ())
        if twice := set(new) & set(role.keys):
            raise ConflictError(f"key {min(twice).key_id[:16]} is one of the {role.role} role already")
        return [key for key in role.keys if key not in self.remove] + list(new)


def propose(
    trust: trustroot.TrustRoot,
    *,
    root: RootChange | None = None,
    policy: Policy | None = None,
    now: int,
) -> Proposal:
    """A proposal that follows what is in force; signed by nobody yet.

    A root that changes who signs policies is proposed together with the policy in force, since that has to be signed
    anew. Raises NotFoundError for a key to remove that no role has, MalformedError for a root that cannot be.
    """
    from trustrag import _tuf

    lifetimes = trustroot.Lifetimes()
    metadata = trust.folder / "metadata"
    versions = sorted(int(path.name.split(".")[0]) for path in metadata.glob("[0-9]*.root.json"))
    roots = [(metadata / f"{n}.root.json").read_bytes() for n in versions if n < trust.versions["root"]]
    targets = (metadata / f"{trust.versions['targets']}.targets.json").read_bytes()
    base = _tuf.parse_chain([*roots, trust.root])[-1]
    next_root, next_policy = None, None if policy is None else policy.encode()
    if root is not None:
        known = {key for role in trust.roles for key in role.keys}
        if strangers := set(root.remove) - known:
            raise NotFoundError(f"no role of the trust root has key {min(strangers).key_id[:16]}")
        keys = {role.role: root.keys(role) for role in trust.roles}
        thresholds = {role.role: root.thresholds.get(role.role, role.threshold) for role in trust.roles}
        next_root = _tuf.message(_tuf.changed_root(base, keys, thresholds, now + lifetimes.root))
        before = {role.role: (set(role.keys), role.threshold) for role in trust.roles}["targets"]
        if next_policy is None and (set(keys["targets"]), thresholds["targets"]) != before:
            next_policy = trust.policy.encode()
    next_targets = None
    if next_policy is not None:
        in_force = _tuf.parse_targets(targets, base)
        next_targets = _tuf.message(_tuf.next_targets(in_force, next_policy, now + lifetimes.targets))
    made = Proposal(
        (*roots, trust.root), targets, trust.policy.encode(), next_root, next_targets, next_policy
    )
    made.opened()
    return made


def keep(proposal: Proposal, store: str) -> Path:
    """Write what waits for others to sign to this user's own folder; returns where."""
    folder = home() / "ceremonies" / store
    make_folder(folder.parent, mode=0o700)
    make_folder(folder, mode=0o700)
    path = folder / f"policy-{Policy.parse(proposal.next_policy or proposal.policy).version}.json"
    write_whole(path, proposal.encode())
    return path


def merged(proposals: Sequence[Proposal]) -> Proposal:
    """Copies of one proposal that several signed apart, as one. Raises ConflictError for copies of different ones."""
    first = proposals[0]
    for other in proposals[1:]:
        if replace(other, signatures=()) != replace(first, signatures=()):
            raise ConflictError("these files propose different things: give copies of one")
    signatures = sorted({one for proposal in proposals for one in proposal.signatures})
    return replace(first, signatures=tuple(signatures))


def _require_named(targets: "Targets", policy: bytes) -> None:
    from trustrag import _tuf

    if _tuf.policy_digest(targets) != Digest.of(policy):
        raise SignatureError(f"targets version {targets.version} names another policy than the one beside it")


def _text(data: bytes | None) -> str | None:
    return None if data is None else data.decode()


def _read_signature(fields: Fields) -> Signature:
    part = fields.text("part")
    if part not in ("root", "targets"):
        raise MalformedError(f"nobody signs a {part!r} in a ceremony")
    made = Signature(
        "root" if part == "root" else "targets",
        PublicKey.parse(fields.text("key")),
        bytes_from_hex(fields.text("signature"), SIGNATURE_SIZE),
    )
    fields.close()
    return made
