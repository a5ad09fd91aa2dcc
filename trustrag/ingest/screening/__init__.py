"""The door: what is looked at before a document may be believed.

A first automatic review of size, encoding, language, hidden Unicode, source code and media. A document that passes
gets a signed review; one that does not waits in quarantine, kept and shown to nobody.
"""

from importlib.util import find_spec

from trustrag.ingest.screening.base import Battery, Finding, Review, Screen, Severity, Verdict
from trustrag.ingest.screening.basic import EncodingScreen, LanguageScreen, SizeScreen
from trustrag.ingest.screening.code import BanditScreen, CodeLicenceScreen, CodeScreen, CommentScreen
from trustrag.ingest.screening.hidden import HiddenTextScreen
from trustrag.ingest.screening.media import MediaScreen

__all__ = [
    "BanditScreen",
    "Battery",
    "CodeLicenceScreen",
    "CodeScreen",
    "CommentScreen",
    "EncodingScreen",
    "Finding",
    "HiddenTextScreen",
    "LanguageScreen",
    "MediaScreen",
    "Review",
    "Screen",
    "Severity",
    "SizeScreen",
    "Verdict",
    "default_battery",
]


def default_battery() -> Battery:
    """The screens every document passes when nobody asked for others; bandit is one where it is installed."""
    screens: list[Screen] = [SizeScreen(), EncodingScreen(), LanguageScreen(), HiddenTextScreen()]
    screens += [CodeScreen(), CodeLicenceScreen(), MediaScreen()]
    return Battery([*screens, BanditScreen()] if find_spec("bandit") else screens)
