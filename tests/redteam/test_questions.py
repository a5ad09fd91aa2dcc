import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.redteam.world import passages
from tests.shared import shared_path
from trustrag.errors import MalformedError
from trustrag.redteam.campaign import Honest, Question
from trustrag.redteam.metrics import states
from trustrag.redteam.questions import Told, load_poisonedrag, load_ramdocs, make_questions


def _drawn(seed: int, count: int = 8) -> list[Question]:
    return make_questions(passages(), count=count, rng=np.random.default_rng(seed))


@given(st.integers(0, 200))
def test_a_question_of_our_own_can_be_answered_and_lied_about(seed: int) -> None:
    texts = [one.text for one in passages()]
    made = _drawn(seed)
    assert len(made) == 8
    for question in made:
        told = question.sentence.replace("{}", question.correct[0])
        assert any(told in text for text in texts)
        assert not states(told, (question.wrong,))
        assert question.text.endswith("?")
        assert not states(question.text, question.correct)


def test_the_seed_decides_and_each_document_is_asked_once() -> None:
    assert _drawn(3) == _drawn(3)
    assert _drawn(3) != _drawn(4)
    asked = _drawn(3, count=100)
    assert len(asked) <= len(passages())
    assert len({question.sentence for question in asked}) == len(asked)


@pytest.mark.parametrize(
    "text",
    [
        "Nothing here has a value that anybody could ask for in the Northern Academy.",
        "He opened it on 14 May 1871 in the market town of Arvenholt by the river.",
        "Short in 1871.",
        "The Harbour Library (of Arvenholt was opened by the County Office in 1871.",
        "The sum in the Northern Ledger was 1400-1500 crowns for the whole County Office.",
        "",
    ],
)
def test_what_makes_no_fair_question_makes_none(text: str) -> None:
    assert make_questions([Honest(text, "a", "1")], count=5, rng=np.random.default_rng(0)) == []


@given(st.lists(st.text(max_size=120), max_size=6))
def test_any_text_is_survived(texts: list[str]) -> None:
    honest = [Honest(text, "a", str(at)) for at, text in enumerate(texts)]
    assert len(make_questions(honest, count=3, rng=np.random.default_rng(0))) <= 3


_RECORD = {
    "question": "who was it",
    "correct answer": "Anna",
    "incorrect answer": "Eva",
    "adv_texts": ["It was Eva."],
}


@pytest.mark.parametrize("form", ["lines", "list", "object"])
def test_poisonedrag_files_of_every_form(tmp_path: Path, form: str) -> None:
    path = tmp_path / "nq.json"
    whole = {"lines": None, "list": [_RECORD], "object": {"test1": _RECORD}}[form]
    path.write_text(json.dumps(whole) if whole else json.dumps(_RECORD) + "\n\n", encoding="utf-8")
    assert load_poisonedrag(path) == [Question("who was it", ("Anna",), "Eva", attack_texts=("It was Eva.",))]


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[1]",
        '{"question": "x"}',
        '{"question": "x", "correct": "", "incorrect": "b", "adv_texts": [1]}',
        "[" * 9999,
    ],
)
def test_a_file_of_another_kind_says_what_is_wrong(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(MalformedError, match=r"bad\.json"):
        load_poisonedrag(path)


def test_ramdocs_tells_misinformation_from_disagreement(tmp_path: Path) -> None:
    path = tmp_path / "ram.jsonl"
    documents = [
        {"text": "It was A.", "type": "correct", "answer": "A"},
        {"text": "It was Z.", "type": "misinfo", "answer": "Z"},
    ]
    record = {"question": "who?", "documents": documents, "gold_answers": ["A", "B"], "wrong_answers": ["Z"]}
    path.write_text(json.dumps(record), encoding="utf-8")
    [one] = load_ramdocs(path)
    assert one.documents == (Told("It was A.", "correct", "A"), Told("It was Z.", "misinfo", "Z"))
    assert one.target() == Question("who?", ("A", "B"), "Z", attack_texts=("It was Z.",))
    documents[0]["type"] = "other"
    path.write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(MalformedError, match="record 0"):
        load_ramdocs(path)


@pytest.mark.parametrize("path", [path for path in [shared_path("data", "poisonedrag", "nq.jsonl")] if path])
def test_the_public_poisonedrag_file(path: Path) -> None:
    found = load_poisonedrag(path)
    assert len(found) == 100
    assert all(len(question.attack_texts) == 5 for question in found)


@pytest.mark.parametrize(
    "path", [path for path in [shared_path("data", "ramdocs", "RAMDocs_test.jsonl")] if path]
)
def test_the_public_ramdocs_file(path: Path) -> None:
    found = load_ramdocs(path)
    assert len(found) == 500
    assert any(one.target() for one in found)
