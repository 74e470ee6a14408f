"""A small table of issues."""

import pandas as pd
import pytest


@pytest.fixture
def issues() -> pd.DataFrame:
    """Worst first, as a run writes it: three suspects, the last of them not confident."""
    columns = [
        *("key", "row", "given", "suggested", "p_suggested", "label_quality", "p_wrong", "is_label_issue", "reasons"),
        "score_elr",
    ]
    return pd.DataFrame(
        [
            ["d", 3, "cat", "dog", 0.99, 0.1, None, True, "elr expects 'dog' (p 0.99)", 3.0],
            ["a", 0, "dog", "bird", 0.9, 0.2, None, True, "elr expects 'bird' (p 0.90)", 2.0],
            ["c", 2, "cat", "dog", 0.5, 0.4, None, True, "elr expects 'dog' (p 0.50)", 1.0],
            ["b", 1, "bird", "bird", 0.8, 0.7, None, False, "", -1.0],
            ["e", 4, "cat", "cat", 0.9, 0.9, None, False, "", -2.0],
            ["f", 5, "dog", "cat", 0.4, None, None, False, "", None],
        ],
        columns=columns,
    )
