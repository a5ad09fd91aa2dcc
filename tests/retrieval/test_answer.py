"""Answers: quoted from what was proved, cut where nothing carries them, silent where nothing answers."""

from collections.abc import Iterator
from itertools import pairwise
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.language_models.fake_chat_models import FakeListChatModel

from trustrag.errors import BackendError
from trustrag.provenance.evidence import VerifiedPassage
from trustrag.retrieval.answer import (
    Abstained,
    Citation,
    Grounded,
    Sentence,
    Silence,
    compose,
    sentence_spans,
)
from trustrag.workspace import Workspace

TEXTS = {
    "retention": "Audit logs are kept for 90 days. They are deleted afterwards, by Dr. Meyer's nightly job.",
    "lunch": "Lunch is served from noon until two. The cafeteria opens at eight.",
    "charts": "The chart room is open to the public each day, without a fee. The chart room opened in 1931.",
    "links": ".. _glossary: https://wiki.example/terms/of/the/glossary",
    "backup": "Backups of the audit database run every night at 02:00 UTC.",
}


@pytest.fixture(scope="module")
def passages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, VerifiedPassage]]:
    """Passages that went through a real store and a real gate; nothing else makes one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRUSTRAG_HOME", str(tmp_path_factory.mktemp("home")))
        folder = tmp_path_factory.mktemp("store") / "kb"
        with Workspace.init(folder, source="acme", embedder="hash") as workspace:
            documents = [SimpleNamespace(id=i, page_content=t, metadata={}) for i, t in TEXTS.items()]
            workspace.ingest_documents(documents, source="acme")
            yield {name: workspace.read(name)[0] for name in TEXTS}


def test_an_extract_quotes_the_sentence_that_answers(passages: dict[str, VerifiedPassage]) -> None:
    answer = compose("How long are audit logs kept?", [passages["retention"], passages["backup"]])
    assert isinstance(answer, Grounded)
    assert answer.text == "Audit logs are kept for 90 days."
    (citation,) = answer.sentences[0].citations
    assert citation.passage is passages["retention"]
    assert citation.quote == answer.text
    assert answer.passages == (passages["retention"],)
    assert not answer.contested


def test_the_sentence_with_the_value_asked_for_comes_first(passages: dict[str, VerifiedPassage]) -> None:
    question = "When did the chart room open to the public?"
    answer = compose(question, [passages["charts"]], nearness=lambda sentences: [0.6] * len(sentences))
    assert isinstance(answer, Grounded)
    assert answer.sentences[0].text == "The chart room opened in 1931."
    # It comes before others, and lifts no sentence that is about something else.
    far = compose(question, [passages["charts"]], nearness=lambda sentences: [0.0] * len(sentences))
    assert isinstance(far, Abstained)


def test_word_forms_meet(passages: dict[str, VerifiedPassage]) -> None:
    answer = compose("When does the cafeteria open?", list(passages.values()))
    assert isinstance(answer, Grounded)
    assert answer.sentences[0].text == "The cafeteria opens at eight."


@pytest.mark.parametrize("question", ["Who painted the Sistine Chapel?", "???", "What is it?"])
def test_no_answer_is_said_to_be_none(question: str, passages: dict[str, VerifiedPassage]) -> None:
    answer = compose(question, list(passages.values()))
    assert isinstance(answer, Abstained)
    assert answer.reason is Silence.NOT_ANSWERED


def test_nothing_proved_is_no_answer() -> None:
    answer = compose("anything", [])
    assert isinstance(answer, Abstained)
    assert answer.reason is Silence.NO_PASSAGES


def test_a_source_of_little_standing_is_quoted_where_no_better_one_answers(
    passages: dict[str, VerifiedPassage],
) -> None:
    both = [passages["lunch"], passages["retention"]]
    question = "Is lunch served, or are audit logs kept?"
    first = compose(question, both, weights=[0.2, 0.9])
    assert isinstance(first, Grounded)
    assert first.passages[0] is passages["retention"]
    alone = compose("When does the cafeteria open?", both, weights=[0.2, 0.9])
    assert isinstance(alone, Grounded)
    assert alone.passages == (passages["lunch"],)


def test_silence_tells_of_what_was_refused(passages: dict[str, VerifiedPassage]) -> None:
    answer = compose("Who painted the Sistine Chapel?", list(passages.values()), refused=2)
    assert isinstance(answer, Abstained)
    assert "2 passages were found and could not be proved" in answer.detail


def test_silence_tells_of_what_was_left_out_and_of_a_contest() -> None:
    silent = compose("What?", [], left_out=2, refused=1)
    assert isinstance(silent, Abstained)
    assert silent.detail.endswith(
        "could not be proved (search tells why); 2 passages were proved and left out (search tells why)"
    )
    contested = compose("What?", [], left_out=2, contested=True, strict=True)
    assert isinstance(contested, Abstained)
    assert contested.reason is Silence.CONTESTED


def test_contested_is_marked_and_in_strict_mode_not_answered(passages: dict[str, VerifiedPassage]) -> None:
    question = "How long are audit logs kept?"
    marked = compose(question, [passages["retention"]], contested=True)
    assert isinstance(marked, Grounded)
    assert marked.contested
    silent = compose(question, [passages["retention"]], contested=True, strict=True)
    assert isinstance(silent, Abstained)
    assert silent.reason is Silence.CONTESTED


def generated(text: str, passages: dict[str, VerifiedPassage]) -> Grounded | Abstained:
    model = FakeListChatModel(responses=[text])
    return compose("How long are audit logs kept?", list(passages.values()), generator=model)


def test_a_cited_sentence_is_kept_with_the_passage_that_carries_it(
    passages: dict[str, VerifiedPassage],
) -> None:
    answer = generated("Audit logs are kept for 90 days [1]. Lunch is served from noon. [2]", passages)
    assert isinstance(answer, Grounded)
    assert [s.text for s in answer.sentences] == [
        "Audit logs are kept for 90 days.",
        "Lunch is served from noon.",
    ]
    assert answer.sentences[0].citations[0].quote == "Audit logs are kept for 90 days."
    assert answer.sentences[1].citations[0].passage is passages["lunch"]


@pytest.mark.parametrize(
    "sentence",
    [
        "Audit logs are kept for 90 days.",
        "Audit logs are kept for 90 days [7].",
        "Audit logs are kept for 90 days [0].",
        "Audit logs are kept for 365 days [1].",
        "Audit logs are kept by Eve for 90 days [1].",
        "Audit logs are not kept for 90 days [1].",
        "Audit logs aren't kept for 90 days [1].",
        "Audit logs are kept for at least 90 days [1].",
        "Audit logs are kept for 90 nights [1].",
        "Send the keys to the address below [1].",
        "[1]",
        "",
    ],
)
def test_a_sentence_that_nothing_carries_is_cut(sentence: str, passages: dict[str, VerifiedPassage]) -> None:
    answer = generated(sentence, passages)
    assert isinstance(answer, Abstained)
    assert answer.reason is Silence.UNCITED


def test_only_the_uncarried_sentence_is_cut(passages: dict[str, VerifiedPassage]) -> None:
    answer = generated("Audit logs are kept for 90 days [1]. They may be kept for 10 years [1].", passages)
    assert isinstance(answer, Grounded)
    assert answer.text == "Audit logs are kept for 90 days."


class _Broken:
    def __init__(self, reply: object) -> None:
        self.reply = reply

    def invoke(self, prompt: str, /) -> object:
        if isinstance(self.reply, Exception):
            raise self.reply
        return self.reply


@pytest.mark.parametrize("reply", [RuntimeError("out of memory"), 7, SimpleNamespace(content=["parts"])])
def test_a_failing_model_is_one_clear_error(reply: object, passages: dict[str, VerifiedPassage]) -> None:
    with pytest.raises(BackendError, match="the generator"):
        compose("anything", list(passages.values()), generator=_Broken(reply))


def test_a_citation_takes_a_verified_passage_and_a_span_of_it(passages: dict[str, VerifiedPassage]) -> None:
    with pytest.raises(TypeError, match="only verify_passage"):
        Citation(SimpleNamespace(text="forged"), 0, 3)  # type: ignore[arg-type]
    for start, end in ((-1, 3), (3, 3), (0, 10_000)):
        with pytest.raises(ValueError, match="outside the passage"):
            Citation(passages["lunch"], start, end)


def test_an_answer_needs_sentences_and_they_need_citations() -> None:
    with pytest.raises(ValueError, match="needs a citation"):
        Sentence("said by nobody", ())
    with pytest.raises(ValueError, match="needs a sentence"):
        Grounded("anything", ())


def test_a_heading_is_quoted_without_its_underline_and_a_link_is_no_sentence(
    passages: dict[str, VerifiedPassage],
) -> None:
    assert [text[a:b] for text in ["Chart room\n=====\n\nIt is open."] for a, b in sentence_spans(text)] == [
        "Chart room",
        "It is open.",
    ]
    answer = compose("What is the glossary?", [passages["links"]])
    assert isinstance(answer, Abstained)


def test_abbreviations_end_no_sentence() -> None:
    text = 'Dr. A. Meyer met Mrs. Lee. "It works," she said. (Really?) See e.g. The manual.'
    assert [text[a:b] for a, b in sentence_spans(text)] == [
        "Dr. A. Meyer met Mrs. Lee.",
        '"It works," she said.',
        "(Really?)",
        "See e.g. The manual.",
    ]


def test_a_rule_under_a_heading_is_no_part_of_the_sentence() -> None:
    text = "Overview\n\n--------\nThe tool signs updates. It is small.\n\n======\n"
    assert [text[a:b] for a, b in sentence_spans(text)] == [
        "Overview",
        "The tool signs updates.",
        "It is small.",
    ]


@given(st.text(alphabet=st.sampled_from("abc ABC.!?\n\"')-*"), max_size=200))
def test_sentences_are_spans_in_order_and_lose_no_word(text: str) -> None:
    spans = sentence_spans(text)
    assert all(a < b for a, b in spans)
    assert all(one[1] <= two[0] for one, two in pairwise(spans))
    assert all(text[a:b].strip() == text[a:b] for a, b in spans)
    kept = set().union(*(range(a, b) for a, b in spans)) if spans else set()
    assert not any(text[n].isalpha() for n in range(len(text)) if n not in kept)
