"""What every test may count on: no network, and a home folder of its own.

Set before anything is imported, because libraries read these variables once, at import.
"""

import os
from pathlib import Path

import pytest
from hypothesis import settings

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_OFFLINE"] = "1"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

# A shared machine may be slow at any moment: how long an example takes says nothing about the code.
settings.register_profile("shared-machine", deadline=None)
settings.load_profile("shared-machine")

from trustrag.index.embedding import Embedder, SentenceTransformerEmbedder  # noqa: E402


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """TRUSTRAG_HOME, fresh for each test: no test may read or write the keys of the person running it."""
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("TRUSTRAG_HOME", str(folder))
    monkeypatch.delenv("TRUSTRAG_WORKSPACE", raising=False)
    monkeypatch.delenv("TRUSTRAG_PASSPHRASE_FILE", raising=False)
    return folder


@pytest.fixture(scope="session")
def minilm() -> Embedder:
    """The default embedder: whatever needs its weights shares this one, for they load once a run."""
    return SentenceTransformerEmbedder()
