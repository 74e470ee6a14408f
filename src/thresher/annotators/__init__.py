"""Labels by several annotators: who is right, how good each is, what to train on. Arrays and tables in, no network."""

from thresher.annotators.consensus import Consensus, consensus, soft_targets
from thresher.annotators.quality import annotator_evidence, annotator_table, label_table
from thresher.annotators.table import VoteTable, read_votes
from thresher.annotators.votes import Votes, matrix_votes

__all__ = [
    "Consensus",
    "VoteTable",
    "Votes",
    "annotator_evidence",
    "annotator_table",
    "consensus",
    "label_table",
    "matrix_votes",
    "read_votes",
    "soft_targets",
]
