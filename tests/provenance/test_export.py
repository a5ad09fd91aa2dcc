"""Evidence files: what a search writes, `trustrag verify` proves, with nothing but the policy."""

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tests.provenance.forge import DAY, NOW, Doc, Forge, make_policy, places, refused, tampered
from trustrag.errors import MalformedError, Refusal, VerificationError
from trustrag.provenance.canonical import encode
from trustrag.provenance.evidence import RefusedPassage, VerifiedPassage
from trustrag.provenance.export import (
    MAX_FILE_BYTES,
    EvidenceFile,
    ShownPassage,
    verify_evidence_file,
)

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "schemas" / "evidence.v1.json").read_text())
POLICY = make_policy()


def honest() -> EvidenceFile:
    forge = Forge()
    forge.publish(Doc(), Doc("guide/pets.md", b"Dogs may come on Fridays. Cats may not."))
    forge.publish(Doc("other/visits.md", b"Visitors sign in."), who="other")
    sealed = forge.seal()
    shown = [sealed.passage(*place) for place in ((0, 0, 2), (0, 0, 0), (1, 0, 0), (0, 1, 1))]
    return EvidenceFile(
        sealed.head(),
        tuple(ShownPassage(item.text, item.metadata, item.vector, item.evidence) for item in shown),
    )


FILE = honest()
DATA = FILE.encode()


def test_a_file_proves_itself() -> None:
    report = verify_evidence_file(DATA, POLICY, now=NOW)
    assert report.snapshot.version == 2
    assert [type(result) for result in report.results] == [VerifiedPassage] * 4
    assert [result.doc_id for result in report.results] == [
        "guide/logs.md",
        "guide/logs.md",
        "other/visits.md",
        "guide/pets.md",
    ]


def test_what_is_written_is_read_back_and_fits_the_schema() -> None:
    assert EvidenceFile.parse(DATA) == FILE
    assert EvidenceFile.parse(DATA).encode() == DATA
    assert list(Draft202012Validator(SCHEMA).iter_errors(json.loads(DATA))) == []


def test_what_is_shared_is_written_once() -> None:
    value = json.loads(DATA)
    assert [len(value[name]) for name in ("passages", "documents", "envelopes")] == [4, 3, 6]


def test_one_bent_passage_is_named_and_the_others_stand() -> None:
    file = tampered(FILE, "passages.2.text", "Visitors need not sign in.")
    results = verify_evidence_file(file.encode(), POLICY, now=NOW).results
    assert [isinstance(result, VerifiedPassage) for result in results] == [True, True, False, True]
    bent = results[2]
    assert isinstance(bent, RefusedPassage)
    assert (bent.doc_id, bent.chunk, bent.refusal) == ("other/visits.md", 0, Refusal.TAMPERED_TEXT)
    assert "not the one that was signed" in bent.reason


def test_a_refused_head_refuses_the_file() -> None:
    refused(Refusal.STALE_SNAPSHOT, verify_evidence_file, DATA, POLICY, now=NOW + 8 * DAY)
    unlogged = tampered(FILE, "head.snapshot.index", 1)
    refused(Refusal.NOT_IN_SNAPSHOT, verify_evidence_file, unlogged.encode(), POLICY, now=NOW)


@given(st.integers(0, len(DATA) - 1), st.integers(1, 255))
def test_one_changed_byte_proves_less(at: int, by: int) -> None:
    data = bytearray(DATA)
    data[at] ^= by
    try:
        results = verify_evidence_file(bytes(data), POLICY, now=NOW).results
    except (MalformedError, VerificationError):
        return
    assert any(isinstance(result, RefusedPassage) for result in results)


@given(st.binary(max_size=300))
def test_noise_is_malformed(noise: bytes) -> None:
    with pytest.raises(MalformedError):
        EvidenceFile.parse(noise)


PATHS = [path for path, _ in enumerate(places(json.loads(DATA)))]


@given(
    st.sampled_from(PATHS), st.sampled_from([None, True, 0, 1, -1, 99, 2**53, "", "x", "0" * 64, [], [0], {}])
)
def test_any_value_anywhere_is_malformed_or_read_back(at: int, new: Any) -> None:
    value = json.loads(DATA)
    holder, key = list(places(value))[at]
    holder[key] = new
    with suppress(MalformedError):
        data = encode(value)
        assert EvidenceFile.parse(data).encode() == data


def bent(change: Any) -> bytes:
    value = json.loads(DATA)
    change(value)
    return encode(value)


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v.update(more=1),
        lambda v: v.update(format="urn:trustrag:evidence/v2"),
        lambda v: v["head"].update(more=1),
        lambda v: v["head"]["snapshot"].update(more=1),
        lambda v: v["documents"][0].update(more=1),
        lambda v: v["documents"][0]["standing"].update(more=1),
        lambda v: v["passages"][0].update(more=1),
        lambda v: v["documents"].append(v["documents"][0]),
        lambda v: v["envelopes"].append(v["envelopes"][0]),
        lambda v: (
            v["documents"].reverse(),
            [item.update(document=2 - item["document"]) for item in v["passages"]],
        ),
        lambda v: v.update(passages=[]),
        lambda v: v.update(passages=v["passages"] * 251),
        lambda v: v["passages"][0].update(document=3),
        lambda v: v["passages"][0].update(document=-1),
        lambda v: v["passages"][2].update(document=True),
        lambda v: v["documents"][0].update(source=99),
        lambda v: v["documents"][0].update(reviews=[True]),
        lambda v: v["documents"][0].update(reviews=["0"]),
        lambda v: v["passages"][0].update(chunkPath=[1]),
        lambda v: v["passages"][0].update(chunkPath=["00" * 31]),
        lambda v: v["passages"][0].update(chunkPath=["00" * 32] * 65),
        lambda v: v["documents"][0]["standing"].update(topPath=["00" * 32] * 65),
        lambda v: v["envelopes"][0].update(proof=["00" * 32] * 320_000),
        lambda v: v["passages"][0].update(vector="AB=="),
        lambda v: v["envelopes"][0].update(envelope=" " + v["envelopes"][0]["envelope"]),
        lambda v: v["documents"][0].update(entry=" " + v["documents"][0]["entry"]),
        lambda v: v["passages"][0].update(leaf=v["passages"][0]["leaf"] + " "),
    ],
)
def test_a_file_of_another_form_is_refused(change: Any) -> None:
    refused(Refusal.MALFORMED, EvidenceFile.parse, bent(change))


def test_a_file_of_another_format_is_refused_by_name() -> None:
    other = bent(lambda v: v.update(format="urn:trustrag:evidence/v2"))
    assert "evidence.format is not" in refused(Refusal.MALFORMED, EvidenceFile.parse, other)


def test_a_file_has_a_size() -> None:
    refused(Refusal.MALFORMED, EvidenceFile.parse, b" " * (MAX_FILE_BYTES + 1))


def test_a_text_without_utf8_cannot_be_written() -> None:
    lone = replace(FILE, passages=(replace(FILE.passages[0], text="\ud800"),))
    refused(Refusal.MALFORMED, lone.encode)
