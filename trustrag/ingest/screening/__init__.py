"""The door: what is looked at before a document may be believed.

A first automatic review of size, encoding, language and hidden Unicode. A document that passes gets a
signed review; one that does not waits in quarantine, kept and shown to nobody.
"""

from trustrag.ingest.screening.base import Finding, Screen, Severity, Verdict
from trustrag.ingest.screening.basic import EncodingScreen, LanguageScreen, SizeScreen
from trustrag.ingest.screening.battery import Battery, Review
from trustrag.ingest.screening.hidden import HiddenTextScreen

__all__ = [
    "Battery",
    "EncodingScreen",
    "Finding",
    "HiddenTextScreen",
    "LanguageScreen",
    "Review",
    "Screen",
    "Severity",
    "SizeScreen",
    "Verdict",
    "default_battery",
]


def default_battery() -> Battery:
    """The screens every document passes when nobody asked for others."""
    return Battery((SizeScreen(), EncodingScreen(), LanguageScreen(), HiddenTextScreen()))
