"""Who may say what here, and which of those keys we hold: the trust root and the keyring of one store as one thing."""

from trustrag.authority.authority import SNAPSHOT_LIFETIME, Authority, KeyFact

__all__ = ["SNAPSHOT_LIFETIME", "Authority", "KeyFact"]
