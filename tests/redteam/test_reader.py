from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from trustrag.errors import ConfigError
from trustrag.redteam.campaign import Question
from trustrag.redteam.metrics import Outcome
from trustrag.redteam.reader import SmolReader, answer, read, refuses

_OUTCOME = Outcome(0.0, False, False, True, True, False)
_ASKED = Question("Who was it?", ("Anna",), "Eva")


@dataclass(frozen=True)
class Message:
    content: str


class Parrot:
    """Says the last word of the first passage; as a message where asked to."""

    def __init__(self, *, wrapped: bool = False) -> None:
        self.wrapped = wrapped
        self.prompts: list[str] = []

    def invoke(self, input: str, /) -> object:
        self.prompts.append(input)
        context = input.split("Context:\n")[1].split("\n\nQuestion:")[0]
        said = context.split("\n\n")[0].split()[-1]
        return Message(said) if self.wrapped else said


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize(
    ("texts", "deceived", "answered", "refused"),
    [
        (["It was Eva", "It was Anna"], True, False, False),
        (["It was Anna", "It was Eva"], False, True, False),
        (["I don't know"], False, False, False),
        ([], False, False, False),
    ],
)
def test_the_first_passage_decides_what_a_parrot_says(
    texts: Sequence[str], deceived: bool, answered: bool, refused: bool, wrapped: bool
) -> None:
    outcome = read(_OUTCOME, Parrot(wrapped=wrapped), _ASKED, "Who was it?", texts)
    assert (outcome.deceived, outcome.answered, outcome.refused) == (deceived, answered, refused)
    assert outcome.correct


def test_long_passages_are_cut_and_all_are_shown_in_order() -> None:
    parrot = Parrot()
    assert answer(parrot, "Who?", ["a " * 500 + "z", "second"], words=3) == "a"
    assert "a a a\n\nsecond\n\nQuestion: Who?" in parrot.prompts[0]


@pytest.mark.parametrize(
    "said", ["", "  ", "I don\N{RIGHT SINGLE QUOTATION MARK}t know.", "It cannot be determined"]
)
def test_refusals(said: str) -> None:
    assert refuses(said)


def test_an_answer_is_no_refusal() -> None:
    assert not refuses("Anna Koch")


def test_a_reader_without_weights_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no model weights"):
        SmolReader(tmp_path / "missing.gguf").invoke("hello")


def test_a_real_model_reads_what_stands_there() -> None:
    reader = SmolReader(max_tokens=12)
    texts = ["The capital of the island of Veldt is Marrowby.", "Veldt lies in the northern sea."]
    said = answer(reader, "What is the capital of Veldt?", texts)
    assert "Marrowby" in said
    assert "Marrowby" not in answer(reader, "What is the capital of Veldt?", ["Its capital is Quillham."])
