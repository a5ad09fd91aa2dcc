"""The way in: from a folder of files to documents that are signed, looked at, and sealed.

readers      paths to documents: formats and code, a file each; tables, faq, jsonl, captions and transcripts, a file of
             records each (media: what a text was made from; isolation, parser: other people's parsers, apart)
faiss_folder what LangChain's FAISS store saved (unpickle: nothing in it is run)
chunking     documents to passages with their spans
screening    what is looked at before a document may be believed
attest       a source signs its documents, with or without the store
decide       may it be written, as which version, or why not
around       what a batch meets in the store: its owner's past, near-duplicates, a sample
pipeline     all of it in batches, each one transaction (batch: embed, sign, review)
"""
