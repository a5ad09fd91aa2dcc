"""Keys over time: what it makes of a policy when a key is rotated, retired or revoked. Pure: a policy in, a policy out.

    rotate   a new key may speak from the next log index on; the one before it, up to the last entry there is
    retire   a key may sign nothing more; what it signed in time still counts
    revoke   nothing that it ever signed counts, from the next query on; nothing has to be indexed again

Where a key ends is a place in the log, never a date: whoever stole a key writes any date he likes into what he signs,
and cannot write into the past of an append-only log. Ended keys stay in the policy, with the reason: what they signed
is still in the log, and has to be told apart from what nobody signed.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from trustrag.errors import ConfigError, ConflictError, NotFoundError
from trustrag.provenance.keys import PublicKey
from trustrag.provenance.policy import Policy, PolicyKey

OPERATOR: Final = ("ingest", "screen", "seal", "answer", "log")
"""The operator's purposes: the store does not go on without a key for each."""

SOURCE: Final = "source "
REVIEWER: Final = "reviewer "
WITNESS: Final = "witness "

_Change = Callable[[tuple[PolicyKey, ...]], tuple[PolicyKey, ...]]


@dataclass(frozen=True, slots=True)
class NamedKey:
    """A key of the policy and what it is for: one of `OPERATOR`, `source NAME`, `reviewer NAME` or `witness NAME`."""

    purpose: str
    known: PolicyKey


def named_keys(policy: Policy) -> Iterator[NamedKey]:
    """Every key that the policy names, also those that ended."""
    groups = (
        ("ingest", policy.ingest.keys),
        ("screen", policy.screen.keys),
        ("seal", policy.seal.keys),
        ("answer", policy.answer.keys),
        ("log", policy.log.keys),
        *((REVIEWER + person.name, person.keys) for person in policy.review.people),
        *((SOURCE + source.name, source.keys) for source in policy.sources),
        *((WITNESS + witness.name, (witness.key,)) for witness in policy.witnesses),
    )
    return (NamedKey(purpose, known) for purpose, keys in groups for known in keys)


def find_key(policy: Policy, prefix: str) -> NamedKey:
    """The one key whose id begins so, or that is this public key. Raises NotFoundError where it is none, or several."""
    found = [
        named
        for named in named_keys(policy)
        if prefix and (named.known.key.key_id.startswith(prefix) or named.known.key.hex == prefix)
    ]
    if len(found) != 1:
        what = "no key of the policy begins" if not found else f"{len(found)} keys of the policy begin"
        raise NotFoundError(f"{what} with {prefix!r}: see `trustrag keys list`")
    return found[0]


def of_purpose(policy: Policy, purpose: str) -> tuple[PolicyKey, ...]:
    """The keys of a purpose, as in `NamedKey`. Raises NotFoundError for one that the policy does not know."""
    found = tuple(named.known for named in named_keys(policy) if named.purpose == purpose)
    if not found and purpose not in OPERATOR:
        raise NotFoundError(f"no {purpose} in the policy; see `trustrag keys list`")
    return found


def rotated(
    policy: Policy, purpose: str, key: PublicKey, *, size: int, replaces: PublicKey | None = None, reason: str
) -> Policy:
    """The policy in which `key` speaks from log index `size` on, and what it replaces does not any more.

    `size` is how many entries the log has. Where several keys of the purpose speak, `replaces` says which one goes.
    Raises ConfigError without it, and for a witness; MalformedError for a key that is in the policy already.
    """
    if purpose.startswith(WITNESS):
        raise ConfigError(
            "a witness is its name and its key: add the new one as a witness of its own, wait until it cosigned, "
            "and retire the old key"
        )
    speaking = [known for known in of_purpose(policy, purpose) if known.speaks]
    if replaces is None and len(speaking) > 1:
        names = ", ".join(known.key.key_id[:16] for known in speaking)
        raise ConfigError(f"several keys speak for {purpose} ({names}): say which one is replaced")
    gone = {known.key for known in speaking if replaces in (None, known.key)}
    if replaces is not None and not gone:
        raise NotFoundError(f"key {replaces.key_id[:16]} does not speak for {purpose}")

    def change(keys: tuple[PolicyKey, ...]) -> tuple[PolicyKey, ...]:
        # One whose time had not come signed nothing, and need not be remembered.
        kept = [
            _retired(known, size, reason) if known.key in gone else known
            for known in keys
            if known.key not in gone or known.first_valid_index < size
        ]
        return (*kept, PolicyKey(key, first_valid_index=size))

    return _with_keys(policy, purpose, change)


def retired(policy: Policy, named: NamedKey, *, size: int, reason: str) -> Policy:
    """The policy in which this key signs nothing at log index `size` or after it.

    Raises ConflictError for one that ended already, that never signed, or without which the store could not go on.
    """
    known = named.known
    if not known.speaks:
        raise ConflictError(f"key {known.key.key_id[:16]} is {_how(known)} already")
    if known.first_valid_index >= size:
        raise ConflictError(f"key {known.key.key_id[:16]} has signed nothing yet: revoke it")
    if is_last(policy, named):
        raise ConflictError(
            f"key {known.key.key_id[:16]} is the last one that may {named.purpose}: rotate it instead"
        )
    return _with_one(policy, named, _retired(known, size, reason))


def revoked(policy: Policy, named: NamedKey, *, reason: str) -> Policy:
    """The policy in which nothing that this key ever signed counts. Raises ConflictError for one that is revoked."""
    if named.known.revoked:
        raise ConflictError(f"key {named.known.key.key_id[:16]} is revoked already")
    return _with_one(policy, named, replace(named.known, revoked=True, reason=reason))


def is_last(policy: Policy, named: NamedKey) -> bool:
    """Whether this is the only key left that may still speak for one of the operator's purposes."""
    speaking = [known for known in of_purpose(policy, named.purpose) if known.speaks]
    return named.purpose in OPERATOR and speaking == [named.known]


def ended_by(before: Policy, after: Policy) -> Iterator[tuple[NamedKey, PolicyKey]]:
    """The keys that speak in `before` and are retired in `after`: as they were, and as they are."""
    now = {named.known.key: named.known for named in named_keys(after)}
    for named in named_keys(before):
        known = now.get(named.known.key)
        if named.known.speaks and known is not None and known.last_valid_index is not None:
            yield named, known


def _retired(known: PolicyKey, size: int, reason: str) -> PolicyKey:
    return replace(known, last_valid_index=size - 1, reason=reason)


def _how(known: PolicyKey) -> str:
    return "revoked" if known.revoked else "retired"


def _with_one(policy: Policy, named: NamedKey, changed: PolicyKey) -> Policy:
    return _with_keys(
        policy,
        named.purpose,
        lambda keys: tuple(changed if known.key == changed.key else known for known in keys),
    )


def _with_keys(policy: Policy, purpose: str, change: _Change) -> Policy:
    """The policy with other keys for this purpose."""
    match purpose:
        case "ingest":
            return replace(policy, ingest=replace(policy.ingest, keys=change(policy.ingest.keys)))
        case "screen":
            return replace(policy, screen=replace(policy.screen, keys=change(policy.screen.keys)))
        case "answer":
            return replace(policy, answer=replace(policy.answer, keys=change(policy.answer.keys)))
        case "seal":
            return replace(policy, seal=replace(policy.seal, keys=change(policy.seal.keys)))
        case "log":
            return replace(policy, log=replace(policy.log, keys=change(policy.log.keys)))
    sources = [
        replace(source, keys=change(source.keys)) if purpose == SOURCE + source.name else source
        for source in policy.sources
    ]
    witnesses = [
        replace(witness, key=change((witness.key,))[0]) if purpose == WITNESS + witness.name else witness
        for witness in policy.witnesses
    ]
    people = [
        replace(person, keys=change(person.keys)) if purpose == REVIEWER + person.name else person
        for person in policy.review.people
    ]
    review = replace(policy.review, people=tuple(people))
    return replace(policy, sources=tuple(sources), witnesses=tuple(witnesses), review=review)
