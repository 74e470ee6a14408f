"""Arrays in, scores out: which labels look wrong, by several kinds of evidence. Knows nothing of runs or networks."""
