"""The policy in force and the keys held here.

Opens the trust root again whenever its files change, so that a revoked key or a suspended source is silent at the
next question in every process; publishes new policies; hands out signers by what the policy lets them do.
"""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Literal

from trustrag import trustroot
from trustrag.authority import ceremony
from trustrag.authority.keys import named_keys
from trustrag.authority.words import key_name, moved_to, parsed_key, thousandths
from trustrag.errors import (
    AuthorityError,
    ConfigError,
    ConflictError,
    MalformedError,
    NotFoundError,
    Refusal,
)
from trustrag.files import stamp_of
from trustrag.keyring import UNSAID, Keyring, SeenState, UserState, chosen_passphrase
from trustrag.provenance.keys import PublicKey, Signer
from trustrag.provenance.names import check_segment
from trustrag.provenance.policy import Bounds, Log, Policy, PolicyKey, Reviewers, Role, Source
from trustrag.provenance.statement import Context

SNAPSHOT_LIFETIME = 365 * 86_400
"""Seconds for which a snapshot may be served. Every ingest makes a new one; `trustrag keys refresh` renews."""

_WARN_BEFORE = 14 * 86_400
_ROLES = ("ingest", "screen", "seal", "answer", "log")


@dataclass(frozen=True, slots=True)
class KeyFact:
    """One key: what it is for, its id and public half (hex), when its role expires (unix seconds), whether it is here.

    A key of the policy, from which log index to which it speaks, whether it was revoked, and why it ended.
    """

    purpose: str
    key: str
    public: str
    expires: int | None
    held: bool
    first_valid_index: int = 0
    last_valid_index: int | None = None
    revoked: bool = False
    reason: str | None = None


class Authority:
    """The policy in force and the keys held here. Thread-safe."""

    def __init__(
        self,
        store: str,
        keys_folder: Path,
        *,
        workspace: Path,
        clock: Callable[[], int],
        ask_passphrase: Callable[[], bytes] | None = None,
        keyring: Keyring | None = None,
    ) -> None:
        """`workspace` is where no private key may lie; `keyring` is given by whoever just made it."""
        self.keys_folder = keys_folder
        self.memory = UserState(store)
        self._store = store
        self._apart_from = (workspace, keys_folder)
        self._clock = clock
        self._ask = ask_passphrase
        self._keyring = keyring
        self._lock = threading.RLock()
        self._opened: tuple[object, trustroot.TrustRoot] | None = None

    @classmethod
    def found(
        cls,
        context: Context,
        keys_folder: Path,
        keyring: Keyring,
        source: str,
        workspace: Path,
        clock: Callable[[], int],
    ) -> "Authority":
        """Make keys, a first policy with one source, and the trust root that distributes it."""
        made = cls(context.store, keys_folder, workspace=workspace, clock=clock, keyring=keyring)
        signers = {role: keyring.generate(role) for role in _ROLES}
        policy = Policy(
            version=1,
            context=context,
            issued_at=clock(),
            log=Log(context.store, (PolicyKey(signers["log"].public_key),)),
            ingest=_role(signers["ingest"]),
            screen=_role(signers["screen"]),
            review=Reviewers(),
            seal=_role(signers["seal"]),
            answer=_role(signers["answer"]),
            sources=(made._source(context, source),),
            snapshot_age=SNAPSHOT_LIFETIME,
            standing=Bounds(),
        )
        roles = {role: (keyring.generate(f"trust-{role}"),) for role in trustroot.ROLES}
        made._believe(trustroot.create_trust_root(keys_folder, policy, roles, now=clock()))
        return made

    @classmethod
    def outside(
        cls,
        keys_folder: Path,
        *,
        clock: Callable[[], int],
        ask_passphrase: Callable[[], bytes] | None = None,
    ) -> "Authority":
        """What the public trust root alone tells: for a source, or a reader, who has nothing else of the store."""
        store = _open(keys_folder, clock(), SeenState()).policy.context.store
        return cls(store, keys_folder, workspace=keys_folder, clock=clock, ask_passphrase=ask_passphrase)

    # ---- the trust root

    @property
    def policy(self) -> Policy:
        """Who may say what, today: see `trust_root`."""
        return self.trust_root().policy

    def trust_root(self) -> trustroot.TrustRoot:
        """The verified trust root, opened anew when its files have changed, or when it has expired since.

        Raises what `TrustRoot.open` raises; in particular `StaleError` for one older than what was seen before.
        """
        with self._lock:
            now, stamp = self._clock(), _stamp(self.keys_folder)
            if self._opened is None or self._opened[0] != stamp or self._opened[1].expires <= now:
                root = _open(self.keys_folder, now, self._seen())
                self._believe(root)
                # The stamp of before they were read: files that change meanwhile have another, and are read again.
                self._opened = stamp, root
            return self._opened[1]

    def refresh(self, *, root: bool = False, force: bool = False) -> dict[str, int]:
        """Renew the roles that are due (all but root with `force`, root too with `root`); returns each role's expiry.

        Opens what has expired already. Needs the keys of those roles here; without them what is not due stays.
        """
        with self._lock:
            if root:
                seen = self._seen()
                self._believe(
                    trustroot.refresh_root(
                        self.keys_folder, self.keyring, now=self._clock(), pinned=seen.root, seen=seen.trust
                    )
                )
            seen = self._seen()
            made = trustroot.refresh(
                self.keys_folder,
                self.keyring,
                now=self._clock(),
                pinned=seen.root,
                seen=seen.trust,
                force=force,
            )
            self._believe(made)
            return {role.role: role.expires for role in made.roles}

    def notices(self) -> list[str]:
        """What a careful operator wants to be told: a first use, and what is about to expire."""
        root, found = self.trust_root(), []
        if root.first_use:
            found.append(
                "this trust root is seen here for the first time, or the memory of it was lost: it is believed as it is; "
                "compare its root key with the publisher's (trustrag keys list)"
            )
        soon = [role.role for role in root.roles if role.expires - self._clock() < _WARN_BEFORE]
        if soon:
            found.append(
                f"the trust root's {', '.join(soon)} expires within two weeks: trustrag keys refresh"
            )
        return found

    def _seen(self) -> SeenState:
        return self.memory.read() or SeenState()

    def _believe(self, root: trustroot.TrustRoot) -> None:
        """Remember what was seen of this store. What was seen is filed under the id in `trustrag.toml`, which anybody
        may have edited: another id there would make an old copy look like a first use.
        """
        if root.policy.context.store != self._store:
            raise AuthorityError(
                Refusal.WRONG_CONTEXT,
                f"the trust root in {self.keys_folder} is of store {root.policy.context.store}, and trustrag.toml "
                f"says {self._store}: it has been changed, or keys and workspace do not belong together",
            )
        self.memory.advance(replace(self._seen(), root=root.root, trust=root.versions))
        self._opened = None  # whoever asks next reads the files, which another process may have changed again

    # ---- sources

    def source(self, name: str) -> Source:
        """A source of the policy. Raises `NotFoundError`."""
        for source in self.policy.sources:
            if source.name == name:
                return source
        raise NotFoundError(f"no source {name!r} in the policy; see `trustrag source list`")

    def own_source(self) -> str:
        """The one source whose private key is here. Raises `ConfigError` where that is none or several."""
        held = self.held()
        names = [
            source.name for source in self.policy.sources if any(known.key in held for known in source.keys)
        ]
        if len(names) != 1:
            what = f"several sources ({', '.join(names)})" if names else "no source"
            raise ConfigError(f"the keys of {what} are held here: say which with --source NAME")
        return names[0]

    def add_source(
        self,
        name: str,
        *,
        trust: float = 1.0,
        scope: Sequence[str] = (),
        owner: str | None = None,
        public_key: str | None = None,
        probation: bool = False,
        first_valid_index: int = 0,
    ) -> Source:
        """Let a source publish: see `Workspace.add_source`."""
        self._require_free([name])
        source = self._source(
            self.policy.context, name, trust, scope, owner, public_key, probation, first_valid_index
        )
        self._publish_sources((*self.policy.sources, source))
        return source

    def add_sources(
        self, names: Sequence[str], *, trust: float = 1.0, probation: bool = False, first_valid_index: int = 0
    ) -> tuple[Source, ...]:
        """Let many sources publish, each with a key made here, in one new policy."""
        self._require_free(names)
        context = self.policy.context
        made = tuple(
            self._source(context, name, trust, probation=probation, first_valid_index=first_valid_index)
            for name in names
        )
        self._publish_sources((*self.policy.sources, *made))
        return made

    def set_active(self, name: str, active: bool) -> None:
        """Suspend a source (silent from the next query on) or resume it."""
        if self.source(name).active == active:
            raise ConflictError(f"source {name} is {'active' if active else 'suspended'} already")
        self._publish_sources(
            [replace(s, active=active) if s.name == name else s for s in self.policy.sources]
        )

    def set_standing(self, name: str, *, trust: float | None = None, probation: bool | None = None) -> Source:
        """Say anew how far a source is trusted (0 to 1), or whether it is on probation; what is None stays.

        The new trust is the new prior: how far the record had moved the old one is kept, within the policy's bounds.
        """
        policy, source = self.policy, self.source(name)
        prior = source.prior if trust is None else thousandths(trust)
        said = replace(source, trust=prior, moved=0)
        moved = moved_to(
            said,
            policy.standing.within(prior, prior + source.moved),
            source.probation if probation is None else probation,
        )
        if moved == source:
            raise ConflictError(f"source {name} stands at that already")
        self._publish_sources([moved if one.name == name else one for one in policy.sources])
        return moved

    def reassess(self, moves: Mapping[str, tuple[int, bool]]) -> None:
        """Put these sources at this trust (in thousandths) and on or off probation, in one new policy.

        The operator's own word stays beside it as their prior. Raises `MalformedError` beyond the policy's bounds.
        """
        moved = {name: moved_to(self.source(name), *move) for name, move in moves.items()}
        sources = [moved.get(source.name, source) for source in self.policy.sources]
        if sources != list(self.policy.sources):
            self._publish_sources(sources)

    def set_bounds(self, bounds: Bounds) -> None:
        """How far records may move trust from now on; what was moved further comes back to where they end."""
        sources = [
            moved_to(source, bounds.within(source.prior, source.trust), source.probation)
            for source in self.policy.sources
        ]
        self.publish(replace(self.policy, sources=tuple(sources), standing=bounds))

    def publish(self, changed: Policy) -> None:
        """Put a changed policy in force: as the next version, issued now. Needs the keys of the roles that distribute it.

        Where that takes signatures of others, it is signed with the keys held here and left as a ceremony file: raises
        AuthorityError (BELOW_THRESHOLD), which names the file and what to do with it.
        """
        with self._lock:
            policy = replace(changed, version=self.policy.version + 1, issued_at=self._clock())
            self._require_enough(policy)
            seen = self._seen()
            self._believe(
                trustroot.publish_policy(
                    self.keys_folder,
                    policy,
                    self.keyring,
                    now=self._clock(),
                    pinned=seen.root,
                    seen=seen.trust,
                )
            )

    def _require_enough(self, policy: Policy) -> None:
        """Leave a policy that takes signatures of others as a ceremony file, and raise."""
        trust = self.trust_root()
        (role,) = (role for role in trust.roles if role.role == "targets")
        held = [key for key in role.keys if self.keyring.find(key) is not None]
        if role.threshold == 1 or len(held) >= role.threshold:
            return
        proposal = ceremony.propose(trust, policy=policy, now=self._clock())
        path = ceremony.keep(proposal.opened().signed(self.keyring.find) if held else proposal, self._store)
        raise AuthorityError(
            Refusal.BELOW_THRESHOLD,
            f"a policy takes {role.threshold} signatures, and {len(held)} could be made here: nothing is in force yet. "
            f"The others run `trustrag root sign` on {path}, then you `trustrag root publish` with what they give back",
        )

    def propose_root(self, change: ceremony.RootChange, *, renew: bool = False) -> ceremony.Proposal:
        """The next root, for all to sign who have to: see `ceremony`. `renew` has the policy signed anew as well."""
        trust = self.trust_root()
        policy = trust.policy if renew else None
        return ceremony.propose(trust, root=change, policy=policy, now=self._clock())

    def publish_signed(self, proposal: ceremony.Opened) -> trustroot.TrustRoot:
        """Put in force what several signed. Needs the keys for snapshot and timestamp, before and after, here.

        Raises AuthorityError (BELOW_THRESHOLD) while signatures are missing, and what `trustroot.install` raises.
        """
        with self._lock:
            seen = self._seen()
            proposal.require_extends(seen)
            self._believe(
                trustroot.install(
                    self.keys_folder,
                    proposal.made(),
                    self.keyring,
                    now=self._clock(),
                    pinned=seen.root,
                    seen=seen.trust,
                )
            )
            return self.trust_root()

    def _publish_sources(self, sources: Iterable[Source]) -> None:
        self.publish(replace(self.policy, sources=tuple(sources)))

    def _require_free(self, names: Sequence[str]) -> None:
        taken = {source.name for source in self.policy.sources} & set(names)
        if taken or len(set(names)) != len(names):
            raise ConflictError(f"there is a source named {', '.join(sorted(taken or set(names)))} already")

    def _source(
        self,
        context: Context,
        name: str,
        trust: float = 1.0,
        scope: Sequence[str] = (),
        owner: str | None = None,
        public_key: str | None = None,
        probation: bool = False,
        first_valid_index: int = 0,
    ) -> Source:
        weight = thousandths(trust)
        check_segment(name, "source name")
        here = f"{context.tenant}/{context.collection}"
        for prefix in scope:
            if not f"{prefix}/".startswith(f"{here}/") and not f"{here}/".startswith(f"{prefix}/"):
                what = f"scope {prefix!r} lies outside of {here}: nothing could be published under it; say {here}/..."
                raise ConfigError(what)
        key = parsed_key(public_key) if public_key else self.own_key(key_name("source", name))
        return Source(
            name=name,
            owner=owner,
            keys=(PolicyKey(key, first_valid_index),),
            scope=tuple(scope) or (here,),
            trust=weight,
            probation=probation,
        )

    def own_key(self, name: str) -> PublicKey:
        """A new key; or the one that `new_key`, or a change that was cut short, left under this name."""
        keyring = self.keyring
        return keyring.public_key(name) if name in keyring.names() else keyring.generate(name).public_key

    # ---- keys

    @property
    def keyring(self) -> Keyring:
        """The private keys held here. Raises `ConfigError` where there are none: this user reads, and does not sign."""
        with self._lock:
            if self._keyring is None:
                self._keyring = Keyring.open(self._store, self._ask, apart_from=self._apart_from)
            return self._keyring

    def new_key(
        self, kind: Literal["source", "reviewer"], name: str, passphrase: Callable[[], bytes | None] | None
    ) -> PublicKey:
        """Make the key of a source or reviewer here, for a policy that does not name it yet; returns its public half.

        `passphrase` is called where this is the first key held here for the store; later keys are encrypted as the
        first one is. Where it is None, see `keyring.chosen_passphrase`. Raises `ConfigError` where that one has a key here.
        """
        check_segment(name, f"{kind} name")
        with self._lock:
            if not Keyring.exists(self._store):
                chosen = chosen_passphrase(UNSAID, callers=3) if passphrase is None else passphrase()
                self._keyring = Keyring.create(self._store, chosen, apart_from=self._apart_from)
            return self.keyring.generate(key_name(kind, name)).public_key

    def key_for(self, purpose: str, public_key: str | None) -> PublicKey:
        """A key that is nobody's yet, for this purpose: the one given (64 hex digits), or one that is made here.

        One that a rotation made, and that was cut short before its policy was in force, is used.
        """
        if public_key is not None:
            return parsed_key(public_key)
        kind, _, name = purpose.partition(" ")
        base = key_name(kind, name) if name else kind
        taken = {fact.public for fact in self.key_facts()}
        made = (self.own_key(f"{base}-{number}") for number in count(2))
        return next(key for key in made if key.hex not in taken)

    def source_signer(self, name: str) -> Signer:
        """The signer of a source, by the key that the policy names for it.

        A source that the policy at hand does not name yet signs with the key that was made for it here: whether it may
        speak is decided where its documents are taken in.
        """
        known = {source.name: source for source in self.policy.sources}
        made = key_name("source", name)
        if name not in known and made in self.keyring.names():
            return self.keyring.signer(made)
        return self.signer(self.source(name).keys, f"sign as source {name}")

    def signer(self, keys: Sequence[PolicyKey], purpose: str) -> Signer:
        """The signer of one of these keys that is held here and may still speak. Raises `ConfigError`."""
        # The newest first: where one was added before the older is retired, it takes over at once.
        for known in sorted(keys, key=lambda known: known.first_valid_index, reverse=True):
            held = self.keyring.find(known.key) if known.speaks else None
            if held is not None:
                return held
        raise ConfigError(f"no key that may {purpose} is held in {self.keyring.folder}")

    def key_facts(self) -> list[KeyFact]:
        """Every key of trust root and policy."""
        root, held = self.trust_root(), self.held()
        return [
            KeyFact(f"trust {role.role}", key.key_id, key.hex, role.expires, key in held)
            for role in root.roles
            for key in role.keys
        ] + [
            KeyFact(
                named.purpose, named.known.key.key_id, named.known.key.hex, None, named.known.key in held,
                named.known.first_valid_index, named.known.last_valid_index, named.known.revoked, named.known.reason,
            )
            for named in named_keys(root.policy)
        ]  # fmt: skip

    def held(self) -> set[PublicKey]:
        """The public halves of the keys held here."""
        try:
            keyring = self.keyring
        except ConfigError:
            return set()
        return {keyring.public_key(name) for name in keyring.names()}


def _open(folder: Path, now: int, seen: SeenState) -> trustroot.TrustRoot:
    try:
        return trustroot.TrustRoot.open(folder, now, pinned=seen.root, seen=seen.trust)
    except MalformedError as error:
        raise MalformedError(f"the trust root in {folder}: {error}") from error


def _role(signer: Signer) -> Role:
    return Role((PolicyKey(signer.public_key),))


def _stamp(keys_folder: Path) -> object:
    """What changes when the trust root does: `timestamp.json` is replaced, last of all, by every writer."""
    return stamp_of(keys_folder / "metadata" / "timestamp.json")
