"""The contracts of a workspace: a folder of files, each of which counts by the digest that the policy names."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trustrag.authority.reviewers import agree
from trustrag.authority.words import file_name
from trustrag.errors import ConfigError, MalformedError
from trustrag.files import make_folder, write_whole
from trustrag.ingest.contracts import TEMPLATE, Contract, Problem, read_contract, signed_contract
from trustrag.ingest.screening import names
from trustrag.provenance.names import check_segment
from trustrag.provenance.policy import Source
from trustrag.workspace.opened import Opened
from trustrag.workspace.reviews import Reviews
from trustrag.workspace.wiring import slug

FOLDER = "contracts"


class ContractFolder:
    """Where the files lie: `contracts/NAME.yaml` in the workspace."""

    def __init__(self, workspace: Path) -> None:
        self.folder = workspace / FOLDER

    def path(self, source: str) -> Path:
        """The file of a source; names that are no file names are made into one, and stay different by their digest."""
        return self.folder / f"{file_name(source)}.yaml"

    def read(self, source: Source) -> bytes | None:
        """What lies there now; None where there is nothing that can be read."""
        try:
            return self.path(source.name).read_bytes()
        except OSError:
            return None

    @contextmanager
    def exchanged(self, source: str, data: bytes) -> Iterator[None]:
        """Put a contract there, and the one before back where the block fails.

        If we die within the block: the policy still names the one before, and what is taken in says so.
        """
        path = self.path(source)
        before = path.read_bytes() if path.exists() else None
        make_folder(self.folder)
        write_whole(path, data)
        try:
            yield
        except BaseException:
            if before is None:
                path.unlink()
            else:
                write_whole(path, before)
            raise


class Contracts:
    """See `Workspace.contracts`."""

    def __init__(self, opened: Opened) -> None:
        self._opened = opened
        self._files = ContractFolder(opened.folder)

    def init(self, source: str, out: Path | None = None) -> Path:
        """Write a contract with sensible defaults and a comment on every clause, to be edited and signed.

        Raises `ConfigError` where the file is there already.
        """
        known = self._opened.authority.source(source)
        path = out or Path(f"{file_name(source)}.contract.yaml")
        write_new(path, template(source, known.reviews))
        return path

    def check(self, path: Path) -> tuple[Contract | None, tuple[Problem, ...]]:
        """The contract in a file, or all that is wrong with it, also for this workspace."""
        contract, problems = check_file(path)
        if contract is None:
            return None, problems
        policy = self._opened.policy
        if policy.source(contract.source) is None:
            known = ", ".join(source.name for source in policy.sources)
            return None, (
                Problem(1, "source", f"no source {contract.source!r} in the policy; there are: {known}"),
            )
        if contract.reviewers > policy.review.able:
            what = (
                f"asked for: {contract.reviewers}; in the policy: {policy.review.able}: trustrag reviewer add"
            )
            return None, (Problem(1, "review.reviewers", what),)
        return contract, ()

    def sign(self, path: Path) -> Contract:
        """Put a contract in force: its file into the workspace, its digest and its number of reviewers into the policy.

        A contract with a probation puts its source on probation, until people approved so many of its documents.
        Raises `MalformedError` with the first thing that is wrong.
        """
        contract, problems = self.check(path)
        if contract is None:
            raise MalformedError(f"{path}: {problems[0]}")
        approved = Reviews(self._opened).approvals(contract.source) if contract.probation else 0
        with self._files.exchanged(contract.source, path.read_bytes()):
            agree(
                self._opened.authority,
                contract.source,
                contract.digest,
                contract.reviewers,
                probation=approved < (contract.probation or 0),
            )
        return contract

    def of(self, source: str) -> Contract | None:
        """The contract in force for a source. Raises `ProofError` where its file is not the one that was signed."""
        return signed_contract(self._opened.authority.source(source), self._files.read)


def check_file(path: Path) -> tuple[Contract | None, tuple[Problem, ...]]:
    """The contract in a file, or all that is wrong with it, wherever it is to be used. Raises `ConfigError`."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    return read_contract(data, (*names(), "contract", "versions"))


def template(source: str, reviewers: int = 0) -> bytes:
    """A contract for a source, ready to be edited. Raises `MalformedError` for a name that no source can have."""
    check_segment(source, "source name")
    if any(char in source for char in "\"'\\:#{}[]&*!|>%@`,"):
        raise MalformedError(f"write the contract of {source!r} by hand: its name needs quotes in YAML")
    return TEMPLATE.format(source=source, slug=slug(source), reviewers=reviewers).encode()


def write_new(path: Path, data: bytes) -> None:
    """A new file. Raises `ConfigError` where there is one."""
    try:
        write_whole(path, data, replace=False)
    except FileExistsError:
        raise ConfigError(f"{path} is there already: name another with --out") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from error
