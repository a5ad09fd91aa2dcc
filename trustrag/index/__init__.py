"""The index: integers in, integers and scores out. It is never trusted and never sees a text.

What it answers is a hint: the retriever proves every passage afterwards and computes its score from the
proved vector. So the worst a broken or hostile index can do is to leave something out. Importing this
package loads neither faiss nor torch.
"""

from trustrag.index.base import Hit, VectorIndex
from trustrag.index.embedding import (
    Embedder,
    EmbedderIdentity,
    HashEmbedder,
    SentenceTransformerEmbedder,
    adapt_embedder,
    open_embedder,
)
from trustrag.index.opening import open_index

__all__ = [
    "Embedder",
    "EmbedderIdentity",
    "HashEmbedder",
    "Hit",
    "SentenceTransformerEmbedder",
    "VectorIndex",
    "adapt_embedder",
    "open_embedder",
    "open_index",
]
