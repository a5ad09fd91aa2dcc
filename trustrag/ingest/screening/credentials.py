"""Secrets that nobody meant to publish: keys and tokens by their form, with the detectors of detect-secrets.

Its entropy detectors stay off (in prose they find hashes and identifiers), nothing is ever verified over the network,
and a secret is never repeated: a finding says of what kind it is and where, and shows four characters at most.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from trustrag.ingest.document import Document
from trustrag.ingest.screening.base import Finding, Severity

if TYPE_CHECKING:
    from detect_secrets.plugins.base import BasePlugin

_STANDARD = "CWE-798"
LINE = 4000
"""Characters of a line that are looked at: its detectors were made for source code."""
_LIKELY = re.compile(
    r"[A-Za-z0-9_/+=.\\-]{18,}|-----BEGIN|://[^\s/@]{1,80}:[^\s/@]{1,80}@|(?:pass(?:word|wd|phrase)?|secret|token|api_?key|pwd)\w{0,12}[\"']?\s{0,3}[:=]",
    re.I,
)
_PLACEHOLDER = re.compile(
    r"example|sample|dummy|placeholder|change[_-]?me|your[_-]|xxxx|\*{3,}|<[^>]*>|\$\{|\{\{|0{8,}|1234567|abcdef|test|redacted|\.\.\.",
    re.I,
)
_CERTAIN = frozenset(
    {
        "AWS Access Key",
        "Azure Storage Account access key",
        "Discord Bot Token",
        "GitHub Token",
        "GitLab Token",
        "NPM tokens",
        "OpenAI Token",
        "Private Key",
        "PyPI Token",
        "SendGrid API Key",
        "Slack Token",
        "Square OAuth Secret",
        "Stripe Access Key",
    }
)
"""Kinds whose form is nobody else's; the rest also match identifiers of other things."""
_OFF = frozenset({"Base64 High Entropy String", "Hex High Entropy String", "Public IP (ipv4)"})
_KEY_BODY = re.compile(r"PRIVATE KEY-----\s*(?:\\n|\n)?\s*[A-Za-z0-9+/=\s\\]{64}")


@dataclass(frozen=True, slots=True)
class SecretScreen:
    """Credentials in the text."""

    name: str = "secrets"
    version: int = 1

    def check(self, document: Document) -> Iterator[Finding]:
        """Hold keys and tokens of an unmistakable form that are no placeholders; warn of the likely ones."""
        text = document.text
        start, seen = 0, set[tuple[str, str]]()
        for line in text.split("\n"):
            if _LIKELY.search(line, 0, LINE):
                for kind, secret in _secrets(line[:LINE]):
                    if (kind, secret) not in seen:
                        seen.add((kind, secret))
                        yield _finding(text, start, line, kind, secret)
            start += len(line) + 1


def _secrets(line: str) -> Iterator[tuple[str, str]]:
    for detector in _detectors():
        # Its own search gives the first group of a pattern, which of some tokens is the prefix alone.
        patterns = getattr(detector, "denylist", ())
        found = [match[0] for pattern in patterns for match in pattern.finditer(line)]
        for secret in found or detector.analyze_string(line):
            if secret:
                yield str(detector.secret_type), secret


def _finding(text: str, start: int, line: str, kind: str, secret: str) -> Finding:
    at = line.find(secret)
    first, last = (start + at, start + at + len(secret)) if at >= 0 else (start, start + len(line))
    # Only with its body is a private key one; documentation names the line that it begins with.
    certain = kind in _CERTAIN and (
        kind != "Private Key" or _KEY_BODY.search(text, max(0, first - 20)) is not None
    )
    made_up = _PLACEHOLDER.search(secret) is not None or len(set(secret)) < 8
    severity = Severity.NOTE if made_up else Severity.HOLD if certain else Severity.WARN
    shown = f" ({secret[:4]}...)" if kind in _CERTAIN and secret[:4].isalnum() else ""
    reason = f"{kind}{shown}{', a placeholder by its looks' if made_up else ''}"
    return Finding("SECRET", severity, first, last, reason, _STANDARD)


@cache
def _detectors() -> "tuple[BasePlugin, ...]":
    """One of each of its detectors but those of entropy; loaded with the first line that looks like one."""
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class

    kinds: list[tuple[str, type[BasePlugin]]] = sorted(get_mapping_from_secret_type_to_class().items())
    return tuple(kind() for name, kind in kinds if name not in _OFF)
