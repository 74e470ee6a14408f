"""Thresher trains accurate models from wrongly labelled data, and says which labels are wrong."""

from thresher.engine.drop_in import as_loss, as_optimizer
from thresher.methods import method

__all__ = ["as_loss", "as_optimizer", "method"]
