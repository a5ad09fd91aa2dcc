"""The version that stands of a document, put together again from its chunks.

The rows of the ledger are not signed. A chunk counts only if it leads to the chunk root of the entry that stands, and
whoever writes a new version over that entry has it checked against the last signed snapshot.
"""

from trustrag.errors import ProofError
from trustrag.ingest.screening.versions import Predecessor
from trustrag.ledger import Ledger, StoredPassage, UnprovedPassage, VersionRow, joined
from trustrag.provenance.canonical import Digest
from trustrag.provenance.standing import root_of_chunk


def standing_version(ledger: Ledger, doc_id: str) -> Predecessor | None:
    """What a new version of this document would supersede; None where nothing stands."""
    with ledger.view() as view:
        row = view.active(doc_id)
        if row is None:
            return None
        count = min(row.chunk_count, view.chunk_total())
        stored = view.passages(range(row.first_chunk, row.first_chunk + count))
    proved = [passage for place, passage in enumerate(stored) if _leads_to(passage, row, place)]
    whole = [passage for passage in proved if isinstance(passage, StoredPassage)]
    position = max((passage.evidence.entry.source_index for passage in whole), default=0)
    return Predecessor(
        row.version,
        joined((one.evidence.leaf.start, one.evidence.leaf.end, one.text) for one in whole),
        position,
        complete=len(whole) == row.chunk_count,
    )


def _leads_to(passage: StoredPassage | UnprovedPassage, row: VersionRow, place: int) -> bool:
    if isinstance(passage, UnprovedPassage):
        return False
    leaf, entry = passage.evidence.leaf, passage.evidence.entry
    try:
        root = root_of_chunk(leaf, passage.evidence.chunk_path)
    except ProofError:
        return False
    return (
        root == entry.chunk_root
        and leaf.text == Digest.of(passage.text.encode(errors="surrogatepass"))
        and (leaf.index, leaf.count) == (place, entry.chunk_count)
        and leaf.document == entry.document
        and (entry.doc_id, entry.version) == (row.doc_id, row.version)
    )
