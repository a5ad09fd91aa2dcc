import re

import numpy as np
import pytest

from tests.redteam.world import passages, targets
from trustrag.index.embedding import HashEmbedder
from trustrag.redteam.attacks import CATALOGUE, CONTROLS, select
from trustrag.redteam.campaign import Attack, KeyKind, Poison, Question, Target
from trustrag.redteam.metrics import states
from trustrag.redteam.wording import overlap

_EMBEDDER = HashEmbedder(256)
_ALL = [pytest.param(attack, id=attack.name) for attack in CATALOGUE.values()]
_LYING = [
    pytest.param(attack, id=attack.name)
    for attack in CATALOGUE.values()
    if attack.name not in {"jamming", "hub"}
]


def _made(attack: Attack, seed: int = 1) -> tuple[Poison, ...]:
    return attack.poisons(targets(), _EMBEDDER, np.random.default_rng(seed))


@pytest.mark.parametrize("attack", _ALL)
def test_every_attack_names_its_techniques_and_makes_something(attack: Attack) -> None:
    assert attack.atlas
    assert all(re.fullmatch(r"AML\.T\d{4}(\.\d{3})?", one) for one in attack.atlas)
    assert attack.description.endswith(".")
    made = _made(attack)
    assert made
    assert all(poison.text.strip() and poison.key >= 0 for poison in made)
    assert [poison.week for poison in made] == sorted(poison.week for poison in made)


@pytest.mark.parametrize("attack", _ALL)
def test_the_same_seed_makes_the_same_texts(attack: Attack) -> None:
    assert _made(attack) == _made(attack)


@pytest.mark.parametrize("attack", _LYING)
def test_every_target_is_lied_about(attack: Attack) -> None:
    told = [poison.text for poison in _made(attack) if not poison.innocent]
    for target in targets():
        assert any(states(text, (target.question.wrong,)) for text in told)


@pytest.mark.parametrize("attack", _ALL)
def test_innocent_texts_are_copies_of_honest_ones(attack: Attack) -> None:
    honest = {one.text for one in passages()}
    assert all(poison.text in honest for poison in _made(attack) if poison.innocent)


@pytest.mark.parametrize("attack", _ALL)
def test_no_target_and_no_honest_text_is_survived(attack: Attack) -> None:
    assert attack.poisons([], _EMBEDDER, np.random.default_rng(0)) == ()
    bare = [Target(Question("Who was it?", ("Anna Koch",), "Eva Brandt"), ())]
    assert isinstance(attack.poisons(bare, _EMBEDDER, np.random.default_rng(0)), tuple)


def test_echo_is_what_sets_the_loud_attack_apart() -> None:
    loud, silent = (_made(CATALOGUE[name]) for name in ("poisonedrag", "poisonedrag-silent"))
    asked = targets()[0].question.text.rstrip("?")
    assert loud[0].text == f"{asked}. {silent[0].text}"


def test_colluding_keys_are_many_and_a_stolen_one_is_stolen() -> None:
    assert {poison.key for poison in _made(CATALOGUE["collusion"])} == {0, 1, 2}
    assert {poison.key for poison in _made(CATALOGUE["collusion"].tuned(keys=2))} == {0, 1}
    assert {poison.kind for poison in _made(CATALOGUE["stolen-key"])} == {KeyKind.STOLEN}


def test_an_edit_in_place_changes_one_value_and_no_other_word() -> None:
    originals = {one.doc_id: one.text for one in passages()}
    for poison in _made(CATALOGUE["in-place"]):
        assert poison.replaces is not None
        assert poison.original == originals[poison.replaces] != poison.text
        assert overlap(poison.original, poison.text) > 0.6


def test_adaptive_texts_share_few_words_and_copy_no_sentence_twice() -> None:
    made = _made(CATALOGUE["adaptive"])
    assert {poison.key for poison in made} == set(range(5))
    first = [poison.text for poison in made[:5]]
    silent = [poison.text for poison in _made(CATALOGUE["poisonedrag-silent"])[:5]]

    def likeness(texts: list[str]) -> float:
        pairs = [(a, b) for at, a in enumerate(texts) for b in texts[at + 1 :]]
        return sum(overlap(a, b) for a, b in pairs) / len(pairs)

    assert likeness(first) < likeness(silent)


def test_a_hub_is_nearer_to_the_questions_than_their_own_passages_are() -> None:
    questions = np.stack([_EMBEDDER.embed_query(target.question.text) for target in targets()])
    honest = np.asarray(_EMBEDDER.embed([one.text for one in passages()])) @ questions.T
    hub = _made(CATALOGUE["hub"].tuned(hubs=1, lies=1))
    near = np.asarray(_EMBEDDER.embed([one.text for one in hub])) @ questions.T
    assert near.mean() > honest.mean()


def test_flipped_words_bring_a_lie_nearer_to_its_question() -> None:
    plain = _made(CATALOGUE["single"])
    flipped = _made(CATALOGUE["hotflip"])
    for target, one, other in zip(targets(), plain, flipped, strict=True):
        aim = _EMBEDDER.embed_query(target.question.text)
        before, after = np.asarray(_EMBEDDER.embed([one.text, other.text])) @ aim
        assert other.text.endswith(one.text)
        assert after > before


def test_a_trigger_is_part_of_what_is_asked() -> None:
    attack = CATALOGUE["trigger"]
    assert attack.asked("Who was it?").endswith(attack.trigger)
    assert CATALOGUE["single"].asked("Who was it?") == "Who was it?"
    assert all(attack.trigger in poison.text for poison in _made(attack))


def test_select_keeps_the_order_and_names_what_it_does_not_know() -> None:
    assert [attack.name for attack in select(["single", "unsigned"])] == ["unsigned", "single"]
    assert select() == tuple(CATALOGUE.values())
    assert select(["control-agree", "single"])[1] is CONTROLS["control-agree"]
    with pytest.raises(ValueError, match="unknown attack nonsense"):
        select(["nonsense"])
    with pytest.raises(ValueError, match="no knob height"):
        CATALOGUE["flood"].tuned(height=3)


def test_the_control_says_in_the_same_words_what_is_true() -> None:
    pairs = zip(_made(CATALOGUE["single"]), _made(CONTROLS["control-agree"]), targets(), strict=True)
    for lie, truth, target in pairs:
        assert truth.innocent
        assert truth.text == lie.text.replace(target.question.wrong, target.question.correct[0])
