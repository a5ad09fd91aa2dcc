"""What the media says that a text was made from."""

from collections.abc import Iterator
from dataclasses import dataclass

from trustrag.ingest.document import Document
from trustrag.ingest.screening.base import Finding, Severity


@dataclass(frozen=True, slots=True)
class MediaScreen:
    """The C2PA verdict of the picture or recording that a caption or transcript was made from.

    Content Credentials that hold are no proof of what is in the picture, and none at all is what most media have: only
    credentials that are there and do not hold say something, namely that the file was changed after it was signed.
    """

    name: str = "media"
    version: int = 1

    def check(self, document: Document) -> Iterator[Finding]:
        """Hold a text whose media has credentials that do not hold; note those that do."""
        for origin in document.derived_from:
            verdict = origin.c2pa or "none"
            if verdict.startswith("invalid"):
                reason = f"the Content Credentials of its media do not hold ({verdict}): it was changed after signing"
                yield Finding("C2PA_INVALID", Severity.HOLD, 0, 0, reason, "C2PA 2.1")
            elif verdict.startswith("unreadable"):
                yield Finding("C2PA_UNREADABLE", Severity.WARN, 0, 0, f"its media: {verdict}", "C2PA 2.1")
            elif verdict != "none":
                yield Finding(
                    "C2PA",
                    Severity.NOTE,
                    0,
                    0,
                    f"the Content Credentials of its media: {verdict}",
                    "C2PA 2.1",
                )
