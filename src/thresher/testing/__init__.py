"""The contract that every method keeps, as checks to run on a method of your own.

    from thresher.testing import check_method

    def test_my_method():
        check_method(MyMethod())

Each check trains on toy data generated in memory, on the CPU, and takes well under a second; the first check over two
processes waits a few seconds for them to start. A check that fails raises an AssertionError that names the broken rule.
"""

from thresher.testing.contract import CHECKS, check_method

__all__ = ["CHECKS", "check_method"]
