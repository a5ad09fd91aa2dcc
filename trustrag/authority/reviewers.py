"""What the policy says of the way in: the people who look at what the screens held, and the contracts with sources.

Their names are signed with their keys, so that whoever reads a passage can be told who approved it. A person has one
voice however many keys they had; that is why one who leaves stays in the policy, with keys that sign nothing more.
"""

from collections.abc import Sequence
from dataclasses import replace

from trustrag.authority.authority import Authority
from trustrag.authority.words import key_name, parsed_key
from trustrag.errors import ConfigError, ConflictError, NotFoundError
from trustrag.provenance.canonical import Digest
from trustrag.provenance.keys import Signer
from trustrag.provenance.policy import PolicyKey, Reviewer


def add_reviewer(
    authority: Authority, name: str, *, public_key: str | None = None, first_valid_index: int = 0
) -> Reviewer:
    """Let a person review, by a key made here or elsewhere (64 hex digits). One who left may come back with a new key.

    Raises `ConflictError` for one who reviews already, and `MalformedError` for a key that has another purpose.
    """
    people = authority.policy.review.people
    known = next((person for person in people if person.name == name), None)
    if known is not None and known.active:
        raise ConflictError(f"{name} reviews here already")
    file = key_name("reviewer", name) + (f"-{len(known.keys) + 1}" if known is not None else "")
    key = PolicyKey(parsed_key(public_key) if public_key else authority.own_key(file), first_valid_index)
    made = Reviewer(name, (*(known.keys if known else ()), key))
    _publish(authority, [*(person for person in people if person.name != name), made])
    return made


def remove_reviewer(authority: Authority, name: str, *, log_size: int) -> Reviewer | None:
    """Let a person approve nothing more from log entry `log_size` on; what they approved stands.

    Returns what is left of them: None where their keys can have signed nothing. Raises `NotFoundError`, and
    `ConflictError` where fewer would be left than the policy asks for.
    """
    person = reviewer(authority, name)
    if not person.active:
        raise ConflictError(f"{name} was removed already")
    policy = authority.policy
    needed = max((policy.review.threshold, *(source.reviews for source in policy.sources)))
    if policy.review.able <= needed:
        raise ConflictError(
            f"reviewers needed: {needed}; in the policy: {policy.review.able}: add another before {name} leaves"
        )
    keys = tuple(key for key in (_retired(key, log_size) for key in person.keys) if key is not None)
    left = Reviewer(name, keys) if keys else None
    others = [one for one in policy.review.people if one.name != name]
    _publish(authority, [*others, *([left] if left else [])])
    return left


def require_reviewers(authority: Authority, count: int, source: str | None = None) -> None:
    """How many people have to approve every document, or what is held of one source.

    Raises `ConflictError` where fewer people review here, and `ConfigError` for a source whose contract says it.
    """
    policy = authority.policy
    if not 0 <= count <= policy.review.able:
        raise ConflictError(
            f"reviewers asked for: {count}; in the policy: {policy.review.able}: trustrag reviewer add"
        )
    if source is None:
        return authority.publish(replace(policy, review=replace(policy.review, threshold=count)))
    if authority.source(source).contract is not None:
        raise ConfigError(f"the contract of {source} says how many: change it there, and sign it again")
    sources = tuple(replace(one, reviews=count) if one.name == source else one for one in policy.sources)
    return authority.publish(replace(policy, sources=sources))


def agree(
    authority: Authority, source: str, contract: Digest, reviews: int, *, probation: bool = False
) -> None:
    """Put a source's contract in force: what it says by its digest, and how many people approve what is held.

    With `probation` the source is put on probation; without, that stays as it is. Raises `NotFoundError`.
    """
    known = authority.source(source)
    said = replace(known, contract=contract, reviews=reviews, probation=known.probation or probation)
    policy = authority.policy
    authority.publish(
        replace(policy, sources=tuple(said if one.name == source else one for one in policy.sources))
    )


def reviewer(authority: Authority, name: str) -> Reviewer:
    """A reviewer of the policy. Raises `NotFoundError`."""
    for person in authority.policy.review.people:
        if person.name == name:
            return person
    raise NotFoundError(f"no reviewer {name!r} in the policy; see `trustrag reviewer list`")


def held_reviewers(authority: Authority) -> tuple[str, ...]:
    """The reviewers who can sign here, by name."""
    held = authority.held()
    people = authority.policy.review.people
    return tuple(one.name for one in people if one.active and any(key.key in held for key in one.keys))


def reviewer_signer(authority: Authority, name: str | None) -> tuple[str, Signer]:
    """Who reviews here, and how they sign. Raises `ConfigError` where no such key is here, or not just one person's."""
    if name is None:
        names = held_reviewers(authority)
        if len(names) != 1:
            what = f"several reviewers ({', '.join(names)})" if names else "no reviewer"
            raise ConfigError(f"the keys of {what} are held here: say who reviews with --as NAME")
        name = names[0]
    return name, authority.signer(reviewer(authority, name).keys, f"review as {name}")


def _publish(authority: Authority, people: Sequence[Reviewer]) -> None:
    policy = authority.policy
    authority.publish(replace(policy, review=replace(policy.review, people=tuple(people))))


def _retired(key: PolicyKey, log_size: int) -> PolicyKey | None:
    """The key with the entries before `log_size` as its last; None where it could not have signed one of them."""
    if key.revoked or key.last_valid_index is not None:
        return key
    return None if log_size <= key.first_valid_index else replace(key, last_valid_index=log_size - 1)
