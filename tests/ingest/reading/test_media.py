"""Captions and transcripts: what they were made from is found, digested, signed, and must be what it was."""

import json
import warnings
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ingest.reading.media_files import bent, png, signed_png
from tests.ingest.world import CONTEXT, NOW, SEALER, key, names, new_ledger, pipeline, standing
from trustrag.ingest.attest import attest
from trustrag.ingest.document import Document, ReadProblem
from trustrag.ingest.reading import media
from trustrag.ingest.reading.readers import read
from trustrag.ingest.reading.transcripts import clock
from trustrag.ingest.screening import Severity
from trustrag.ingest.screening.media import MediaScreen
from trustrag.ledger import Ruling
from trustrag.provenance.statement import SourceStatement, parse_statement

PNG = png()
DIGEST = sha256(PNG).hexdigest()

VTT = """WEBVTT - a talk

NOTE
media: talk.mp3
tool: whisper 20240930

STYLE
::cue { color: red }

intro
00:01:05.000 --> 00:01:12.000 align:start
<v Ada>Audit logs are kept &amp; read
for <i>90 days</i>.

01:12.000 --> 01:15.500
<00:01:13.000>Then they go.
"""


def captions(folder: Path, *entries: object) -> list[Document | ReadProblem]:
    (folder / "captions.json").write_text(json.dumps(list(entries)))
    return list(read([folder / "captions.json"]))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "img").mkdir()
    (tmp_path / "img" / "a.png").write_bytes(PNG)
    (tmp_path / "talk.mp3").write_bytes(b"ID3 a recording")
    return tmp_path


def test_a_caption_is_signed_with_what_it_was_made_from(folder: Path) -> None:
    entry = {"id": "cat", "media": "img/a.png", "caption": "A cat.", "sha256": DIGEST.upper(), "lang": "en"}
    (found,) = captions(folder, {**entry, "tool": {"name": "blip", "version": "2.1"}})
    assert isinstance(found, Document)
    assert (found.doc_id, found.text, found.whole) == ("captions.json#cat", "A cat.", True)
    assert found.metadata == {
        "path": "captions.json", "lang": "en", "media": "img/a.png", "media_sha256": DIGEST,
    }  # fmt: skip
    (origin,) = found.derived_from
    assert (origin.media.hex, origin.tool, origin.c2pa) == (DIGEST, "blip 2.1", "none")
    assert json.loads(found.data)["caption"] == "A cat."
    report, (envelope,) = attest([found], signer=key("acme"), context=CONTEXT, now=NOW)
    statement = parse_statement(envelope.payload)
    assert isinstance(statement, SourceStatement)
    assert statement.documents[0].derived_from == found.derived_from
    assert names(report.attested) == ["captions.json#cat"]


def test_coco_and_jsonl_are_captions_too(folder: Path) -> None:
    coco = {
        "images": [{"id": 7, "file_name": "img/a.png"}],
        "annotations": [{"image_id": 7, "caption": "A cat."}, {"image_id": 7, "caption": "A pet."}],
    }
    (folder / "captions_val.json").write_text(json.dumps(coco))
    (folder / "metadata.jsonl").write_text(
        '{"file_name": "img/a.png", "text": "A cat."}\n{"text": "No picture."}'
    )
    one, (two, three) = list(read([folder / "captions_val.json"])), list(read([folder / "metadata.jsonl"]))
    assert [item.text for item in one if isinstance(item, Document)] == ["A cat.\nA pet."]
    assert isinstance(two, Document)
    assert isinstance(three, Document)
    assert two.derived_from[0].media.hex == DIGEST
    assert two.derived_from[0].tool == media.UNKNOWN_TOOL
    assert three.derived_from == ()


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"media": "img/b.png"}, "its media img/b.png is not there"),
        ({"media": "img"}, "not a plain file"),
        ({"media": "../a.png"}, ""),
        ({"media": "/etc/hostname"}, "no path below"),
        ({"media": "~/a.png"}, "no path below"),
        ({"media": "https://example.org/a.png"}, "no path below"),
        ({"media": "a\0b"}, "no path below"),
        ({"media": "x" * 2000}, "no path below"),
        ({"media": ""}, "no path below"),
        ({"media": 5}, "no media file"),
        ({"media": "img/a.png", "sha256": "0" * 64}, "is not the one it was made from"),
        ({"media": "img/a.png", "sha256": "abc"}, "no SHA-256"),
        ({"media": "img/a.png", "sha256": 5}, "the digest of its media is no text"),
        ({"media": "img/a.png", "caption": 5}, "its caption is no text"),
        ({"media": "img/a.png", "caption": " "}, "its text is blank"),
        ({"media": "img/a.png", "caption": "a\ud800"}, ""),
    ],
)
def test_a_caption_without_its_media_is_refused_by_name(
    folder: Path, entry: dict[str, object], says: str
) -> None:
    bad, good = captions(folder, {"caption": "A cat.", **entry}, {"media": "img/a.png", "caption": "A cat."})
    assert isinstance(bad, ReadProblem)
    assert bad.path == "captions.json#1"
    assert says in bad.reason
    assert isinstance(good, Document)


@pytest.mark.parametrize(
    "text", ["{}", "[]", "5", '{"images": []}', '{"images": [5], "annotations": []}', "["]
)
def test_what_is_no_list_of_captions_is_refused(folder: Path, text: str) -> None:
    (folder / "captions.json").write_text(text)
    (found,) = read([folder / "captions.json"])
    assert isinstance(found, ReadProblem)


def test_a_digest_beside_the_media_counts(folder: Path) -> None:
    (folder / "img" / "a.png.sha256").write_text(f"{DIGEST}  a.png\n")
    (found,) = captions(folder, {"media": "img/a.png", "caption": "A cat."})
    assert isinstance(found, Document)
    (folder / "img" / "a.png").write_bytes(bent(PNG))
    (found,) = captions(folder, {"media": "img/a.png", "caption": "A cat."})
    assert isinstance(found, ReadProblem)
    assert "is not the one it was made from" in found.reason
    (folder / "img" / "a.png.sha256").write_text("")
    (found,) = captions(folder, {"media": "img/a.png", "caption": "A cat."})
    assert isinstance(found, ReadProblem)


def test_a_transcript_keeps_its_times_and_its_recording(folder: Path) -> None:
    (folder / "talk.vtt").write_text(VTT)
    (found,) = read([folder / "talk.vtt"])
    assert isinstance(found, Document)
    assert found.text == "Ada: Audit logs are kept & read for 90 days.\nThen they go."
    assert (found.doc_id, found.metadata["start"], found.metadata["end"]) == (
        "talk.vtt#1", "00:01:05.000", "00:01:15.500",
    )  # fmt: skip
    (origin,) = found.derived_from
    assert (origin.media.hex, origin.tool) == (sha256(b"ID3 a recording").hexdigest(), "whisper 20240930")
    assert found.data.decode() in VTT


def test_subrip_finds_the_recording_of_its_name(folder: Path) -> None:
    text = (
        "1\r\n00:01:05,000 --> 00:01:12,000\r\n{\\an8}Logs are kept.\r\n\r\n2\r\n00:02:00,000 --> 00:02:01,000\r\n"
        + "x" * 600
    )
    (folder / "talk.en.srt").write_bytes(text.encode())
    one, two = read([folder / "talk.en.srt"])
    assert isinstance(one, Document)
    assert isinstance(two, Document)
    assert (one.text, one.metadata["start"], one.metadata["end"]) == (
        "Logs are kept.",
        "00:01:05.000",
        "00:01:12.000",
    )
    assert one.metadata["media"] == two.metadata["media"] == "talk.mp3"
    assert one.derived_from[0].tool == media.UNKNOWN_TOOL


def test_a_transcript_may_stand_alone(tmp_path: Path) -> None:
    (tmp_path / "a.vtt").write_text("WEBVTT\n\n00:01.000 --> 00:02.000\nHello.\n")
    (found,) = read([tmp_path / "a.vtt"])
    assert isinstance(found, Document)
    assert found.derived_from == ()
    assert "media" not in found.metadata


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("WEBVTT", "VTT"), "no WebVTT file"),
        (("00:01:05.000 -->", "00:01:75.000 -->"), "line 10: no cue"),
        (("00:01:05.000 -->", "00:01:05.00 -->"), "no cue"),
        (("00:01:05.000 -->", "-00:01:05.000 -->"), "no cue"),
        (("00:01:12.000 align", "00:01:02.000 align"), "line 11: a cue that ends before it begins"),
        (("talk.mp3", "none.mp3"), "its media none.mp3 is not there"),
        (("talk.mp3", "../../etc/passwd"), "its media"),
        (("tool: whisper 20240930", "sha256: " + "0" * 64), "is not the one it was made from"),
        (("intro\n", "intro\nmore\n"), "no cue"),
    ],
)
def test_a_transcript_with_one_thing_wrong_is_refused(
    folder: Path, change: tuple[str, str], says: str
) -> None:
    (folder / "talk.vtt").write_text(VTT.replace(*change))
    (found,) = read([folder / "talk.vtt"])
    assert isinstance(found, ReadProblem)
    assert says in found.reason


@given(st.integers(0, 10**9))
def test_a_time_is_read_back(milliseconds: int) -> None:
    hours, minutes, seconds = clock(milliseconds).split(":")
    whole, _, rest = seconds.partition(".")
    assert ((int(hours) * 60 + int(minutes)) * 60 + int(whole)) * 1000 + int(rest) == milliseconds


@given(st.text(max_size=300))
def test_any_text_is_read_or_refused_in_one_line(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.vtt"
    path.write_bytes(("WEBVTT\n\n" + text).encode("utf-8", "surrogatepass"))
    for found in read([path]):
        assert isinstance(found, Document) or found.reason.isprintable()


def test_credentials_that_do_not_hold_are_held_and_those_that_do_are_told(folder: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        good = signed_png()
    verdicts = {}
    for name, data in (("good", good), ("bent", bent(good)), ("none", PNG), ("noise", b"no picture")):
        (folder / f"{name}.png").write_bytes(data)
        (found,) = captions(folder, {"media": f"{name}.png", "caption": "A cat."})
        assert isinstance(found, Document)
        verdicts[name] = (
            found.derived_from[0].c2pa or "",
            [item.severity for item in MediaScreen().check(found)],
        )
    assert verdicts["good"] == ("valid", [Severity.NOTE])
    assert verdicts["bent"] == ("invalid: assertion.dataHash.mismatch", [Severity.HOLD])
    assert verdicts["none"] == ("none", [])
    assert verdicts["noise"][0].startswith("unreadable")
    assert verdicts["noise"][1] == [Severity.WARN]


def test_without_c2pa_nothing_is_said_of_credentials(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    media._examined.cache_clear()
    monkeypatch.setattr(media, "find_spec", lambda name: None)
    (found,) = captions(folder, {"media": "img/a.png", "caption": "A cat."})
    media._examined.cache_clear()
    assert isinstance(found, Document)
    assert found.derived_from[0].c2pa is None


def test_a_caption_does_not_outlive_its_picture(folder: Path, tmp_path: Path) -> None:
    ledger = new_ledger(tmp_path / "kb")
    entry = {"media": "img/a.png", "caption": "A cat."}
    first = pipeline(ledger).ingest(captions(folder, entry), source=key("acme"))
    assert names(first.admitted) == ["captions.json#1"]
    assert names(pipeline(ledger).ingest(captions(folder, entry), source=key("acme")).unchanged) == [
        "captions.json#1"
    ]
    (folder / "img" / "a.png").write_bytes(bent(PNG))
    report = pipeline(ledger).ingest(captions(folder, entry), source=key("acme"))
    assert report.refused[0].reason.startswith("TAMPERED_MEDIA: its media changed since version 1")
    again = pipeline(ledger).ingest(captions(folder, {**entry, "caption": "A dog."}), source=key("acme"))
    assert [outcome.version for outcome in again.admitted] == [2]
    (passage,) = standing(ledger)
    assert passage.metadata["media_sha256"] == sha256(bent(PNG)).hexdigest()


def test_a_caption_that_was_withdrawn_may_be_said_of_another_picture(folder: Path, tmp_path: Path) -> None:
    ledger = new_ledger(tmp_path / "kb")
    entry = {"media": "img/a.png", "caption": "A cat."}
    pipeline(ledger).ingest(captions(folder, entry), source=key("acme"))
    ledger.rule([Ruling("withdraw", "another picture", "captions.json#1")], SEALER, NOW)
    (folder / "img" / "a.png").write_bytes(bent(PNG))
    report = pipeline(ledger).ingest(captions(folder, entry), source=key("acme"))
    assert [outcome.version for outcome in report.admitted] == [2]


def test_a_source_does_not_sign_a_caption_for_another_picture(folder: Path) -> None:
    entry = {"media": "img/a.png", "caption": "A cat."}
    _, envelopes = attest(captions(folder, entry), signer=key("acme"), context=CONTEXT, now=NOW)
    (folder / "img" / "a.png").write_bytes(bent(PNG))
    report, made = attest(
        captions(folder, entry), signer=key("acme"), context=CONTEXT, now=NOW, earlier=envelopes
    )
    assert made == []
    assert report.refused[0].reason.startswith("TAMPERED_MEDIA: its media changed since it was signed")


def test_an_attested_caption_needs_the_attested_picture(folder: Path, tmp_path: Path) -> None:
    ledger = new_ledger(tmp_path / "kb")
    (found,) = captions(folder, {"media": "img/a.png", "caption": "A cat."})
    assert isinstance(found, Document)
    _, envelopes = attest([found], signer=key("acme"), context=CONTEXT, now=NOW)
    other = replace(found, derived_from=())
    refused = pipeline(ledger).ingest([other], attestations=envelopes).refused
    assert refused[0].reason.startswith("TAMPERED_MEDIA")
    assert names(pipeline(ledger).ingest([found], attestations=envelopes).admitted) == ["captions.json#1"]
