"""LangChain's own standard tests, whole: the real store on disk, nothing skipped, nothing overridden."""

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_core.vectorstores import VectorStore
from langchain_tests.integration_tests import RetrieversIntegrationTests, VectorStoreIntegrationTests

from trustrag.langchain import ProvenanceRetriever, TrustedVectorStore
from trustrag.workspace import Workspace


class TestTrustedVectorStore(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self, tmp_path: Path) -> Generator[VectorStore, None, None]:
        with Workspace.init(tmp_path / "kb", source="acme", embedder=self.get_embeddings()) as workspace:
            yield TrustedVectorStore(workspace, source="acme")


class TestProvenanceRetriever(RetrieversIntegrationTests):
    @pytest.fixture(autouse=True)
    def _store(self, tmp_path: Path) -> None:
        self.workspace = Workspace.init(tmp_path / "kb", source="acme", embedder="hash")
        animals = ("a cat sleeps", "a dog barks", "a cow gives milk", "a horse runs", "a bee flies")
        TrustedVectorStore(self.workspace, source="acme").add_documents(
            [Document(page_content=text, id=f"animal-{n}") for n, text in enumerate(animals)]
        )

    @property
    def retriever_constructor(self) -> type[BaseRetriever]:
        return ProvenanceRetriever

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return {"workspace": self.workspace}

    @property
    def retriever_query_example(self) -> str:
        return "which animal gives milk"
