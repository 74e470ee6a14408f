"""Arrays in, scores out: which labels look wrong, by several kinds of evidence. Knows nothing of runs or networks."""

from thresher.audit.evidence import Evidence, issues_table

__all__ = ["Evidence", "issues_table"]
