"""A source on its own machine: a key of its own, the store's public `keys/` folder, and nothing else of the store.

    publisher = Publisher.open("keys")
    publisher.new_key("wiki")                             the public half goes to the operator: source add wiki --key ...
    publisher.attest(["docs/"], "wiki.intoto.jsonl", source="wiki")

Its keys and its memory of the trust root lie under its own `$TRUSTRAG_HOME`.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

from trustrag.authority import Authority
from trustrag.ingest.attest import attest_into
from trustrag.ingest.readers import read
from trustrag.ingest.report import AttestReport
from trustrag.provenance.keys import PublicKey

__all__ = ["Publisher"]


class Publisher:
    """Signs documents for a store that is elsewhere."""

    def __init__(self, authority: Authority, clock: Callable[[], int]) -> None:
        """Use `open`; this keeps what it found."""
        self.authority = authority
        self._clock = clock

    @classmethod
    def open(
        cls,
        keys: str | Path,
        *,
        ask_passphrase: Callable[[], bytes] | None = None,
        clock: Callable[[], int] | None = None,
    ) -> Self:
        """By the public trust root in the folder `keys`. Raises what `TrustRoot.open` raises.

        `ask_passphrase` is called at most once, when a key has to be unlocked.
        """
        clock = clock or _now
        folder = Path(keys).resolve()
        return cls(Authority.outside(folder, clock=clock, ask_passphrase=ask_passphrase), clock)

    def new_key(self, source: str, passphrase: Callable[[], bytes | None] = lambda: None) -> PublicKey:
        """Make this source's key; its private half stays here: see `Authority.new_source_key`."""
        return self.authority.new_source_key(source, passphrase)

    def attest(
        self,
        paths: Sequence[str | Path],
        out: str | Path,
        *,
        source: str | None = None,
        prefix: str = "",
        licence: str | None = None,
        again: bool = False,
    ) -> AttestReport:
        """Sign files as a source (the only one whose key is here, where none is named); envelopes are added to `out`.

        The same file given again continues the count of versions; `again` signs what did not change, too, as its next one.
        """
        return attest_into(
            Path(out),
            read(paths, prefix=prefix, licence=licence),
            signer=self.authority.source_signer(source or self.authority.own_source()),
            context=self.authority.policy.context,
            now=self._clock(),
            again=again,
        )


def _now() -> int:
    return int(time.time())
