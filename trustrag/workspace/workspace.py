"""The composition root: opens what a workspace folder holds and wires it together. Holds no rules.

    ws = Workspace.init("kb", source="acme", passphrase=b"...")     keys, policy, trust root and ledger, in one step
    ws = Workspace.open("kb")

One folder holds one collection of one store. Private keys and the rollback memory live outside it, under
`$TRUSTRAG_HOME` (the user's configuration folder by default), by store id.
"""

import secrets
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from trustrag.authority import Authority
from trustrag.consistency import Judge
from trustrag.index.base import Vector
from trustrag.index.embedding import Embedder
from trustrag.ingest.attest import attest_into
from trustrag.ingest.chunking import DEFAULT_OVERLAP, DEFAULT_SIZE
from trustrag.ingest.document import Document, ReadProblem, from_langchain
from trustrag.ingest.moving import KeptVectors
from trustrag.ingest.pipeline import Progress
from trustrag.ingest.reading import read
from trustrag.ingest.report import AttestReport, IngestReport
from trustrag.keyring import UNSAID, Keyring, Unsaid, chosen_passphrase
from trustrag.ledger import Ledger, Ruling, Snapshot, VersionRow, publisher_under
from trustrag.ledger.model import Action
from trustrag.monitor.audit import AuditReport, audit
from trustrag.monitor.record import Assessment
from trustrag.provenance.canonical import Metadata
from trustrag.provenance.envelope import Envelope
from trustrag.provenance.evidence import VerifiedPassage
from trustrag.provenance.policy import Policy, Source
from trustrag.provenance.statement import Context
from trustrag.retrieval.answer import Abstained, Generator, Grounded, answered
from trustrag.retrieval.embedders import CUSTOM, AnyEmbedder, identity_of, opened_embedder
from trustrag.retrieval.ranking import Mode
from trustrag.retrieval.retriever import SearchReport
from trustrag.settings import Settings
from trustrag.workspace.contracts import Contracts
from trustrag.workspace.custody import Custody
from trustrag.workspace.history import History
from trustrag.workspace.intake import take_in
from trustrag.workspace.logface import LogFace
from trustrag.workspace.opened import Opened
from trustrag.workspace.receipts import Receipts
from trustrag.workspace.reviews import Reviews, require_approved
from trustrag.workspace.wiring import (
    AuditFile,
    assessed,
    listed,
    named,
    opened_judge,
    require_room,
    slug,
    undone_on_failure,
    unix_now,
)


class Workspace:
    """An open workspace. Reading is thread-safe; writing takes the one writer's lock for as long as it lasts."""

    def __init__(
        self,
        folder: Path,
        settings: Settings,
        authority: Authority,
        *,
        embedder: AnyEmbedder | None = None,
        judge: Judge | None = None,
        clock: Callable[[], int] | None = None,
    ) -> None:
        """Use `init` or `open`; this keeps what they found."""
        self.folder = folder
        self.settings = settings
        self.authority = authority
        self._clock = clock or unix_now
        given = embedder if embedder is not None else settings.embedder
        self._opened = Opened(folder, settings, authority, given, self._clock, judge)

    # ---- making and opening

    @classmethod
    def init(
        cls,
        folder: str | Path,
        *,
        source: str,
        keys: str | Path | None = None,
        store: str | None = None,
        tenant: str = "default",
        collection: str = "default",
        embedder: AnyEmbedder = "minilm",
        index: str = "flat",
        chunk_size: int = DEFAULT_SIZE,
        chunk_overlap: int = DEFAULT_OVERLAP,
        passphrase: bytes | Unsaid | None = UNSAID,
        clock: Callable[[], int] | None = None,
    ) -> Self:
        """Make a workspace in `folder`: keys, policy, trust root, ledger and a first source, in one step.

        `keys` is where the public trust root goes (`folder/keys` by default). Private keys go under
        `$TRUSTRAG_HOME`, encrypted with `passphrase`, or with what stands in the file that `TRUSTRAG_PASSPHRASE_FILE`
        names. With neither, whoever can read the user's files can sign, and an `UnencryptedKeysWarning` says so;
        `passphrase=None` says that this is meant. Raises `ConfigError` for a folder that is not new or empty. What fails
        leaves nothing behind.
        """
        folder = Path(folder).resolve()
        settings = Settings(
            store=f"{slug(store or folder.name)}-{secrets.token_hex(4)}",
            keys="keys" if keys is None else str(Path(keys).resolve()),
            embedder=embedder if isinstance(embedder, str) else CUSTOM,
            index=index,
            chunk_size=chunk_size,
            chunk_overlap=chunk_overlap,
        )
        keys_folder = settings.keys_folder(folder)
        require_room(folder, keys_folder)
        made, context = opened_embedder(embedder), Context(settings.store, tenant, collection)
        keyring = Keyring.create(
            settings.store, chosen_passphrase(passphrase), apart_from=(folder, keys_folder)
        )
        with undone_on_failure(folder, keys_folder, keyring.folder):
            authority = Authority.found(context, keys_folder, keyring, source, folder, clock or unix_now)
            workspace = cls(folder, settings, authority, embedder=made, clock=clock)
            with Ledger.create(folder, context, identity_of(made)) as ledger:
                ledger.reseal(workspace._opened.sealer(), workspace._clock())
            settings.write(folder)
        return workspace

    @classmethod
    def open(
        cls,
        folder: str | Path,
        *,
        embedder: AnyEmbedder | None = None,
        judge: Judge | str | None = None,
        ask_passphrase: Callable[[], bytes] | None = None,
        clock: Callable[[], int] | None = None,
    ) -> Self:
        """Open the workspace in `folder`.

        `embedder` is needed where `init` was given an object. `judge` says who contradicts whom in ranking: one of
        `trustrag.consistency`, or the hub name or folder of an NLI cross-encoder; None is values and rules.
        `ask_passphrase` is called at most once, when a
        private key has to be unlocked; `TRUSTRAG_PASSPHRASE_FILE` is asked before it. Raises `ConfigError` for what
        is not a workspace. An unusable trust root is told by the first call that needs it.
        """
        folder = Path(folder).resolve()
        settings = Settings.read(folder)
        keys = settings.keys_folder(folder)
        authority = Authority(
            settings.store, keys, workspace=folder, clock=clock or unix_now, ask_passphrase=ask_passphrase
        )
        return cls(folder, settings, authority, embedder=embedder, judge=opened_judge(judge), clock=clock)

    def close(self) -> None:
        """Close the files. They are opened again when they are needed."""
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ---- who may say what

    @property
    def policy(self) -> Policy:
        """Who may say what, today."""
        return self.authority.policy

    @property
    def keys(self) -> Custody:
        """The store's keys over time: rotate, retire, revoke."""
        return Custody(self._opened)

    def add_source(
        self,
        name: str,
        *,
        trust: float = 1.0,
        scope: str | Sequence[str] = (),
        owner: str | None = None,
        public_key: str | None = None,
        probation: bool = False,
    ) -> Source:
        """Let a source publish, from the next log entry on.

        `trust` (0 to 1) weighs it in ranking; `scope` is one or more prefixes of tenant/collection/docId (all of the
        collection by default); sources of one `owner` have one voice. With `public_key` (64 hex digits) it signs
        elsewhere; else a key is made here. On `probation`, what it brings waits until people approved enough of it. Raises
        `ConflictError` for a name that is taken.
        """
        return self.authority.add_source(
            name,
            trust=trust,
            scope=(scope,) if isinstance(scope, str) else scope,
            owner=owner,
            public_key=public_key,
            probation=probation,
            first_valid_index=self._opened.reader().snapshot().log_size,
        )

    def add_sources(
        self, names: Sequence[str], *, trust: float = 1.0, probation: bool = False
    ) -> tuple[Source, ...]:
        """Let many sources publish, each with a key made here, in one new policy."""
        start = self._opened.reader().snapshot().log_size
        return self.authority.add_sources(names, trust=trust, probation=probation, first_valid_index=start)

    def assess(self, names: Sequence[str] = (), *, apply: bool = False) -> tuple[Assessment, ...]:
        """What the record of these sources (by default of all that are active) makes of their prior, and why.

        Nothing changes without `apply`, which signs all that is proposed into one new policy: see `monitor.record`.
        """
        searcher = self._opened.searcher()
        active = [source.name for source in searcher.gate.policy.sources if source.active]
        sources = [self.authority.source(name) for name in names or active]
        found = assessed(searcher, self._opened.reader(), sources, self._clock())
        if apply:
            moves = {one.record.source: (one.trust, one.probation) for one in found if one.changes}
            self.authority.reassess(moves)
        return found

    def refresh(self, *, root: bool = False) -> dict[str, int]:
        """Renew the trust root (its root role too with `root`) and the snapshot; returns when each expires.

        Opens what has expired already. Needs the keys of those roles here.
        """
        expires = self.authority.refresh(root=root, force=True)
        with self._opened.writing() as ledger:
            sealed = ledger.reseal(self._opened.sealer(), self._clock(), reason="renewed")
        return expires | {"what stands": sealed.expires}

    # ---- in

    def ingest(
        self,
        paths: str | Path | Sequence[str | Path],
        *,
        source: str | None = None,
        attestations: str | Path | Sequence[Envelope] = (),
        prefix: str = "",
        licence: str | None = None,
        progress: Progress | None = None,
    ) -> IngestReport:
        """Take in a file or folder, or several: by the attestations that name them, else signed here as `source`.

        Raises `UnsignedDocumentError`, before anything is written, with neither. What is refused is in the report.
        """
        return take_in(
            self._opened, read(listed(paths), prefix=prefix, licence=licence), source, attestations, progress
        )

    def ingest_documents(
        self,
        documents: Iterable[object],
        *,
        source: str | None = None,
        attestations: str | Path | Sequence[Envelope] = (),
        licence: str | None = None,
        advisory: Collection[str] = (),
        kept: KeptVectors | None = None,
        progress: Progress | None = None,
    ) -> IngestReport:
        """As `ingest`, for documents in memory: `Document`, or LangChain-like (`.page_content`, `.metadata`, `.id`).

        A LangChain-like document is one passage, uncut. What the screens named in `advisory` find is told, and holds
        nothing. `kept` are vectors that this embedder made elsewhere.
        """
        known = Document | ReadProblem
        listed = [d if isinstance(d, known) else self.document(d, licence=licence) for d in documents]
        return take_in(self._opened, listed, source, attestations, progress, advisory=advisory, kept=kept)

    @staticmethod
    def document(item: object, *, licence: str | None = None) -> Document:
        """A LangChain-like document as the way in sees it; without an id it is named by the digest of its text."""
        return replace(from_langchain(item), licence=licence)

    def attest(
        self,
        paths: str | Path | Sequence[str | Path],
        out: str | Path,
        *,
        source: str | None = None,
        prefix: str = "",
        licence: str | None = None,
        again: bool = False,
    ) -> AttestReport:
        """Sign files as a source without touching the ledger; envelopes are added to `out`, one a line.

        `again` signs what did not change, too, as its next version: after its key was replaced.
        """
        documents = read(listed(paths), prefix=prefix, licence=licence)
        signer = self.authority.source_signer(source or self.authority.own_source())
        return attest_into(
            Path(out),
            documents,
            signer=signer,
            context=self.policy.context,
            now=self._clock(),
            again=again,
        )

    # ---- rulings

    def rule(
        self, action: Action, *, reason: str, doc_id: str | None = None, source: str | None = None
    ) -> Snapshot:
        """Quarantine, restore or withdraw a document or all of a source: signed, logged, in force at the next query."""
        if source is not None:
            self.authority.source(source)
        with self._opened.writing() as ledger:
            now, ruling = self._clock(), Ruling(action, reason, doc_id, source)
            if action == "restore" and doc_id is not None:
                with ledger.view() as view:
                    require_approved(view, doc_id)
            return ledger.rule([ruling], self._opened.sealer(), now, publisher=publisher_under(self.policy))

    def withdraw(self, doc_ids: str | Sequence[str] | None = None, *, reason: str) -> Snapshot | None:
        """Withdraw those of these documents that stand (with None: all) in one snapshot; None where none stood."""
        with self._opened.writing() as ledger:
            every = [row.doc_id for row in ledger.documents()] if doc_ids is None else named(doc_ids)
            with ledger.view() as view:
                # Asked of what was signed too: no edited row makes a withdrawal pass for one of nothing.
                stand = [name for name in dict.fromkeys(every) if view.active(name) or view.publisher(name)]
            rulings = [Ruling("withdraw", reason, doc_id=name) for name in stand]
            return ledger.rule(rulings, self._opened.sealer(), self._clock()) if rulings else None

    # ---- out

    def search(
        self,
        question: str,
        *,
        k: int = 5,
        sources: str | Sequence[str] | None = None,
        where: Mapping[str, Metadata] | None = None,
        mode: Mode = "weighted",
        min_support: int = 0,
        vector: Vector | None = None,
        at: int | None = None,
    ) -> SearchReport:
        """The `k` best passages that can be proved, and what was refused and why: see `Retriever.search`.

        `at` is a snapshot's version: then what stood in it is searched, and the answer says `as_of`.
        """
        sources = None if sources is None else named(sources)
        for name in sources or ():
            self.authority.source(name)
        self.reviews.note_question(question)
        return self._opened.searcher().search(
            question,
            k=k,
            now=self._clock(),
            sources=sources,
            where=where,
            mode=mode,
            min_support=min_support,
            vector=vector,
            at=at,
        )

    def ask(
        self,
        question: str,
        *,
        k: int = 5,
        sources: str | Sequence[str] | None = None,
        mode: Mode = "weighted",
        generator: Generator | None = None,
    ) -> Grounded | Abstained:
        """An answer of cited sentences, or why there is none: see `trustrag.retrieval.answer`."""
        report = self.search(question, k=k, sources=sources, mode=mode)
        return answered(report, self.embedder, mode, generator)

    def read(self, doc_id: str) -> tuple[VerifiedPassage, ...]:
        """The passages of the document that stands under this name, in order, each proved.

        Raises `NotFoundError` where none stands and `VerificationError` where one cannot be proved.
        """
        return self._opened.searcher().read(doc_id, now=self._clock())

    @property
    def receipts(self) -> Receipts:
        """Signed receipts of searches, and their replay."""
        return Receipts(self._opened)

    @property
    def history(self) -> History:
        """What became of documents: snapshots, differences, rollback, and the chain of custody of a passage."""
        return History(self._opened)

    def standing_documents(self, source: str | None = None) -> list[VersionRow]:
        """The documents that stand (of one source), as the ledger remembers them (unsigned), by id."""
        return [row for row in self._opened.reader().active_documents() if source in (None, row.source_name)]

    def audit(self, progress: Progress | None = None, *, incremental: bool = False) -> AuditReport:
        """Verify everything again: log, trees, texts, vectors, signatures, index rows.

        With `incremental`, signatures that an earlier audit proved under the same policy are not proved again.
        """
        searcher, memory = self._opened.searcher(), AuditFile(self.settings.store, forget=not incremental)
        return audit(
            self._opened.reader(),
            searcher.gate,
            searcher,
            now=self._clock(),
            memory=memory,
            progress=progress,
        )

    # ---- faces

    @property
    def contracts(self) -> Contracts:
        """What is agreed with each source about its documents."""
        return Contracts(self._opened)

    @property
    def reviews(self) -> Reviews:
        """The review desk: what waits for people, and who they are."""
        return Reviews(self._opened)

    # ---- the log, as others see it

    @property
    def log(self) -> LogFace:
        """Proofs from the log, its publication, and its witnesses."""
        return LogFace(self._opened)

    # ---- wiring

    @property
    def embedder(self) -> Embedder:
        """The embedder that this workspace's vectors were made with; opened at first use."""
        return self._opened.embedder
