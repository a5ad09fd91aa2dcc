"""The way in: from a folder of files to documents that are signed, looked at, and sealed.

document     what is carried through all of it (report: what a run says when it is over)
reading      files to documents
screening    what is looked at before a document may be believed
contracts    what was agreed with its source
desk         what people decide, and are shown before they do
attest       a source signs its documents, with or without the store
chunking     documents to passages with their spans
predecessor  the version that stands of a document
around       what a batch meets in the store: its owner's past, near-duplicates, a sample
batch        a batch on its way into the ledger: embed, sign, review
moving       what another store saved, with the vectors it had
decide       may a document be written, as which version, or why not
pipeline     all of it in batches, each one transaction
parser       the process in which reading and screening let other people's parsers run: nobody imports it

A room is entered by its door: what its `__init__` shows is all that the others use of it.
"""
