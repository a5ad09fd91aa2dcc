"""The signed sample under keys/sample: proved from files alone, today and in sixty years, and by nothing else."""

import json
import shutil
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from tests.sample import CENTURY, DATED, EVIDENCE, TEXTS, make
from trustrag.cli.main import app
from trustrag.errors import ConfigError, MalformedError, StaleError, VerificationError
from trustrag.provenance.canonical import parse_rfc3339
from trustrag.provenance.evidence import RefusedPassage, VerifiedPassage
from trustrag.provenance.export import EvidenceReport, verify_evidence_file
from trustrag.trustroot import TrustRoot

SAMPLE = Path(__file__).resolve().parent.parent / "keys" / "sample"
SHOWN = (SAMPLE / EVIDENCE).read_bytes()
TIMES = [max(int(time.time()), DATED), parse_rfc3339("2090-06-01T12:00:00Z")]
YEARS = ["now", "2090"]


def prove(data: bytes, folder: Path, now: int) -> EvidenceReport:
    return verify_evidence_file(data, TrustRoot.open(folder, now).policy, now=now)


def believed(report: EvidenceReport) -> list[VerifiedPassage]:
    return [item for item in report.results if isinstance(item, VerifiedPassage)]


@pytest.mark.parametrize("now", TIMES, ids=YEARS)
def test_it_is_proved(now: int) -> None:
    report = prove(SHOWN, SAMPLE, now)
    proved = believed(report)
    assert len(proved) == len(report.results) == 4
    assert {passage.source for passage in proved} == set(TEXTS)
    for passage in proved:
        assert TEXTS[passage.source][passage.doc_id][passage.start : passage.end] == passage.text
        assert passage.licence == "Apache-2.0"


def test_the_command_proves_it() -> None:
    done = CliRunner().invoke(app, ["verify", str(SAMPLE / EVIDENCE), "--keys", str(SAMPLE), "--json"])
    assert done.exit_code == 0, done.output
    assert [outcome["source"] for outcome in json.loads(done.stdout)] == ["harbour"] * 3 + ["pilots"]


def test_it_ends_after_a_century() -> None:
    with pytest.raises(StaleError):
        prove(SHOWN, SAMPLE, DATED + CENTURY)


@settings(max_examples=150)
@given(st.integers(0, len(SHOWN) - 1), st.integers(1, 255))
def test_no_byte_of_the_evidence_can_be_another(place: int, change: int) -> None:
    bent = bytearray(SHOWN)
    bent[place] ^= change
    policy = TrustRoot.open(SAMPLE, TIMES[0]).policy
    try:
        report = verify_evidence_file(bytes(bent), policy, now=TIMES[0])
    except (MalformedError, VerificationError):
        return
    assert any(isinstance(item, RefusedPassage) for item in report.results)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_byte_of_the_trust_root_can_be_another(tmp_path: Path, data: st.DataObject) -> None:
    copy = tmp_path / "keys"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(SAMPLE, copy)
    files = sorted(path for path in copy.rglob("*") if path.is_file() and path.name != EVIDENCE)
    path = data.draw(st.sampled_from(files))
    bent = bytearray(path.read_bytes())
    bent[data.draw(st.integers(0, len(bent) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(bent)
    # ConfigError: the byte was in the name of a file, which is then not there.
    with pytest.raises((MalformedError, VerificationError, ConfigError)):
        prove(SHOWN, copy, TIMES[0])


def test_a_new_sample_is_another_store(tmp_path: Path) -> None:
    made = tmp_path / "sample"
    make(made, now=DATED)
    data = (made / EVIDENCE).read_bytes()
    assert [passage.text for passage in believed(prove(data, made, DATED))] == [
        passage.text for passage in believed(prove(SHOWN, SAMPLE, DATED))
    ]
    with pytest.raises(VerificationError):
        prove(data, SAMPLE, DATED)
    with pytest.raises(ConfigError):
        make(made, now=DATED)


def test_nothing_else_lies_beside_it() -> None:
    found = {path.relative_to(SAMPLE).as_posix() for path in SAMPLE.rglob("*") if path.is_file()}
    (policy,) = (SAMPLE / "targets").iterdir()
    metadata = {f"metadata/{name}.json" for name in ("1.root", "1.targets", "1.snapshot", "timestamp")}
    assert found == {EVIDENCE, f"targets/{policy.name}", *metadata}
