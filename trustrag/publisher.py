"""A source, or a reviewer, on its own machine: a key of its own, the store's public `keys/` folder, and nothing else of it.

    publisher = Publisher.open("keys")
    publisher.new_key("wiki")                             the public half goes to the operator: source add wiki --key ...
    publisher.attest(["docs/"], "wiki.intoto.jsonl", source="wiki")

    publisher.approve("terms.held.json", reason="read")   the signed verdict, to be handed in: review take

Its keys and its memory of the trust root lie under its own `$TRUSTRAG_HOME`.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

from trustrag.authority import Authority
from trustrag.authority.reviewers import reviewer_signer
from trustrag.errors import ConfigError, in_file
from trustrag.ingest.attest import attest_into
from trustrag.ingest.desk import Shown, read_case, signed_verdict
from trustrag.ingest.reading import read
from trustrag.ingest.report import AttestReport
from trustrag.provenance.envelope import Envelope
from trustrag.provenance.keys import PublicKey

__all__ = ["Publisher"]


class Publisher:
    """Signs documents, or reviews of them, for a store that is elsewhere."""

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

    def new_key(self, source: str, passphrase: Callable[[], bytes | None] | None = None) -> PublicKey:
        """Make this source's key; its private half stays here: see `Authority.new_key`."""
        return self.authority.new_key("source", source, passphrase)

    def new_reviewer_key(self, name: str, passphrase: Callable[[], bytes | None] | None = None) -> PublicKey:
        """As `new_key`, for one who reviews."""
        return self.authority.new_key("reviewer", name, passphrase)

    def approve(self, case: str | Path, *, reason: str, by: str | None = None) -> tuple[Shown, Envelope]:
        """Approve a document that waits elsewhere, with a reason that is signed: what was shown, and the signed verdict.

        `case` is a file that `Reviews.export` wrote. Nothing is signed that is not what its source and ingest signed:
        raises `MalformedError` and `VerificationError`, and `ConfigError` where no reviewer's key is here.
        """
        return self._judge(case, True, reason, by)

    def reject(self, case: str | Path, *, reason: str, by: str | None = None) -> tuple[Shown, Envelope]:
        """Reject a document that waits elsewhere: as `approve`."""
        return self._judge(case, False, reason, by)

    def read_case(self, case: str | Path) -> tuple[Shown, tuple[str, ...]]:
        """A document that waits elsewhere, proved, and what the screens noticed of it (unsigned). Raises as `approve`."""
        try:
            data = Path(case).read_bytes()
        except OSError as error:
            raise ConfigError(f"{case} cannot be read: {error.strerror}") from error
        policy = self.authority.policy
        with in_file(case):
            return read_case(data, policy)

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

    def _judge(self, case: str | Path, approves: bool, reason: str, by: str | None) -> tuple[Shown, Envelope]:
        shown, _ = self.read_case(case)
        _, signer = reviewer_signer(self.authority, by)
        return shown, signed_verdict(shown.ingest.payload, approves, reason, self._clock(), signer)


def _now() -> int:
    return int(time.time())
