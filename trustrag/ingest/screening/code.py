"""Source code at the door: what it does to whoever runs it, the licence it names, and what its comments tell a model.

An assistant that is given code repeats it. So a snippet that pipes a download into a shell is read here as advice, and
a comment as text: an order to the model is no safer behind `#`.

Sources: CWE (cwe.mitre.org) for what each pattern maps to; SPDX 3.0, annex on short identifiers in source files; bandit
(bandit.readthedocs.io) for Python.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

from trustrag.ingest.document import Document
from trustrag.ingest.reading import BY_MEDIA_TYPE, Unreadable, comments, isolation, one_line, spdx_header
from trustrag.ingest.screening.base import Finding, Screen, Severity
from trustrag.ingest.screening.hidden import HiddenTextScreen
from trustrag.ingest.screening.injection import InjectionScreen
from trustrag.ingest.screening.markers import MarkerScreen

if TYPE_CHECKING:
    from license_expression import Licensing

_NOTEBOOK = "application/x-ipynb+json"
_SEARCHED = 4_000_000
"""Characters of a file that are looked at; a longer one is held for its size."""
_BANDIT_SECONDS = 20

_FETCH = r"(?:curl|wget|iwr|irm|Invoke-WebRequest|Invoke-RestMethod)\b"
_SHELL = r"(?:sudo\s+(?:-\S+\s+)*)?(?:/(?:usr/)?bin/)?(?:ba|z|da|k|a)?sh\b"
_FETCHED = (
    r"(?:urlopen|requests\.(?:get|post)|httpx\.(?:get|post)|urllib|file_get_contents\s*\(\s*[\"']https?:|fetch\s*\("
    r"|LWP::Simple|Net::HTTP|open-uri)"
)
_DECODED = (
    r"(?:b64decode|base64_decode|\batob\s*\(|fromhex|zlib\.decompress|gzinflate|str_rot13|marshal\.loads|codecs\.decode"
    r"|Buffer\.from\([^\n)]{0,200}base64)"
)
_RUN = r"\b(?:eval|exec|execSync|Function|assert|system|popen|instance_eval)\s*\("


@dataclass(frozen=True, slots=True)
class _Pattern:
    """`hints` are what any match holds one of, in lower case: few files do, and to look for words costs next to nothing."""

    code: str
    severity: Severity
    standard: str
    what: str
    hints: tuple[str, ...]
    pattern: re.Pattern[str]


def _pattern(
    code: str, severity: Severity, standard: str, what: str, hints: str, *alternatives: str
) -> _Pattern:
    return _Pattern(code, severity, standard, what, tuple(hints.split()), re.compile("|".join(alternatives)))


# Every gap is bounded and stays on its line, so that no file makes a pattern search it over and over.
_PATTERNS = (
    _pattern(
        "PIPED_DOWNLOAD", Severity.WARN, "CWE-494", "runs what it downloads, unseen", "curl wget iwr irm iex invoke-",
        rf"\b{_FETCH}[^\n|;]{{1,300}}\|\s*{_SHELL}",
        rf"\b(?:ba|z)?sh\b[^\n]{{0,20}}(?:<\(|\$\(|`)\s*{_FETCH}",
        r"\b(?:iex|Invoke-Expression)\b[^\n]{0,80}(?:DownloadString|\biwr\b|\birm\b|Invoke-WebRequest)",
        rf"\b{_FETCH}[^\n|;]{{1,300}}\|\s*(?:iex|Invoke-Expression|python3?|perl|ruby|node)\b",
    ),
    _pattern(
        "EVALUATED_DOWNLOAD", Severity.HOLD, "CWE-494", "evaluates text that it downloads",
        "eval exec function( assert system popen",
        rf"{_RUN}[^\n]{{0,160}}{_FETCHED}",
    ),
    _pattern(
        "DECODED_AND_RUN", Severity.HOLD, "CWE-506", "runs what it first decodes",
        "eval exec function( assert system popen base64 powershell",
        rf"{_RUN}[^\n]{{0,160}}{_DECODED}",
        rf"\bbase64\s+(?:-d|-D|--decode)\b[^\n]{{0,120}}\|\s*{_SHELL}",
        r"(?i:powershell(?:\.exe)?\b[^\n]{0,80}\s-e(?:nc|ncodedcommand)?\s+[a-z0-9+/=]{40})",
    ),
    _pattern(
        "REVERSE_SHELL", Severity.HOLD, "CWE-506", "hands a shell to another machine",
        "/dev/tcp /dev/udp netcat ncat -e pty.spawn dup2 socat mkfifo",
        r"/dev/(?:tcp|udp)/[\w.$\{]{1,200}/", r"\b(?:nc|ncat|netcat)\b[^\n]{0,80}\s-(?:e|c)\s*/?(?:bin/)?(?:ba)?sh",
        r"\bpty\.spawn\s*\(\s*\[?\s*[\"']/bin/", r"\bos\.dup2\s*\([^\n]{0,60}\.fileno\(\)",
        r"\bsocat\b[^\n]{0,120}\bexec:", r"\bmkfifo\b[^\n]{0,200}\|\s*(?:nc|ncat|telnet|openssl)\b",
    ),
    _pattern(
        "EXFILTRATION", Severity.HOLD, "CWE-200", "sends the environment or keys of whoever runs it elsewhere",
        ".post env .ssh .aws etc/shadow",
        r"\b(?:requests|httpx)\.post\s*\([^\n]{0,200}\b(?:os\.environ|\.ssh/|\.aws/credentials)",
        rf"\b(?:env|printenv|cat\s+[^\n|]{{0,100}}(?:\.ssh/id_|\.aws/credentials|/etc/shadow))\s*[^\n|]{{0,40}}\|[^\n]{{0,80}}{_FETCH}",
        r"\bfetch\s*\([^\n]{0,200}\bprocess\.env\b(?!\.\w)",
    ),
    _pattern(
        "DESTRUCTION", Severity.HOLD, "CWE-73", "erases what it was not asked to", "rm mkfs dev/ :()",
        r"\brm\s+-(?:\w*r\w*f\w*|\w*f\w*r\w*)\s+(?:--no-preserve-root\s+)?(?:/|~|\$HOME)/?\*?\s*(?:$|[;&|\n\"'])",
        r"\bmkfs\.\w+\s+/dev/", r"\bdd\b[^\n]{0,120}\bof=/dev/(?:sd|nvme|hd|disk)", r":\(\)\s*\{\s*:\|:&\s*\};:",
    ),
    _pattern("MINING", Severity.HOLD, "CWE-506", "mines for somebody else", "stratum+", r"\bstratum\+(?:tcp|ssl)://"),
    _pattern(
        "NO_TLS_CHECK", Severity.WARN, "CWE-295", "does not check whom it talks to",
        "verify cert_none check_hostname unverified rejectunauthorized tls_reject curl no-check-cert invalid_certs stricthost",
        r"\bverify\s*=\s*False\b", r"\bCERT_NONE\b", r"\bcheck_hostname\s*=\s*False\b",
        r"\b_create_unverified_context\b", r"\brejectUnauthorized\s*:\s*false\b",
        r"NODE_TLS_REJECT_UNAUTHORIZED[\"'\]]{0,2}\s*=\s*[\"']?0", r"\bInsecureSkipVerify\s*:\s*true\b",
        r"\bcurl\b[^\n|]{0,120}\s(?:-[a-zA-Z]*k\b|--insecure\b)", r"--no-check-certificate\b",
        r"CURLOPT_SSL_VERIFY(?:PEER|HOST)\s*,\s*(?:0|false)", r"\bdanger_accept_invalid_certs\s*\(\s*true",
        r"\bhttp\.sslVerify[\s=]+false\b", r"\bStrictHostKeyChecking[\s=]+no\b",
    ),
    _pattern(
        "HARD_CODED_SECRET", Severity.WARN, "CWE-798", "holds a password or key", "passw secret key token",
        r"(?:[Pp]ass(?:word|wd)|PASS(?:WORD|WD)|[Ss]ecret|SECRET|(?:[Aa]pi|[Aa]ccess)_?[Kk]ey|(?:API|ACCESS)_?KEY"
        r"|(?:[Aa]uth|[Aa]ccess)_?[Tt]oken|(?:AUTH|ACCESS)_?TOKEN)[\"']?\s*(?:=|:|=>)\s*[\"'](?P<secret>[^\"'\s]{8,200})[\"']",
    ),
)  # fmt: skip

_PLACEHOLDER = re.compile(
    r"(?i)^<.*>$|[{}$%]|x{4}|\.{3}|\*{3}|your|example|change|placeholder|dummy|secret|password|token|api_?key|test|none|null"
)


@dataclass(frozen=True, slots=True)
class CodeScreen:
    """What no snippet should teach: downloads that are run, shells handed out, secrets, checks that are switched off."""

    name: str = "code"
    version: int = 1

    def check(self, document: Document) -> Iterator[Finding]:
        """Hold what attacks whoever runs it; warn of what is careless. Source files and notebooks only."""
        if document.media_type not in BY_MEDIA_TYPE and document.media_type != _NOTEBOOK:
            return
        text = document.text[:_SEARCHED]
        lowered = text.lower()
        found = [
            _at(text, pattern, match)
            for pattern in _PATTERNS
            if any(hint in lowered for hint in pattern.hints)
            for match in pattern.pattern.finditer(text)
            if not _is_placeholder(match)
        ]
        yield from sorted(found, key=lambda finding: finding.start)


def _at(text: str, pattern: _Pattern, match: re.Match[str]) -> Finding:
    # What is said of a secret is that it is there; a report is no place for it.
    shown = "" if "secret" in match.groupdict() else f": {one_line(match[0])[:80]}"
    reason = f"line {_line(text, match.start())} {pattern.what}{shown.replace('[', '(').replace(']', ')')}"
    return Finding(pattern.code, pattern.severity, match.start(), match.end(), reason, pattern.standard)


def _is_placeholder(match: re.Match[str]) -> bool:
    secret = match.groupdict().get("secret")
    if secret is None:
        return False
    mixed = any(map(str.isdigit, secret)) and any(map(str.isalpha, secret))
    return not mixed or len(set(secret)) < 6 or _PLACEHOLDER.search(secret) is not None


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


@dataclass(frozen=True, slots=True)
class CommentScreen:
    """Comments and docstrings, put together to running text, for screens of text: `inner` look for what they look for.

    Raises ValueError without one: a review would then say that comments were looked at.
    """

    inner: Sequence[Screen]
    name: str = "comments"
    version: int = 1

    def __post_init__(self) -> None:
        if not self.inner:
            raise ValueError("comments are looked at by screens of text: none was given")

    def check(self, document: Document) -> Iterator[Finding]:
        """What the screens find, placed in the source."""
        language = BY_MEDIA_TYPE.get(document.media_type)
        if language is None:
            return
        prose = comments(document.text[:_SEARCHED], language)
        if not prose.text.strip():
            return
        alone = replace(document, text=prose.text, media_type="text/plain")
        for screen in self.inner:
            for found in screen.check(alone):
                start, end = prose.span(found.start, found.end) if found.end else (0, 0)
                yield replace(found, start=start, end=end, reason=f"in a comment: {found.reason}")


def comment_screen() -> CommentScreen:
    """What a comment may hold that no prose may: orders to a model, marks of a conversation, characters nobody sees."""
    return CommentScreen((HiddenTextScreen(), InjectionScreen(), MarkerScreen()))


@dataclass(frozen=True, slots=True)
class CodeLicenceScreen:
    """The licence that the head of a source file names (SPDX-License-Identifier), held against the declared one.

    A permissive file may stand under any licence; a copyleft one may not be handed on as MIT. That is the question
    here, not whether two licences may be linked: for that a lawyer is asked.
    """

    name: str = "code-licence"
    version: int = 1

    def check(self, document: Document) -> Iterator[Finding]:
        """Hold a file whose licence does not allow what its source declares; warn of one that SPDX does not know."""
        if document.media_type not in BY_MEDIA_TYPE:
            return
        header = spdx_header(document.text)
        if not header:
            return
        start = document.text.index(header)
        span = (start, start + len(header))
        told = one_line(header)
        problem = _unknown(header)
        if problem:
            reason = f"its header names {told}, which is no SPDX expression"
            yield Finding("LICENCE_UNKNOWN", Severity.WARN, *span, reason, "SPDX")
        elif document.licence is not None and not allows(header, document.licence):
            reason = f"its header says {told}, and its source declares {one_line(document.licence)}"
            yield Finding("LICENCE_CONFLICT", Severity.HOLD, *span, reason, "SPDX")


def allows(found: str, declared: str) -> bool:
    """Whether what is under `found` may be handed on as being under `declared`, both SPDX expressions.

    One side of an OR is enough, of an AND each has to. A licence allows itself; a permissive one, or the public
    domain, allows any. A declared expression that SPDX does not know is allowed nothing but what is permissive.
    """
    given = frozenset() if _unknown(declared) else _keys(declared)

    def holds(node: object) -> bool:
        parts = getattr(node, "args", ())
        if parts:
            return (any if type(node).__name__ == "OR" else all)(holds(part) for part in parts)
        # `GPL-2.0-only WITH Classpath-exception-2.0` is one symbol; without its exception it is another licence.
        return str(node) in given or _is_permissive(str(node))

    return holds(_spdx().parse(found))


def _unknown(expression: str) -> bool:
    from license_expression import ExpressionError

    try:
        _spdx().parse(expression, validate=True)
    except (ExpressionError, AttributeError, TypeError, ValueError):
        return True  # what its parser raises for `AND AND` is not all of its own kind
    return not expression.strip()


def _keys(expression: str) -> frozenset[str]:
    parsed = _spdx().parse(expression)
    return frozenset(str(symbol) for symbol in parsed.symbols)


@cache
def _spdx() -> "Licensing":
    from license_expression import get_spdx_licensing

    return get_spdx_licensing()


def _is_permissive(key: str) -> bool:
    return _categories().get(key.split(" WITH ")[0].lower(), "") in ("Permissive", "Public Domain")


@cache
def _categories() -> dict[str, str]:
    from license_expression import get_license_index

    return {
        spdx.lower(): str(entry.get("category") or "")
        for entry in get_license_index()
        for spdx in (entry.get("spdx_license_key"), *entry.get("other_spdx_license_keys", ()))
        if spdx
    }


@dataclass(frozen=True, slots=True)
class BanditScreen:
    """Python by bandit, in a process of its own and not for longer than 20 seconds. `# nosec` switches nothing off."""

    name: str = "bandit"
    version: int = 1

    def check(self, document: Document) -> Iterator[Finding]:
        """Hold what bandit calls high, warn of medium, note low; one that it is not sure of weighs a step less."""
        if document.media_type != "text/x-python":
            return
        try:
            answer = isolation.run("bandit", document.text.encode(), seconds=_BANDIT_SECONDS)
        except Unreadable as error:
            yield Finding("NOT_ANALYSED", Severity.WARN, 0, 0, f"bandit did not finish: {error}")
            return
        if not answer["parsed"]:
            yield Finding(
                "NOT_ANALYSED", Severity.NOTE, 0, 0, "bandit cannot parse it: not this Python, or no Python"
            )
        issues = answer["issues"]
        lines = document.text.split("\n")
        starts = [0]
        for line in lines:
            starts.append(starts[-1] + len(line) + 1)
        for issue in issues if isinstance(issues, list) else ():
            yield _issue(issue, starts)


_WEIGHTS = (Severity.NOTE, Severity.WARN, Severity.HOLD)
_LEVELS = {"LOW": 0, "MEDIUM": 1, "HIGH": 2}


def _issue(issue: dict[str, object], starts: Sequence[int]) -> Finding:
    line = min(max(1, int(str(issue["line"]))), len(starts) - 1)
    weight = _LEVELS.get(str(issue["severity"]), 0) - (issue["confidence"] == "LOW")
    reason = f"line {line} {issue['test']}: {one_line(str(issue['text']))}"
    return Finding(
        "BANDIT", _WEIGHTS[max(0, weight)], starts[line - 1], starts[line] - 1, reason, f"CWE-{issue['cwe']}"
    )
