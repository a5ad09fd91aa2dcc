"""Text that pretends to be something else: a turn of the chat, the end of the context, another passage, a proof.

Prompts are put together from passages and fixed words around them. A passage that holds such words itself can speak as
the system or the user, close the context, or bring passages along that nobody retrieved (ATLAS: False RAG Entry
Injection). Shown as code, the same words are documentation, and a warning.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from trustrag.ingest.document import Document
from trustrag.ingest.screening.base import Finding, Severity, shown
from trustrag.ingest.screening.injection import is_quoted, quotations

_FALSE_ENTRY = "AML.T0071"
_INJECTION = "OWASP LLM01:2025"

_ROLE_TOKENS = re.compile(
    r"<\|(?:im_start|im_end|im_sep|endoftext|begin_of_text|end_of_text|start_header_id|end_header_id"
    r"|eot_id|eom_id|system|user|assistant"
    r"|endofprompt|fim_prefix|channel|message|start|return)\|>|\[/?INST\]|<</?SYS>>|<(?:start"
    r"|end)_of_turn>|<\uff5c(?:User|Assistant|begin\u2581of\u2581sentence)\uff5c>"
    r"|\[/?(?:SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_RESULTS|TOOL_CALLS)\]"
)
_TAGS = re.compile(
    r"</?(?:system|system[-_]prompt|system[-_]message|assistant|user|human|instructions?|context"
    r"|retrieved[-_](?:context|documents?)|documents?"
    r"|passages?|search[-_]results?|tool[-_](?:result|response|call|use)|function[-_](?:results?|calls?)"
    r"|thinking|admin|developer)(?:\s[^<>\n]{0,80})?>",
    re.I,
)
_JSON_ROLE = re.compile(
    r"[\"']role[\"']\s*:\s*[\"'](?:system|assistant|developer|tool)[\"']\s*,\s*[\"']content[\"']\s*:", re.I
)
_HEADINGS = re.compile(
    r"^[ \t#*=\-_\[(<]*(?:(?:new |updated |real |actual )?system (?:prompt|message|instructions?|note"
    r"|override)|developer message|end of (?:the )?(?:system )?(?:prompt|context|document|documents"
    r"|passages?|instructions?|retrieved \w+|search results)|(?:begin|start) (?:of )?(?:system |new "
    r")?(?:prompt|context|instructions?|user (?:query|message)))\b[ \t#*=\-_\])>]*(?::|$)",
    re.I | re.M,
)
_TURN = re.compile(
    r"^[ \t#*>]*(system|user|human|assistant|ai|bot|chatgpt|model)[ \t]*\**[ \t]*:[ \t]*\S", re.I | re.M
)
_SPEAKS = re.compile(r"\b(?:you|your|must|never|always|answer|respond|ignore|assistant|the user)\b", re.I)
_ENTRY = re.compile(
    r"^[ \t]*(?:[\[(<#*]*(?:(?:retrieved|context) )?(?:document|passage|chunk|snippet|search result"
    r"|retrieved text|source)[ #_-]*\[?\d+\]?[\])>*]*[ \t]*(?:\([^()\n]{0,80}\))?[ \t]*[:\-]"
    r"|\[\d+\][ \t]*(?:\"|\u201c)?(?:source|title|document|passage|doc_?id)\b[ \t]*[:=])",
    re.I | re.M,
)
_PROOF = re.compile(
    r"\bTRUSTRAG_[A-Z0-9_]+\b|[\"'](?:verified|trust(?:_score|ed)?|provenance|verdict)[\"']\s*:\s*(?:true"
    r"|1(?:\.0)?|[\"'](?:verified|ok|admit|trusted|high)[\"'])"
    r"|[\[(](?:(?:cryptographically |digitally )?(?:verified|signed|authenticated)(?: by| source| passage"
    r"| document|:)|source verified|trust (?:level|score)\s*[:=])[^\])\n]{0,80}[\])]",
    re.I,
)
_CITED = re.compile(
    r"\((?:source|sources|cited|citation|reference|ref)s?\s*:\s*[^()\n]{0,80}\b(?:verified|confirmed"
    r"|official|authoritative|trusted|peer[- ]reviewed)\b[^()\n]{0,40}\)"
    r"|\b(?:confirmed|verified|corroborated) by (?:all|every|multiple|\d+) (?:independent |other "
    r"|retrieved |official )*(?:sources?|documents?|passages?)\b",
    re.I,
)


@dataclass(frozen=True, slots=True)
class _Kind:
    code: str
    severity: Severity
    pattern: re.Pattern[str]
    what: str
    standard: str


_KINDS = (
    _Kind("ROLE_TOKEN", Severity.HOLD, _ROLE_TOKENS, "a control token of a chat template", _INJECTION),
    _Kind("ROLE_TAG", Severity.WARN, _TAGS, "a tag that prompts are built of", _INJECTION),
    _Kind("ROLE_MESSAGE", Severity.HOLD, _JSON_ROLE, "a message with a role, as an API is sent", _INJECTION),
    _Kind("PROMPT_BOUNDARY", Severity.HOLD, _HEADINGS, "words that begin or end a prompt", _INJECTION),
    _Kind("FALSE_ENTRY", Severity.WARN, _ENTRY, "the head of another passage", _FALSE_ENTRY),
    _Kind("FALSE_PROOF", Severity.HOLD, _PROOF, "a mark of trust that only the store can give", _FALSE_ENTRY),
    _Kind(
        "FALSE_CITATION",
        Severity.WARN,
        _CITED,
        "a claim to be confirmed, with nothing to look up",
        _FALSE_ENTRY,
    ),
)


@dataclass(frozen=True, slots=True)
class MarkerScreen:
    """Role tags, chat turns, context boundaries, heads of passages, and marks of trust, where a text may not bring any."""

    name: str = "markers"
    version: int = 1

    def check(self, document: Document) -> Iterator[Finding]:
        """Hold control tokens, boundaries and forged proofs that are not shown as code; warn of the rest."""
        text = document.text
        found = [
            (kind, match.start(), match.end()) for kind in _KINDS for match in kind.pattern.finditer(text)
        ]
        turns = list(_TURN.finditer(text))
        if not found and not turns:
            return
        quoted = quotations(text)
        closing = _closed_only(text)
        for kind, start, end in found:
            severity = kind.severity
            # A tag that closes what was never opened ends the prompt's own part.
            if kind.code == "ROLE_TAG" and text[start:end].lower() in closing:
                severity = Severity.HOLD
            if kind.code == "FALSE_ENTRY" and _entries(found) > 1:
                severity = Severity.HOLD
            if severity is Severity.HOLD and is_quoted(text, start, end, quoted):
                severity = Severity.WARN
            yield Finding(
                kind.code, severity, start, end, f"{kind.what}: {shown(text[start:end])}", kind.standard
            )
        yield from _turns(text, turns, quoted)


def _entries(found: list[tuple[_Kind, int, int]]) -> int:
    return sum(kind.code == "FALSE_ENTRY" for kind, _, _ in found)


def _closed_only(text: str) -> frozenset[str]:
    """Closing tags that stand before any opening one of their name."""
    opened: set[str] = set()
    closed: set[str] = set()
    for match in _TAGS.finditer(text):
        tag = match[0].lower()
        name = re.split(r"[\s>]", tag.lstrip("</"))[0]
        if not tag.startswith("</"):
            opened.add(name)
        elif name not in opened:
            closed.add(tag)
    return frozenset(closed)


def _turns(text: str, turns: list[re.Match[str]], quoted: list[tuple[int, int]]) -> Iterator[Finding]:
    """Lines as turns of a chat: a transcript is honest, one that gives orders as the system is not."""
    roles = {match[1].lower() for match in turns}
    for match in turns:
        role = match[1].lower()
        if role != "system" and len(roles) < 2:
            continue
        line = text[match.start() : text.find("\n", match.end()) % (len(text) + 1)]
        speaks = role == "system" and (len(roles) > 1 or _SPEAKS.search(line) is not None)
        held = speaks and not is_quoted(text, match.start(), match.end(), quoted)
        severity = Severity.HOLD if held else Severity.WARN if role == "system" else Severity.NOTE
        reason = f"a line in the role of {role}: {shown(line)}"
        yield Finding("ROLE_LINE", severity, match.start(), match.end(), reason, _INJECTION)
