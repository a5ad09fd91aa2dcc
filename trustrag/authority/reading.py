"""What a ceremony asks to be signed, in words: who comes, who goes, how many have to agree, until when, and what changes."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from trustrag import trustroot
from trustrag.authority.ceremony import Opened
from trustrag.errors import MalformedError
from trustrag.provenance.canonical import Json, parse, rfc3339
from trustrag.provenance.keys import PublicKey
from trustrag.provenance.policy import MAX_POLICY_BYTES, Policy

if TYPE_CHECKING:
    from trustrag._tuf import Root

_UNSAID = frozenset({"version", "issuedAt"})


def described(proposal: Opened) -> list[str]:
    """Lines for whoever is about to sign: first what it is of, then each change."""
    lines = [f"store {proposal.policy.context.store}"]
    if proposal.next_root is not None:
        lines += _of_root(proposal.root, proposal.next_root)
    if proposal.next_targets is not None:
        lines += _of_policy(proposal)
    lines += [f"signatures, {what}: {have} of {takes}" for what, have, takes in proposal.tally()]
    return lines


def _of_root(before: "Root", after: "Root") -> Iterator[str]:
    from trustrag import _tuf

    until = rfc3339(_tuf.seconds(after.expires))
    yield f"trust root version {before.version} -> {after.version}, until {until}"
    changes = []
    for role in trustroot.ROLES:
        old, new = _tuf.role_keys(before, role), _tuf.role_keys(after, role)
        changes += [f"  {role}: + key {key.key_id} ({key.hex})" for key in new if key not in old]
        changes += [f"  {role}: - key {key.key_id}" for key in old if key not in new]
        rule = f"{after.roles[role].threshold} of {len(new)}"
        was = f"{before.roles[role].threshold} of {len(old)}"
        if rule != was:
            changes.append(f"  {role}: {was} -> {rule} keys have to sign")
    yield from changes or ["  the same keys and thresholds: it is only renewed"]


def _of_policy(proposal: Opened) -> Iterator[str]:
    from trustrag import _tuf

    assert proposal.next_targets is not None
    until = rfc3339(_tuf.seconds(proposal.next_targets.expires))
    yield f"policy version {proposal.policy.version} -> {proposal.next_policy.version}, until {until}"
    old, new = _flat_policy(proposal.policy), _flat_policy(proposal.next_policy)
    changes = []
    for path in sorted({*old, *new}):
        match old.get(path), new.get(path):
            case (None, str() as now):
                changes.append(f"  + {path} = {now}")
            case (str() as was, None):
                changes.append(f"  - {path} = {was}")
            case (was, now) if was != now:
                changes.append(f"  {path}: {was} -> {now}")
    yield from changes or ["  the same policy: it is only signed anew"]


def _flat_policy(policy: Policy) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in _object(parse(policy.encode(), max_bytes=MAX_POLICY_BYTES)).items():
        if name not in _UNSAID:
            found.update(_flat(value, name))
    return found


def _flat(value: Json, path: str) -> Iterator[tuple[str, str]]:
    """(path, value) of each leaf. What has a name or a key is found by it, not by its place in a list."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name not in ("name", "key"):
                yield from _flat(inner, f"{path}.{name}")
    elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        for item in value:
            fields = _object(item)
            named = "name" in fields
            name = str(fields["name"]) if named else PublicKey.parse(str(fields["key"])).key_id[:16]
            yield from _flat(item, f"{path}[{name}]")
            if named and "key" in fields:
                yield f"{path}[{name}].key", str(fields["key"])
    else:
        yield path, repr(value) if isinstance(value, str) else str(value)


def _object(value: Json) -> dict[str, Json]:
    if not isinstance(value, dict):
        raise MalformedError("a policy is an object of objects")
    return value
