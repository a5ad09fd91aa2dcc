"""What is agreed with a source about its documents, and whether a document keeps it.

odcs         the file: the Open Data Contract Standard, and what we need beyond it
clauses      what was agreed, held against one document
agreed       the contract of each source in a run, and what came of it so far
spdx         licences as expressions (strict_yaml: YAML that decides something, with the line of everything in it)
"""

from trustrag.ingest.contracts.agreed import Agreed, ContractFile, signed_contract
from trustrag.ingest.contracts.odcs import TEMPLATE, Contract, Problem, read_contract

__all__ = [
    "TEMPLATE",
    "Agreed",
    "Contract",
    "ContractFile",
    "Problem",
    "read_contract",
    "signed_contract",
]
