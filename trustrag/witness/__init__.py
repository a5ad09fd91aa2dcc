"""A witness: somebody outside who looks at logs, and signs only what extends all that it signed before."""

from trustrag.witness.witness import Followed, Seen, Witness

__all__ = ["Followed", "Seen", "Witness"]
