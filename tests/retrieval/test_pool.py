"""What a pool makes of vectors that are signed and still no good."""

from pathlib import Path

import numpy as np

from tests.ledger.world import Draft, admit, new_ledger, prove
from trustrag.errors import Refusal
from trustrag.index import Hit
from trustrag.ledger import StoredPassage
from trustrag.retrieval.pool import Pool, candidate_of


def pool_of(dimension: int) -> Pool:
    query = np.zeros(dimension, np.float32)
    query[0] = 1
    return Pool(query, 1, 4, 1, frozenset({"acme", "wiki"}), None, None)


def test_a_vector_of_another_dimension_is_refused_and_never_scored(tmp_path: Path) -> None:
    with new_ledger(tmp_path) as ledger:
        admit(ledger, Draft("a/1", 1, ("alpha",)))
        with ledger.view() as view:
            (stored,) = view.passages([0])
            assert isinstance(stored, StoredPassage)
            proved = prove(view, stored)
    pool = pool_of(5)
    assert pool.fresh([Hit(0, 1.0)]) == [0]
    pool.take(stored, proved)
    assert pool.found == []
    assert [entry.refusal for entry in pool.refused] == [Refusal.MALFORMED]


def test_a_pool_is_full_when_every_source_has_its_share(tmp_path: Path) -> None:
    with new_ledger(tmp_path) as ledger:
        admit(ledger, Draft("a/1", 1, ("alpha",)), Draft("a/2", 1, ("beta",)))
        admit(ledger, Draft("w/1", 1, ("gamma",), source="wiki"))
        pool = pool_of(8)
        pool.fresh([Hit(number, 0.5) for number in range(3)])
        with ledger.view() as view:
            for number, open_to in ((0, {"wiki"}), (1, {"wiki"}), (2, set[str]())):
                (stored,) = view.passages([number])
                assert isinstance(stored, StoredPassage)
                pool.take(stored, prove(view, stored))
                assert pool.open_to == open_to
    assert pool.full
    assert [found.passage.doc_id for found in pool.found] == ["a/1", "w/1"]


def test_a_pair_is_what_its_signed_metadata_and_its_text_say(tmp_path: Path) -> None:
    asked = "How long is the warranty?"
    drafts = {
        Draft("a/1", 1, (f"{asked}\n\nTwo years.",), metadata=(("question", asked),)): True,
        Draft("a/2", 1, ("It is two years.",), metadata=(("question", asked),)): False,
        Draft("a/3", 1, (f"{asked}\n\nOne year.",)): False,
        Draft("a/4", 1, ("The warranty is a year.",), metadata=(("question", ""),)): False,
    }
    with new_ledger(tmp_path) as ledger:
        admit(ledger, *drafts)
        with ledger.view() as view:
            for number, expected in enumerate(drafts.values()):
                (stored,) = view.passages([number])
                assert isinstance(stored, StoredPassage)
                assert candidate_of(prove(view, stored), 0.5).pair is expected
