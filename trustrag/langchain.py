"""trustrag where LangChain expects a vector store, a retriever or a document compressor.

The only module that imports langchain_core. Every `Document` that leaves carries, under the metadata
key `trustrag`, what was proved about it: source, version, verdict, key, snapshot, support and scores.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Self

import numpy as np
from langchain_core.callbacks import CallbackManagerForRetrieverRun, Callbacks
from langchain_core.documents import BaseDocumentCompressor, Document
from langchain_core.embeddings import Embeddings
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import Runnable, RunnableLambda
from langchain_core.vectorstores import VectorStore
from langchain_core.vectorstores.utils import maximal_marginal_relevance
from pydantic import ConfigDict

from trustrag.errors import NotFoundError, RefusedDocumentError, VerificationError
from trustrag.retrieval.pool import candidate_of
from trustrag.retrieval.ranking import Candidate, Mode, rerank
from trustrag.workspace import (
    UNSAID,
    RankedPassage,
    SearchReport,
    VerifiedPassage,
    Workspace,
    named_passage,
    passage_name,
)

_LOG = logging.getLogger(__name__)

PROVENANCE = "trustrag"
"""The metadata key under which a returned document tells its provenance."""


class ProvenanceMetadata(dict[str, Any]):
    """A document's own metadata plus one entry, `trustrag`, which equality leaves out.

    Two documents are the same when what their author wrote is the same: a chain that compares, caches or
    deduplicates what it put in with what it got back must not see a difference because we proved something.
    """

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mapping):
            return NotImplemented
        return _own(self) == _own(other)

    __hash__ = None


def _own(metadata: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in metadata.items() if key != PROVENANCE}


class TrustedVectorStore(VectorStore):
    """A LangChain vector store that takes signed documents only and returns proved ones only.

    With `source=`, documents are signed as that source (its key must be here). Without it, only documents
    that come with `attestations=` (DSSE envelopes of their source) are taken; anything else raises
    `UnsignedDocumentError` and writes nothing. Same id overwrites: a new version supersedes the old one.
    Deleting withdraws, signed and logged; nothing is erased. Thread-safe.
    """

    def __init__(self, workspace: Workspace, *, source: str | None = None, mode: Mode = "weighted") -> None:
        self.workspace = workspace
        self.source = source
        self.mode: Mode = mode

    @property
    def embeddings(self) -> Embeddings:
        """The workspace's embedder in LangChain's clothes."""
        return _WorkspaceEmbeddings(self.workspace)

    # ---- in

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """Sign and add texts; see `add_documents`."""
        if isinstance(texts, str):
            raise TypeError("add_texts() takes a list of texts, not one text")
        listed = list(texts)
        for name, given in (("metadatas", metadatas), ("ids", ids)):
            if given is not None and len(given) != len(listed):
                raise ValueError(f"{len(listed)} texts and {len(given)} {name}: one each is needed")
        rows = zip(listed, metadatas or [{}] * len(listed), strict=True)
        documents = [Document(page_content=text, metadata=metadata or {}) for text, metadata in rows]
        return self.add_documents(documents, **kwargs, **({"ids": ids} if ids else {}))

    def add_documents(self, documents: list[Document], **kwargs: Any) -> list[str]:
        """Add documents and return their ids, in order.

        `ids=` overrides the documents' own; a document without an id is named by the digest of its content.
        `source=` overrides the store's; `attestations=` hands envelopes signed elsewhere over; `batch_size=`
        is accepted and has no meaning here. Raises `UnsignedDocumentError` with neither attestation nor source
        (nothing is written), and `RefusedDocumentError` naming each document that was refused (the others are in).
        """
        ids = kwargs.get("ids")
        if ids is not None and len(ids) != len(documents):
            raise ValueError(f"{len(documents)} documents and {len(ids)} ids: one each is needed")
        named = [
            self.workspace.document(Document(page_content=doc.page_content, metadata=doc.metadata, id=name))
            for doc, name in zip(documents, ids or [doc.id for doc in documents], strict=True)
        ]
        report = self.workspace.ingest_documents(
            named, source=kwargs.get("source", self.source), attestations=kwargs.get("attestations", ())
        )
        for held in report.quarantined:
            _LOG.warning("document %s is in quarantine and will not be found: %s", held.doc_id, held.reason)
        if report.refused:
            lines = "; ".join(f"{entry.doc_id}: {entry.reason}" for entry in report.refused)
            raise RefusedDocumentError(
                f"{len(report.refused)} of {len(named)} documents were refused: {lines}"
            )
        return [doc.doc_id for doc in named]

    def delete(self, ids: list[str] | None = None, **kwargs: Any) -> bool:
        """Withdraw documents (all of them with `ids=None`); ids that are not there are fine."""
        if isinstance(ids, str):
            raise TypeError("delete() takes a list of ids, not one id")
        self.workspace.withdraw(ids, reason=str(kwargs.get("reason", "deleted through the vector store")))
        return True

    @classmethod
    def from_texts(
        cls,
        texts: list[str],
        embedding: Embeddings,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        **kwargs: Any,
    ) -> Self:
        """Make a store in a new workspace folder and add texts.

        Requires `folder=` (where the workspace goes) and `source=` (who signs); `passphrase=` as in `Workspace.init`.
        """
        folder, source = kwargs.get("folder"), kwargs.get("source")
        if folder is None or source is None:
            raise TypeError("from_texts() needs folder= (for the new workspace) and source= (who signs)")
        passphrase = kwargs.get("passphrase", UNSAID)
        made = Workspace.init(folder, source=source, embedder=embedding, passphrase=passphrase)
        store = cls(made, source=source)
        store.add_texts(texts, metadatas, ids=ids)
        return store

    # ---- out

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """The documents with these ids that stand and can be proved; others are left out. Never raises for one."""
        found: list[Document] = []
        for doc_id in ids:
            try:
                passages = self.workspace.read(doc_id)
            except (NotFoundError, VerificationError):
                continue
            found.extend(_document(passage) for passage in passages)
        return found

    def similarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Document]:
        """The `k` best proved passages. `filter=` is a mapping of metadata keys to values, applied before the search."""
        return [document for document, _ in self.similarity_search_with_score(query, k, **kwargs)]

    def similarity_search_with_score(
        self, query: str, k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """As `similarity_search`, each with its cosine similarity to the query, -1..1."""
        report = self._search(query, k, kwargs)
        return [
            (document, ranked.relevance)
            for document, ranked in zip(_documents(report), report.passages, strict=True)
        ]

    def similarity_search_by_vector(
        self, embedding: list[float], k: int = 4, **kwargs: Any
    ) -> list[Document]:
        """The `k` proved passages nearest to a vector of the workspace's embedder."""
        return _documents(self._search("", k, kwargs, np.asarray(embedding, dtype=np.float32)))

    def max_marginal_relevance_search(
        self, query: str, k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **kwargs: Any
    ) -> list[Document]:
        """`k` of the `fetch_k` best proved passages, chosen for relevance and for difference from each other."""
        vector = self.workspace.embedder.embed_query(query)
        return self._diverse(query, vector, k, fetch_k, lambda_mult, kwargs)

    def max_marginal_relevance_search_by_vector(
        self, embedding: list[float], k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **kwargs: Any
    ) -> list[Document]:
        """As `max_marginal_relevance_search`, from a vector."""
        return self._diverse("", np.asarray(embedding, dtype=np.float32), k, fetch_k, lambda_mult, kwargs)

    def _select_relevance_score_fn(self) -> Callable[[float], float]:
        return lambda cosine: min(1.0, max(0.0, (1.0 + cosine) / 2.0))

    def _diverse(
        self, query: str, vector: Any, k: int, fetch_k: int, lambda_mult: float, kwargs: dict[str, Any]
    ) -> list[Document]:
        report = self._search(query, max(k, fetch_k), kwargs, vector)
        if not report.passages:
            return []
        vectors = [np.frombuffer(r.passage.vector, dtype="<f4").tolist() for r in report.passages]
        chosen = maximal_marginal_relevance(np.asarray(vector), vectors, lambda_mult=lambda_mult, k=k)
        documents = _documents(report)
        return [documents[n] for n in chosen]

    def _search(
        self, query: str, k: int, kwargs: Mapping[str, Any], vector: Any | None = None
    ) -> SearchReport:
        where = kwargs.get("filter")
        if where is not None and not isinstance(where, Mapping):
            raise TypeError(
                "filter= takes a mapping of metadata keys to values; a function cannot be applied before the search"
            )
        return self.workspace.search(
            query,
            k=k,
            where=where,
            sources=kwargs.get("sources"),
            mode=kwargs.get("mode", self.mode),
            vector=vector,
            at=kwargs.get("at"),
        )


class ProvenanceRetriever(BaseRetriever):
    """The retriever for chains: `ProvenanceRetriever(workspace=ws, k=5)`."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    workspace: Workspace
    k: int = 5
    mode: Mode = "weighted"
    sources: tuple[str, ...] | None = None
    where: dict[str, Any] | None = None
    at: int | None = None
    """A snapshot's version: then what stood in it is returned, and each document says `as_of`."""

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, k: int | None = None
    ) -> list[Document]:
        report = self.workspace.search(
            query,
            k=self.k if k is None else k,
            mode=self.mode,
            sources=self.sources,
            where=self.where,
            at=self.at,
        )
        return _documents(report)


class ProvenanceReranker(BaseDocumentCompressor):
    """Ranks what any retriever returned by relevance, source trust and independent support.

    Documents that trustrag proved keep their standing; any other is ranked as a source of no standing, or dropped
    with `mode="strict"`. `ProvenanceReranker(workspace=ws).as_runnable()` goes between a retriever and a prompt.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    workspace: Workspace
    k: int = 5
    mode: Mode = "weighted"

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> list[Document]:
        """The best `k` of `documents`, as copies, each with its explanation in the metadata."""
        if not documents:
            return []
        proved = [_proved(self.workspace, document) for document in documents]
        ranking = rerank(query, self._candidates(documents, proved, query), limit=self.k, mode=self.mode)
        kept: list[Document] = []
        # What was proved comes first: a chain that joins the texts shows no reader which of them were not.
        for ranked in sorted(ranking.passages, key=lambda r: proved[r.index] is None):
            original, passage = documents[ranked.index], proved[ranked.index]
            told = {"verdict": "unverified"} if passage is None else _told(passage)
            told |= {"score": ranked.score, "explanation": asdict(ranked.explanation)}
            kept.append(_with_provenance(original.page_content, original.metadata, original.id, told))
        return kept

    def as_runnable(self) -> Runnable[dict[str, Any], list[Document]]:
        """A runnable from {"question": str, "documents": [Document]} to the ranked documents."""
        return RunnableLambda(lambda given: self.compress_documents(given["documents"], given["question"]))

    def _candidates(
        self, documents: Sequence[Document], proved: Sequence[VerifiedPassage | None], query: str
    ) -> list[Candidate]:
        """Each document as ranking sees it. What it says of its own provenance is not believed."""
        vectors = self.workspace.embedder.embed([document.page_content for document in documents])
        scores = vectors @ self.workspace.embedder.embed_query(query)
        return [
            Candidate(document.page_content, "unverified", float(score), vector, trust=0.0, verified=False)
            if passage is None
            else candidate_of(passage, float(score))
            for document, passage, vector, score in zip(documents, proved, vectors, scores, strict=True)
        ]


class _WorkspaceEmbeddings(Embeddings):
    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [[float(x) for x in row] for row in self._workspace.embedder.embed(texts)]

    def embed_query(self, text: str) -> list[float]:
        return [float(x) for x in self._workspace.embedder.embed_query(text)]


def _documents(report: SearchReport) -> list[Document]:
    """What was found. Each document tells what it alone can: what its mode left out of the answer, and why."""
    documents = [_document(ranked.passage, ranked) for ranked in report.passages]
    left_out = [
        {"doc_id": left.passage.doc_id, "source": left.passage.source, "reason": left.reason}
        for left in report.left_out
    ]
    for left in left_out if not documents else ():
        _LOG.warning("left out %(doc_id)s of %(source)s: %(reason)s", left)
    for document in documents if left_out else ():
        document.metadata[PROVENANCE]["left_out"] = left_out
    return documents


def _document(passage: VerifiedPassage, ranked: RankedPassage | None = None) -> Document:
    """A verified passage as LangChain sees it. A document of one chunk keeps its id; others add `:` and the chunk."""
    told = _told(passage)
    if ranked is not None:
        told |= {
            "score": ranked.score,
            "relevance": ranked.relevance,
            "explanation": asdict(ranked.explanation),
        }
        told["support"] = list(ranked.explanation.supporters)
    name = passage.doc_id if passage.count == 1 else passage_name(passage.doc_id, passage.index)
    return _with_provenance(passage.text, passage.metadata, name, told)


def _told(passage: VerifiedPassage) -> dict[str, Any]:
    return {
        "source": passage.source,
        "version": passage.version,
        "verdict": "verified",
        "key": passage.key_id,
        "snapshot": passage.snapshot_version,
        "doc_id": passage.doc_id,
        "chunk": passage.index,
        # None for what stands; what stood once says when, in unix seconds, and `snapshot` says in which.
        "as_of": passage.as_of,
    }


def _with_provenance(
    text: str, metadata: Mapping[str, Any], doc_id: str | None, told: dict[str, Any]
) -> Document:
    document = Document(page_content=text, id=doc_id)
    # Set after construction: validation would copy the mapping into a plain dict and lose its equality.
    document.metadata = ProvenanceMetadata({**_own(metadata), PROVENANCE: told})
    return document


def _proved(workspace: Workspace, document: Document) -> VerifiedPassage | None:
    """The standing passage that this document is, by its id and text; None where there is none or it can't be proved."""
    if document.id is None:
        return None
    named = named_passage(document.id)
    for name in (document.id,) if named is None else (document.id, named[0]):
        try:
            passages = workspace.read(name)
        except (NotFoundError, VerificationError):
            continue
        for passage in passages:
            if passage.text == document.page_content:
                return passage
    return None
