"""How reports are told: as text for people, as plain facts for JSON."""

import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer

from trustrag.cli.common import one_line

if TYPE_CHECKING:
    from trustrag.workspace import (
        Abstained,
        AttestReport,
        AuditReport,
        Gathered,
        Grounded,
        IngestReport,
        Outcome,
        PublishReport,
        RankedPassage,
        RefusedPassage,
        SearchReport,
        VerifiedPassage,
    )

WIDTH = 100
NEAR = 0.4
"""Relevance (cosine to the question) below which a passage is hardly about it; `ask` quotes no sentence below it."""

_TIMED = ("text/vtt", "application/x-subrip")


# ---- search


def print_report(report: "SearchReport") -> None:
    """Each passage with source, version, date, key, verdict and scores; then what was refused, and why."""
    if report.as_of is not None:
        typer.secho(
            f"AS OF snapshot {report.snapshot.version}, sealed {time_of(report.as_of)}: what stood then, and maybe stands no "
            "more. Keys and expiry are today's: who was suspended or revoked since is silent here, too.",
            fg="yellow",
        )
    for contest in report.contested:
        left, right = ", ".join(contest.sources), ", ".join(contest.other_sources)
        typer.secho(
            f"CONTESTED: {left} say {one_line(contest.value)!r}, {right} say {one_line(contest.other)!r}; nothing decides.",
            fg="yellow",
        )
    for ranked in report.passages:
        _print_passage(ranked)
    if not report.passages:
        typer.echo("No passage that can be proved matches.")
    elif max(ranked.relevance for ranked in report.passages) < NEAR:
        typer.secho(
            f"FAR: none of these is near the question (relevance below {NEAR}): a search gives the nearest it has, and "
            "verified says who published them, not that they answer it.",
            fg="yellow",
        )
    for field in report.unknown_fields:
        typer.secho(f"NO SUCH FIELD: no standing document has {one_line(field)!r} in its metadata", fg="red")
    for one in report.left_out:
        typer.secho(f"LEFT OUT {_place(one.passage)} of {one.passage.source}: {one.reason}", fg="yellow")
    print_refused(report.refused)
    for fault in report.faults:
        typer.secho(f"INDEX: {one_line(fault)}", fg="red")
    info = report.snapshot
    guard = (
        f"witnessed by {', '.join(info.witnesses)}"
        if info.witnesses
        else "not protected against a split view"
    )
    typer.secho(f"snapshot {info.version} of {time_of(info.issued_at)}, {guard}", dim=True)


def _print_passage(ranked: "RankedPassage") -> None:
    passage = ranked.passage
    typer.secho(f"{ranked.rank}. {_place(passage)}", bold=True)
    marks = " probation" if passage.probation else ""
    typer.echo(
        f"   VERIFIED{_as_of(passage)} source {passage.source} (trust {passage.trust / 1000:.2f}{marks}) "
        f"version {passage.version} signed {time_of(passage.issued_at)} key {passage.key_id[:16]}"
    )
    if passage.reviewers:
        typer.echo(f"   approved by {', '.join(passage.reviewers)}")
    told = ranked.explanation
    line = f"   relevance {ranked.relevance:.3f} rank score {ranked.score:.3f}"
    if told.supporters:
        line += f" supported by {', '.join(told.supporters)}"
    if told.penalties:
        line += " lowered for " + ", ".join(f"{p.name} x{p.factor:.2f}" for p in told.penalties)
    typer.echo(line)
    for conflict in told.conflicts:
        typer.secho(
            f"   {conflict.source} says {one_line(conflict.other)!r} against {one_line(conflict.value)!r}",
            fg="yellow",
        )
    text = textwrap.shorten(one_line(passage.text), 600, placeholder=" ...")
    typer.echo(textwrap.fill(text, WIDTH, initial_indent="   ", subsequent_indent="   "))
    typer.echo("")


def _place(passage: "VerifiedPassage") -> str:
    from trustrag.workspace import passage_name

    return f"{one_line(passage_name(passage.doc_id, passage.index))}{_inside(passage)}"


def _as_of(passage: "VerifiedPassage") -> str:
    return "" if passage.as_of is None else f" AS OF snapshot {passage.snapshot_version}"


def _inside(passage: "VerifiedPassage") -> str:
    """Where in a recording or a table it is from, as its source signed it: ` 00:01:05.000-00:01:12.000`."""
    start, end, rows = (passage.metadata.get(name) for name in ("start", "end", "rows"))
    if passage.media_type in _TIMED and isinstance(start, str) and isinstance(end, str):
        return f" {one_line(start)}-{one_line(end)}"
    return f" rows {one_line(rows)}" if passage.media_type == "text/csv" and isinstance(rows, str) else ""


def print_refused(refused: "tuple[RefusedPassage, ...]") -> None:
    """One line for each passage that was found and not believed."""
    from trustrag.workspace import passage_name

    for entry in refused:
        name = one_line(passage_name(entry.doc_id, entry.chunk)) if entry.doc_id else "a passage"
        typer.secho(f"REFUSED {name}: {one_line(entry.reason)}", fg="red")


def report_facts(report: "SearchReport") -> dict[str, object]:
    """A search report as plain facts."""
    return {
        "question": report.question,
        "as_of": _as_of_facts(report.snapshot.version, report.as_of),
        "passages": [
            passage_facts(ranked.passage)
            | {"rank": ranked.rank, "score": ranked.score, "relevance": ranked.relevance}
            | {"explanation": asdict(ranked.explanation)}
            for ranked in report.passages
        ],
        "refused": [refused_facts(entry) for entry in report.refused],
        "contested": [asdict(contest) for contest in report.contested],
        "certificate": asdict(report.certificate) if report.certificate else None,
        "left_out": [
            {"doc_id": left.passage.doc_id, "chunk": left.passage.index, "source": left.passage.source}
            | {"reason": left.reason}
            for left in report.left_out
        ],
        "unknown_fields": list(report.unknown_fields),
        "faults": list(report.faults),
        "snapshot": {
            "version": report.snapshot.version,
            "root": report.snapshot.root.hex,
            "issued": time_of(report.snapshot.issued_at),
            "expires": time_of(report.snapshot.expires),
            "witnesses": list(report.snapshot.witnesses),
        },
    }


def passage_facts(passage: "VerifiedPassage") -> dict[str, object]:
    """A verified passage as plain facts."""
    return {
        "text": passage.text,
        "doc_id": passage.doc_id,
        "version": passage.version,
        "chunk": passage.index,
        "chunks": passage.count,
        "source": passage.source,
        "trust": passage.trust / 1000,
        "probation": passage.probation,
        "verdict": "verified",
        "key": passage.key_id,
        "reviewers": list(passage.reviewers),
        "signed": time_of(passage.issued_at),
        "expires": time_of(passage.expires),
        "licence": passage.licence,
        "media_type": passage.media_type,
        "span": [passage.start, passage.end],
        "metadata": dict(passage.metadata),
        "snapshot": passage.snapshot_version,
        "as_of": _as_of_facts(passage.snapshot_version, passage.as_of),
    }


def _as_of_facts(snapshot: int, as_of: int | None) -> dict[str, object] | None:
    """None for what stands; else which past it is of."""
    return None if as_of is None else {"snapshot": snapshot, "sealed": time_of(as_of)}


def refused_facts(entry: "RefusedPassage") -> dict[str, object]:
    """A passage that was not believed, as plain facts."""
    return {
        "doc_id": entry.doc_id,
        "chunk": entry.chunk,
        "refusal": str(entry.refusal),
        "reason": entry.reason,
    }


# ---- ask


def print_answer(answer: "Grounded | Abstained") -> None:
    """The sentences with numbered citations, then what each number is."""
    from trustrag.reader import Abstained

    if isinstance(answer, Abstained):
        typer.echo(f"No answer ({answer.reason}): {answer.detail}")
        return
    places = {(p.doc_id, p.version, p.index): n for n, p in enumerate(answer.passages, 1)}
    if answer.contested:
        typer.secho(
            "CONTESTED: the sources disagree about this; compare them before you rely on it.", fg="yellow"
        )
    for sentence in answer.sentences:
        cited = (c.passage for c in sentence.citations)
        numbers = "".join(f"[{places[p.doc_id, p.version, p.index]}]" for p in cited)
        typer.echo(textwrap.fill(f"{one_line(sentence.text)} {numbers}", WIDTH))
    typer.echo("")
    for number, passage in enumerate(answer.passages, 1):
        typer.echo(
            f"[{number}] {_place(passage)} version {passage.version}, source {passage.source}, "
            f"signed {time_of(passage.issued_at)}, key {passage.key_id[:16]}, verified"
        )


def answer_facts(answer: "Grounded | Abstained") -> dict[str, object]:
    """An answer as plain facts."""
    from trustrag.reader import Abstained

    if isinstance(answer, Abstained):
        return {
            "question": answer.question,
            "answer": None,
            "reason": str(answer.reason),
            "detail": answer.detail,
        }
    sentences = [
        {
            "text": sentence.text,
            "citations": [
                {"quote": c.quote, "span": [c.start, c.end]} | passage_facts(c.passage)
                for c in sentence.citations
            ],
        }
        for sentence in answer.sentences
    ]
    return {
        "question": answer.question,
        "answer": answer.text,
        "contested": answer.contested,
        "sentences": sentences,
    }


# ---- verify


def print_outcome(outcome: "VerifiedPassage | RefusedPassage") -> None:
    """One line, proved or refused."""
    from trustrag.workspace import RefusedPassage

    if isinstance(outcome, RefusedPassage):
        print_refused((outcome,))
        return
    typer.echo(
        f"VERIFIED {_place(outcome)} version {outcome.version} source {outcome.source} "
        f"signed {time_of(outcome.issued_at)} key {outcome.key_id[:16]} as of snapshot {outcome.snapshot_version}"
    )


def outcome_facts(outcome: "VerifiedPassage | RefusedPassage") -> dict[str, object]:
    """One outcome as plain facts."""
    from trustrag.workspace import RefusedPassage

    if isinstance(outcome, RefusedPassage):
        return {"verdict": "refused"} | refused_facts(outcome)
    return passage_facts(outcome)


# ---- ingest and audit


def print_ingest(report: "IngestReport") -> None:
    """What went in, what waits and what was refused; one line for each that did not simply go in."""
    for notice in report.notices:
        typer.secho(f"NOTICE {one_line(notice)}", fg="yellow", err=True)
    for held in report.quarantined:
        typer.secho(f"QUARANTINED {one_line(held.doc_id)}: {one_line(held.reason)}", fg="yellow")
    for outcome in report.admitted:
        _, noticed, what = outcome.reason.partition("; ")
        if noticed:
            typer.secho(f"NOTICED {one_line(outcome.doc_id)}: {one_line(what)}", fg="yellow")
    print_unread(report.refused, report.skipped)
    typer.echo(
        f"{len(report.admitted)} admitted, {len(report.unchanged)} unchanged, "
        f"{len(report.quarantined)} quarantined, {len(report.refused)} refused"
    )


def print_unread(refused: "Sequence[Outcome]", skipped: "Sequence[Outcome]") -> None:
    """One line to stderr for each document that was refused or passed over, and why."""
    for outcome in refused:
        typer.secho(f"REFUSED {one_line(outcome.doc_id)}: {one_line(outcome.reason)}", fg="red", err=True)
    for outcome in skipped:
        typer.secho(f"skipped {one_line(outcome.doc_id)}: {one_line(outcome.reason)}", dim=True, err=True)


def plain(
    report: "IngestReport | AttestReport | AuditReport | PublishReport | Gathered",
) -> dict[str, object]:
    """A report as plain facts."""
    return asdict(report)


def print_audit(report: "AuditReport") -> None:
    """What was checked, and one line for each thing that is wrong."""
    for problem in report.problems:
        typer.secho(f"WRONG {one_line(problem.where)}: {one_line(problem.what)}", fg="red")
    verdict = f"{len(report.problems)} wrong" if report.problems else "all of it holds"
    known = f" ({report.remembered} by signatures proved before)" if report.remembered else ""
    typer.echo(
        f"audited: log entries {report.entries}, standing passages {report.passages}{known}, "
        f"index rows {report.index_rows}; {verdict}"
    )


def time_of(seconds: int) -> str:
    """Unix seconds as RFC 3339 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
