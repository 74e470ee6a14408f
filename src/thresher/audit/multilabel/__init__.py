"""Samples that may have several classes or none: which labels are wrong, by cleanlab's names, with its results."""

from thresher.audit.multilabel.files import find_multilabel_in_files, multilabel_table
from thresher.audit.multilabel.filter import find_label_issues, find_multilabel_issues_per_class
from thresher.audit.multilabel.scores import get_label_quality_scores, get_label_quality_scores_per_class
from thresher.audit.multilabel.summary import (
    common_multilabel_issues,
    multilabel_health_summary,
    overall_multilabel_health_score,
    rank_classes_by_multilabel_quality,
)

__all__ = [
    "common_multilabel_issues",
    "find_label_issues",
    "find_multilabel_in_files",
    "find_multilabel_issues_per_class",
    "get_label_quality_scores",
    "get_label_quality_scores_per_class",
    "multilabel_health_summary",
    "multilabel_table",
    "overall_multilabel_health_score",
    "rank_classes_by_multilabel_quality",
]
