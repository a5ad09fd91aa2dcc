"""An index by its name.

open_index("flat", 384)   exact, 1.5 kB a vector, a linear scan: right up to some 100,000 chunks
open_index("hnsw", 384)   approximate, a graph on top: right above
"""

from trustrag.errors import ConfigError
from trustrag.index.base import VectorIndex


def open_index(kind: str, dimension: int) -> VectorIndex:
    """An empty index of this kind ("flat" or "hnsw"). Raises ConfigError for any other."""
    from trustrag.index.faiss import FlatIndex, HnswIndex

    match kind:
        case "flat":
            return FlatIndex(dimension)
        case "hnsw":
            return HnswIndex(dimension)
    raise ConfigError(f"there is no index {kind!r}: use 'flat' (exact) or 'hnsw' (for large collections)")
