"""Custody of a store's keys: rotate, retire and revoke them, under the writer's lock and in an order that can die anywhere.

Between reading how long the log is and putting the policy in force nobody may append, or what was appended would be
signed by a key whose time is over. So all of it holds the writer's lock.

Rotating a key is two writes: the policy, then a snapshot sealed under it. If we die between the two, the head is still
the old one, and still good: its signers are valid up to it, and the next writer seals with the new keys.

Revoking the key that sealed the head, or signed the log, is three: the policy in which it is *retired*, a snapshot by
its successor, and only then the policy in which it is *revoked*. In one step the head itself would be silenced, and
dying after it would leave a store that answers nothing. If we die before the last step, the key is retired and not
revoked: the same command, run again, goes on from there.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from trustrag.authority.ceremony import Opened as Proposed
from trustrag.authority.ceremony import RootChange
from trustrag.authority.keys import (
    OPERATOR,
    REVIEWER,
    SOURCE,
    NamedKey,
    ended_by,
    find_key,
    is_last,
    of_purpose,
    retired,
    revoked,
    rotated,
)
from trustrag.authority.words import parsed_key
from trustrag.errors import (
    AuthorityError,
    ConfigError,
    ConflictError,
    NotFoundError,
    SignatureError,
    StaleError,
)
from trustrag.files import write_whole
from trustrag.ledger import Ledger
from trustrag.provenance.evidence import accept_head
from trustrag.provenance.keys import PublicKey
from trustrag.provenance.policy import Policy
from trustrag.trustroot import TrustRole
from trustrag.workspace.opened import Opened


@dataclass(frozen=True, slots=True)
class KeyChange:
    """What was done: to which key of which purpose (key ids), who speaks instead, and under which policy."""

    purpose: str
    key: str | None
    successor: str | None
    policy: int
    log_size: int


ROTATED = "rotated"
"""The reason of a rotation that needs none."""


class Custody:
    """The keys of an open workspace, over time."""

    def __init__(self, opened: Opened) -> None:
        self._opened = opened
        self._authority = opened.authority

    def rotate(
        self,
        purpose: str = "",
        *,
        source: str | None = None,
        reviewer: str | None = None,
        public_key: str | None = None,
        replaces: str | None = None,
        reason: str = ROTATED,
    ) -> KeyChange:
        """A new key for `ingest`, `screen`, `seal`, `answer`, `log`, a `source` or a `reviewer`, from the next log entry on.

        The one before it keeps what it signed. The new private key is made here, unless `public_key` (64 hex digits)
        is the public half of one that is elsewhere. `replaces` (a key id, or the first
        digits of one) says which key goes where several speak.
        """
        if purpose and purpose not in OPERATOR:
            raise ConfigError(self._no_purpose(purpose))
        for kind, name in ((SOURCE, source), (REVIEWER, reviewer)):
            purpose = kind + name if name is not None else purpose
        if public_key is not None and purpose in OPERATOR:
            raise ConfigError(
                f"the key for {purpose} signs here, with every write: it is made here, and not given"
            )
        with self._opened.writing() as ledger:
            policy, size = self._authority.policy, ledger.snapshot().log_size
            gone = None if replaces is None else find_key(policy, replaces).known.key
            before = self._spoke(policy, purpose, gone)
            # If we die after this: a key file that no policy names, and that the next rotation uses.
            key = self._authority.key_for(purpose, public_key)
            self._authority.publish(rotated(policy, purpose, key, size=size, replaces=gone, reason=reason))
            # If we die here: see above.
            self._reseal(ledger, f"key of {purpose} rotated" + ("" if reason == ROTATED else f": {reason}"))
            return self._done(purpose, before, key, ledger)

    def _no_purpose(self, given: str) -> str:
        """What to say instead of a purpose that is none: the name of a source or a reviewer is not one."""
        policy = self._authority.policy
        known = (("source", policy.sources), ("reviewer", policy.review.people))
        kinds = [kind for kind, named in known if given in {one.name for one in named}]
        if kinds:
            return f"{given!r} is a {kinds[0]}: say --{kinds[0]} {given}"
        return f"no key is for {given!r}: say {', '.join(OPERATOR)}, --source NAME or --reviewer NAME"

    def retire(self, key: str, *, reason: str = "retired") -> KeyChange:
        """Let this key sign nothing more; what it signed in time still counts. For the last one of the operator's: rotate."""
        with self._opened.writing() as ledger:
            policy, size = self._authority.policy, ledger.snapshot().log_size
            named = find_key(policy, key)
            self._put(ledger, retired(policy, named, size=size, reason=reason))
            return self._done(named.purpose, named.known.key, None, ledger)

    def revoke(self, key: str, *, reason: str) -> KeyChange:
        """Let nothing that this key ever signed count, from the next query on, in every process.

        Where the operator could not go on without it, a successor is made first. Of a seal or log key, evidence and
        checkpoints that it signed are refused from then on; what stands is sealed anew.
        """
        with self._opened.writing() as ledger:
            named, successor = find_key(self._authority.policy, key), None
            if named.known.revoked:
                raise ConflictError(f"key {named.known.key.key_id[:16]} is revoked already")
            if is_last(self._authority.policy, named):
                successor = self._succeed(named, ledger, reason)
            elif named.purpose in ("seal", "log"):
                # It may have signed the head, which whoever may still sign seals anew.
                self._retire_first(named, ledger, reason)
            named = find_key(self._authority.policy, named.known.key.hex)
            self._put(ledger, revoked(self._authority.policy, named, reason=reason))
            return self._done(named.purpose, named.known.key, successor, ledger)

    def propose(
        self,
        out: Path,
        *,
        add: Sequence[tuple[str, str]] = (),
        remove: Sequence[str] = (),
        thresholds: Sequence[tuple[str, str]] = (),
        rotate: Sequence[str] = (),
        renew: bool = False,
    ) -> None:
        """Write the next trust root to `out` as a ceremony file, for all to sign who have to: see `authority.ceremony`.

        `add` gives roles more keys (role, 64 hex digits), `remove` takes keys away by id, `thresholds` says how many of
        a role have to sign, `rotate` replaces a role's only key by one that is made here, `renew` has the policy in
        force signed anew, too. Raises ConfigError for what cannot be meant.
        """
        trust = self._authority.trust_root()
        roles = {role.role: role for role in trust.roles}
        for role in [*(role for role, _ in (*add, *thresholds)), *rotate]:
            if role not in roles:
                raise ConfigError(f"{role!r} is no role of the trust root: {', '.join(roles)}")
        new = {role: [parsed_key(text) for name, text in add if name == role] for role in roles}
        gone = [key for prefix in remove for key in [_of_roles(trust.roles, prefix)]]
        for role in rotate:
            if len(roles[role].keys) > 1:
                raise ConfigError(f"the {role} role has several keys: say which with --add and --remove")
            gone += roles[role].keys
            # If we die after this: a key file that no root names, and that the next proposal uses.
            new[role].append(self._authority.key_for(f"trust-{role}", None))
        change = RootChange(new, gone, {role: _number(text) for role, text in thresholds})
        proposal = self._authority.propose_root(change, renew=renew)
        try:
            write_whole(out, proposal.encode())
        except OSError as error:
            raise ConfigError(f"{out} cannot be written: {error.strerror}") from error

    def publish(self, proposal: Proposed) -> dict[str, int]:
        """Put in force what several signed; returns the version of each role, and of the policy.

        Raises ConflictError for a policy that would silence what was written while it waited.
        """
        if proposal.next_policy.digest == proposal.policy.digest:
            return self._authority.publish_signed(proposal).versions
        with self._opened.writing() as ledger:
            self.require_harmless(proposal.next_policy, ledger)
            return self._authority.publish_signed(proposal).versions

    def require_harmless(self, changed: Policy, ledger: Ledger) -> None:
        """Raises ConflictError where this policy would silence what was written while it waited to be signed.

        That is the head of the ledger, or an entry that a key signed after the place at which the policy ends it.
        """
        now = self._opened.clock()
        with ledger.view() as view:
            try:
                with suppress(StaleError):  # one that has only expired is sealed anew as ever
                    accept_head(view.head(), changed, now=now)
            except (AuthorityError, SignatureError) as error:
                raise ConflictError(f"under this policy the store would answer nothing: {error}") from error
            size = view.snapshot().log_size
            for named, known in ended_by(self._authority.policy, changed):
                for index in range((known.last_valid_index or 0) + 1, size):
                    if view.envelope(index).key_id == known.key.key_id:
                        raise ConflictError(
                            f"key {known.key.key_id[:16]} of {named.purpose} signed log entry {index} after this was "
                            f"prepared, which ends it at {known.last_valid_index}: prepare it anew"
                        )

    def _succeed(self, named: NamedKey, ledger: Ledger, reason: str) -> PublicKey:
        policy, size = self._authority.policy, ledger.snapshot().log_size
        key = self._authority.key_for(named.purpose, None)
        self._authority.publish(rotated(policy, named.purpose, key, size=size, reason=reason))
        self._reseal(ledger, f"key of {named.purpose} revoked: {reason}")
        return key

    def _retire_first(self, named: NamedKey, ledger: Ledger, reason: str) -> None:
        policy, size = self._authority.policy, ledger.snapshot().log_size
        if named.known.speaks and named.known.first_valid_index < size:
            self._authority.publish(retired(policy, named, size=size, reason=reason))
        self._reseal(ledger, f"key of {named.purpose} revoked: {reason}")

    def _put(self, ledger: Ledger, changed: Policy) -> None:
        self.require_harmless(changed, ledger)
        self._authority.publish(changed)

    def _reseal(self, ledger: Ledger, reason: str) -> None:
        ledger.reseal(self._opened.sealer(), self._opened.clock(), reason=reason)

    def _spoke(self, policy: Policy, purpose: str, gone: PublicKey | None) -> PublicKey | None:
        speaking = [known.key for known in of_purpose(policy, purpose) if known.speaks]
        return gone or (speaking[0] if speaking else None)

    def _done(
        self, purpose: str, key: PublicKey | None, successor: PublicKey | None, ledger: Ledger
    ) -> KeyChange:
        return KeyChange(
            purpose,
            None if key is None else key.key_id,
            None if successor is None else successor.key_id,
            self._authority.policy.version,
            ledger.snapshot().log_size,
        )


def _of_roles(roles: Sequence[TrustRole], prefix: str) -> PublicKey:
    found = {
        key
        for role in roles
        for key in role.keys
        if prefix and prefix in (key.hex, key.key_id[: len(prefix)])
    }
    if len(found) != 1:
        what = (
            "no key of the trust root begins" if not found else f"{len(found)} keys of the trust root begin"
        )
        raise NotFoundError(f"{what} with {prefix!r}: see `trustrag root show`")
    return found.pop()


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 4):
        raise ConfigError(f"a threshold is a number of keys, not {text!r}")
    return int(text)
