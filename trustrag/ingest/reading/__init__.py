"""Files to documents: what a text is, is decided here, and nothing is believed yet.

readers      paths to documents: walk, open safely, read, name
formats      a file of prose: one small reader per media type (code: source files, their comments and licence)
records      a file of records, each a document of its own: tables, faq, jsonl, captions, transcripts
media        the recording or picture that a text was made from
isolation    other people's parsers, in a process that may die of what it is given
"""

from trustrag.ingest.reading import isolation
from trustrag.ingest.reading.code import BY_MEDIA_TYPE, comments, spdx_header
from trustrag.ingest.reading.formats import Unreadable, extract, one_line
from trustrag.ingest.reading.readers import read

__all__ = [
    "BY_MEDIA_TYPE",
    "Unreadable",
    "comments",
    "extract",
    "isolation",
    "one_line",
    "read",
    "spdx_header",
]
