"""What people hand over, as the policy and the keyring hold it."""

import hashlib
import re
from dataclasses import replace

from trustrag.errors import ConfigError, MalformedError
from trustrag.provenance.keys import PublicKey
from trustrag.provenance.policy import Source


def parsed_key(text: str) -> PublicKey:
    """A public key as people hand it over. Raises ConfigError."""
    try:
        return PublicKey.parse(text)
    except MalformedError as error:
        raise ConfigError(f"{text!r} is not a public key (64 hex digits): {error}") from error


def thousandths(trust: float) -> int:
    """Trust as the policy holds it. Raises ValueError outside of 0 to 1."""
    if not 0 <= trust <= 1:
        raise ValueError(f"trust must be 0 to 1, not {trust}")
    return round(trust * 1000)


def moved_to(source: Source, trust: int, probation: bool) -> Source:
    """The source at this trust (in thousandths), with the operator's own word kept as its prior."""
    return replace(source, trust=trust, moved=trust - source.prior, probation=probation)


def key_name(kind: str, name: str) -> str:
    """The name of the key of a source or reviewer."""
    return f"{kind}-{file_name(name)}"


def file_name(name: str) -> str:
    """A name as one for a file: readable, and different for different names."""
    slug = re.sub(r"[^A-Za-z0-9._-]+", "-", name)[:64].strip(".-")
    ending = "" if slug == name else "-" + hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{slug}{ending}"
