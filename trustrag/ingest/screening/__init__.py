"""The door: what is looked at before a document may be believed.

base            one protocol for every check, and what a check finds
battery         runs the screens over a document, then over its batch, and decides
registry        the screens by name, plug-ins among them
basic, hidden   size, encoding, language; hidden Unicode
lookalikes, injection, markers, bait, gibberish, credentials, personal, licence, models, rules
                screens of a text; phrases and disguise serve injection
code, media     source code with its comments; what a text says it was made from
concealed       text that a page has and does not show (sight: one module per format)
company         what a batch screen may ask; floods, geometry and contradiction are those
versions        a new version against the one that stands

A document that passes gets a signed review; one that does not waits in quarantine, kept and shown to nobody.
"""

from trustrag.ingest.screening.base import Finding, Screen, Severity, Verdict
from trustrag.ingest.screening.basic import EncodingScreen, LanguageScreen, SizeScreen
from trustrag.ingest.screening.battery import Battery, Review
from trustrag.ingest.screening.company import BatchScreen
from trustrag.ingest.screening.hidden import HiddenTextScreen
from trustrag.ingest.screening.registry import choose, names
from trustrag.ingest.screening.rules import Rule, RuleScreen

__all__ = [
    "BatchScreen",
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
    "Rule",
    "RuleScreen",
    "Screen",
    "Severity",
    "SizeScreen",
    "Verdict",
    "choose",
    "default_battery",
    "names",
]


def default_battery() -> Battery:
    """The screens every document passes when nobody asked for others. Raises ConfigError for a broken plug-in."""
    return choose()
