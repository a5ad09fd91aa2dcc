"""A signer of ceremonies on a machine of its own: a ceremony file, a key of its own, and nothing else of the store.

    key = new_key("kb-1a2b3c4d", "root-alice", passphrase)       the public half goes to whoever keeps the store
    signing = Signing.open(Path("next-root.json"))
    print(*signing.lines, sep="\\n")                              what is about to be signed, proved against what was pinned
    signing.sign(ask_passphrase)

What was seen of the store is remembered under this user's own `$TRUSTRAG_HOME`: a file that does not go on from there is
refused before anything of it is shown.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from trustrag.authority.ceremony import MAX_BYTES, Opened, Proposal, merged
from trustrag.authority.reading import described
from trustrag.errors import ConfigError, MalformedError
from trustrag.files import write_whole
from trustrag.keyring import Keyring, SeenState, UserState
from trustrag.provenance.keys import PublicKey

__all__ = ["Signing", "described", "new_key", "read_proposal"]


@dataclass(frozen=True, slots=True)
class Signing:
    """A ceremony file that goes on from what this user knows of the store. `first_use`: nothing was known of it yet."""

    path: Path
    proposal: Opened
    first_use: bool

    @classmethod
    def open(cls, path: Path) -> Self:
        """Read and check it. Raises MalformedError, VerificationError (in particular StaleError FORK or ROLLBACK for one
        that does not go on from the root pinned here) and ConfigError where it cannot be read.
        """
        proposal = read_proposal([path])
        seen = UserState(proposal.policy.context.store).read() or SeenState()
        proposal.require_extends(seen)
        return cls(path, proposal, seen.root is None)

    @property
    def first_keys(self) -> list[str]:
        """The key ids of the first root in the file: what to compare where nothing was known of the store."""
        return self.proposal.first_keys()

    @property
    def lines(self) -> list[str]:
        """What is to be signed, in words."""
        return described(self.proposal)

    def require_say(self) -> None:
        """Raises before anybody is asked: ConfigError where no key is held here, AuthorityError where none has a say,
        ConflictError where all of them signed already.
        """
        self.proposal.mine(self._keyring(None).find)

    def sign(self, ask: Callable[[], bytes] | None, out: Path | None = None) -> list[str]:
        """Sign with every key held here that has a say, and write the file (or a copy of it to `out`).

        Returns whose signatures are still missing, in words. Raises as `require_say`.
        """
        signed = self.proposal.signed(self._keyring(ask).find)
        # If we die before this is written, nothing was signed; if after it, the file says so.
        write_whole(out or self.path, signed.encode())
        UserState(self.proposal.policy.context.store).advance(_seen(self.proposal))
        return signed.opened().missing()

    def _keyring(self, ask: Callable[[], bytes] | None) -> Keyring:
        return Keyring.open(self.proposal.policy.context.store, ask)


def read_proposal(paths: Sequence[Path]) -> Opened:
    """Copies of one ceremony file, with the signatures of all. Raises as `Signing.open`, ConflictError for different ones."""
    return merged([_read(path) for path in paths]).opened()


def new_key(store: str, name: str, passphrase: Callable[[], bytes | None]) -> tuple[PublicKey, Keyring]:
    """Make a key for a store of which nothing else is here. Returns its public half, and the keyring that holds it.

    `passphrase` is called where this is the first key held here for the store; later keys are encrypted as the first one is.
    """
    keyring = Keyring.open(store, passphrase_of(passphrase)) if Keyring.exists(store) else None
    if keyring is None:
        keyring = Keyring.create(store, passphrase())
    return keyring.generate(name).public_key, keyring


def passphrase_of(given: Callable[[], bytes | None]) -> Callable[[], bytes]:
    """As a keyring asks for it: there has to be one."""

    def ask() -> bytes:
        found = given()
        if found is None:
            raise ConfigError("the keys held here are encrypted: give their passphrase")
        return found

    return ask


def _read(path: Path) -> Proposal:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    try:
        return Proposal.parse(data)
    except MalformedError as error:
        raise MalformedError(f"{path} is no ceremony file: {error}") from error


def _seen(proposal: Opened) -> SeenState:
    versions = {
        "root": proposal.root.version,
        "targets": proposal.targets.version,
        "policy": proposal.policy.version,
    }
    return SeenState(root=proposal.proposal.roots[-1], trust=versions)
