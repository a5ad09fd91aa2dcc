"""Transcripts with times: WebVTT and SubRip (SRT), a passage for every few cues, with the time it spans.

Sources: WebVTT (W3C Candidate Recommendation, 4 April 2019), sections 3 and 4; SubRip as players read it.
"""

import html
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from trustrag.ingest.document import Document, Origin, ReadProblem
from trustrag.ingest.reading.formats import Unreadable, decode, one_line
from trustrag.ingest.reading.media import Media, beside, media_of
from trustrag.ingest.reading.records import RECORDS_LIMIT, each, grouped, record

_TIME = r"(?:(\d{2,4}):)?([0-5]\d):([0-5]\d)[.,](\d{3})"
_TIMES = re.compile(rf"[ \t]*{_TIME}[ \t]+-->[ \t]+{_TIME}(?:[ \t].*)?")
_VOICE = re.compile(r"<v(?:\.[^ \t>]*)?[ \t]+([^>]{1,200})>")
_TAG = re.compile(r"<[^<>]{0,300}>|\{\\[^{}]{0,100}\}")
_SAID = re.compile(r"(media|sha256|tool)[ \t]*:[ \t]*(\S.*)", re.IGNORECASE)
_WEBVTT = "WEBVTT"
_BARRED = ("NOTE", "STYLE", "REGION")


@dataclass(frozen=True, slots=True)
class _Cue:
    """What is said from `start` to `end` (milliseconds), and the lines it stands in."""

    start: int
    end: int
    text: str
    lines: tuple[int, int]


def read_vtt(data: bytes, origin: Origin) -> Iterator[Document | ReadProblem]:
    """Read WebVTT. Its header or a NOTE may say `media: FILE`, `sha256: HEX` and `tool: NAME VERSION`.

    Without it, the recording is the one of the same name beside it. Documents are `talk.vtt#1` and so on; `start` and
    `end` in their metadata say when (`00:01:05.000`). A time that makes no sense refuses the file: what is cited by
    its time is worth nothing under a wrong one.
    """
    yield from _read(data, origin, "text/vtt")


def read_srt(data: bytes, origin: Origin) -> Iterator[Document | ReadProblem]:
    """Read SubRip, which has no place to name its recording: it is the one of the same name beside it."""
    yield from _read(data, origin, "application/x-subrip")


def _read(data: bytes, origin: Origin, media_type: str) -> Iterator[Document | ReadProblem]:
    try:
        text = decode(data)
        if text.count("\n") > 4 * RECORDS_LIMIT:
            raise Unreadable(f"more than {4 * RECORDS_LIMIT:,} lines; split it")
        lines = text.split("\n")
        cues, said = _parse(lines, vtt=media_type == "text/vtt")
        name = said.get("media") or beside(origin)
        media = media_of(origin, name, declared=said.get("sha256"), tool=said.get("tool")) if name else None
    except Unreadable as error:
        yield ReadProblem(origin.doc_id, one_line(str(error)))
        return
    yield from each(_passages(cues, lines, media, origin, media_type), origin)


def _passages(
    cues: Sequence[_Cue], lines: Sequence[str], media: Media | None, origin: Origin, media_type: str
) -> Iterator[tuple[str, Callable[[], Document]]]:
    for number, (first, end) in enumerate(grouped(len(cue.text) for cue in cues), 1):
        some = cues[first:end]
        metadata = {
            "start": clock(min(cue.start for cue in some)),
            "end": clock(max(cue.end for cue in some)),
            **(media.metadata if media else {}),
        }
        yield (
            str(number),
            partial(
                record,
                origin,
                str(number),
                "\n".join(lines[some[0].lines[0] : some[-1].lines[1]]).encode(),
                "\n".join(cue.text for cue in some),
                metadata,
                media_type=media_type,
                derived_from=(media.derivation,) if media else (),
            ),
        )


def clock(milliseconds: int) -> str:
    """A time in a recording as hours, minutes and seconds: 00:01:05.000."""
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{rest:03}"


def _parse(lines: Sequence[str], *, vtt: bool) -> tuple[list[_Cue], dict[str, str]]:
    """The cues that say something, and what the file says of its media."""
    if vtt and not re.fullmatch(rf"{_WEBVTT}(?:[ \t].*)?", lines[0]):
        raise Unreadable("its first line is not WEBVTT: no WebVTT file")
    cues: list[_Cue] = []
    said: dict[str, str] = {}
    for first, end in _blocks(lines):
        block = lines[first:end]
        if vtt and (first == 0 or block[0].split(maxsplit=1)[0] in _BARRED) and "-->" not in "".join(block):
            for line in block:
                found = _SAID.fullmatch(line.removeprefix("NOTE").strip())
                if found:
                    said.setdefault(found[1].lower(), found[2].strip())
            continue
        cue = _cue(block, first)
        if cue.text:
            cues.append(cue)
    if not cues:
        raise Unreadable("no text in it")
    return cues, said


def _blocks(lines: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Runs of lines that are not blank, as (first, last + 1)."""
    start: int | None = None
    for number, line in enumerate([*lines, ""]):
        if line.strip() and start is None:
            start = number
        elif not line.strip() and start is not None:
            yield start, number
            start = None


def _cue(block: Sequence[str], first: int) -> _Cue:
    # A cue may be named by the line above its times, and by no more.
    at = 0 if "-->" in block[0] else 1
    times = _TIMES.fullmatch(block[at]) if at < len(block) else None
    if times is None:
        raise Unreadable(
            f"line {first + 1}: no cue: a line such as 00:01:05.000 --> 00:01:12.000 is missing or wrong"
        )
    start, end = _milliseconds(times.groups()[:4]), _milliseconds(times.groups()[4:])
    if end < start:
        raise Unreadable(f"line {first + at + 1}: a cue that ends before it begins")
    said = " ".join(filter(None, (_plain(line) for line in block[at + 1 :])))
    return _Cue(start, end, said, (first, first + len(block)))


def _milliseconds(parts: Sequence[str | None]) -> int:
    hours, minutes, seconds, rest = (int(part or 0) for part in parts)
    return ((hours * 60 + minutes) * 60 + seconds) * 1000 + rest


def _plain(line: str) -> str:
    """A line without its marks; who speaks is told."""
    spoken = _VOICE.sub(lambda match: f"{one_line(match[1])}: ", line)
    return " ".join(html.unescape(_TAG.sub("", spoken)).split())
