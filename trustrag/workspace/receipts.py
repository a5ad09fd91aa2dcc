"""The face of a workspace that answers for its searches: `ws.receipts`.

data = ws.receipts.of(report)          signed by the answer key that is held here
ws.receipts.replay(data).same          by anyone who holds the snapshot, and the public keys
"""

from contextlib import nullcontext
from pathlib import Path

from trustrag.errors import ConfigError, in_file
from trustrag.retrieval.receipt import ReceiptFile, receipt_of
from trustrag.retrieval.replay import Replay, replay
from trustrag.retrieval.retriever import SearchReport
from trustrag.workspace.opened import Opened


class Receipts:
    """Makes receipts and replays them. Thread-safe."""

    def __init__(self, opened: Opened) -> None:
        self._opened = opened

    def of(self, report: SearchReport) -> bytes:
        """The receipt of a search that this workspace just made, as a file; see docs/formats.md.

        Raises ConfigError where no answer key is held here, ValueError for a search of the past.
        """
        opened, policy = self._opened, self._opened.policy
        signer = opened.authority.signer(policy.answer.keys, "sign receipts")
        return receipt_of(report, policy, signer, opened.settings.index, opened.clock()).encode()

    def replay(self, given: bytes | Path) -> Replay:
        """Whether what this receipt (or the one in this file) says was found is found again: see `retrieval.replay`.

        Raises ConfigError for a file that cannot be read, MalformedError for what is no receipt, VerificationError for one
        that is not to be believed here.
        """
        opened = self._opened
        policy, data = opened.policy, given if isinstance(given, bytes) else _read(given)
        with in_file(given) if isinstance(given, Path) else nullcontext():
            receipt, asked = ReceiptFile.open(data, policy)
        return replay(receipt, asked, opened.searcher(), opened.store(), now=opened.clock())


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
