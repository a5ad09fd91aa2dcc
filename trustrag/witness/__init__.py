"""A witness: somebody outside who looks at logs, and signs only what extends all that it signed before."""

from trustrag.witness.witness import Cosigned, Followed, Witness

__all__ = ["Cosigned", "Followed", "Witness"]
