import json
from pathlib import Path

import numpy as np
import pytest

from tests.consistency.world import LIES, QUESTION, honest
from trustrag.errors import ConfigError
from trustrag.redteam.adapter import STANDING, Row, rerank


def rows(*texts: tuple[str, str], vectors: bool = False) -> list[Row]:
    made: list[Row] = []
    for place, (publisher, text) in enumerate(texts):
        row: Row = {"text": text, "publisher": publisher, "title": "", "relevance": 0.9 - 0.01 * place}
        if vectors:
            row["emb"] = np.eye(32, dtype=np.float32)[place]
        made.append(row)
    return made


def standing(monkeypatch: pytest.MonkeyPatch, path: Path, value: object) -> None:
    file = path / "standing.json"
    file.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    monkeypatch.setenv(STANDING, str(file))


@pytest.fixture(autouse=True)
def _equal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(STANDING, raising=False)


@pytest.mark.parametrize("vectors", [True, False])
def test_it_answers_with_places_and_a_flag(vectors: bool) -> None:
    order, contested = rerank(QUESTION, rows(*honest(), vectors=vectors))
    assert len(order) == len(set(order)) == 5
    assert contested is False


def test_it_drives_the_ranking() -> None:
    order, _ = rerank(QUESTION, rows(*[("m", text) for text in LIES], *honest()))
    assert not set(order) & set(range(len(LIES)))


def test_no_passages_are_no_answer() -> None:
    assert rerank(QUESTION, []) == ([], False)


def test_standing_comes_from_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    texts = [("m", LIES[0]), ("n", "Something else entirely was said here about the weather."), *honest()[4:]]
    standing(monkeypatch, tmp_path, {"m": {"probation": True}, "n": {"probation": True}})
    order, _ = rerank(QUESTION, rows(*texts))
    assert len(set(order) & {0, 1}) <= 1
    standing(monkeypatch, tmp_path, {"m": {"trust": 0}, "other0": {"owner": "x"}, "other1": {"owner": "x"}})
    assert rerank(QUESTION, rows(*texts))[0]


@pytest.mark.parametrize(
    "value",
    [
        "not json",
        [],
        {"m": 1},
        {"m": {"trust": 2}},
        {"m": {"trust": True}},
        {"m": {"probation": 1}},
        {"m": {"loud": 1}},
    ],
)
def test_a_wrong_file_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, value: object) -> None:
    standing(monkeypatch, tmp_path, value)
    with pytest.raises(ConfigError, match=STANDING):
        rerank(QUESTION, rows(*honest()))


def test_a_missing_file_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(STANDING, str(tmp_path / "nowhere.json"))
    with pytest.raises(ConfigError, match=STANDING):
        rerank(QUESTION, rows(*honest()))
