"""The way in: from a folder of files to documents that are signed, looked at, and sealed.

readers      paths to documents (formats, jsonl: one reader per media type)
chunking     documents to passages with their spans
screening    what is looked at before a document may be believed
attest       a source signs its documents, with or without the store
decide       may it be written, as which version, or why not
around       what a batch meets in the store: its owner's past, near-duplicates, a sample
pipeline     all of it in batches, each one transaction (batch: embed, sign, review)
"""
