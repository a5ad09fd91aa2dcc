"""Moving in from another store: what it saved, as documents and the vectors they had.

faiss_folder what LangChain's FAISS store saved
unpickle     a pickle of plain data, read without running any of it
"""

from trustrag.ingest.moving.faiss_folder import FaissFolder, KeptVectors

__all__ = ["FaissFolder", "KeptVectors"]
