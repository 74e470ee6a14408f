"""Texts as numbers by a trained language model of sentence-transformers, which the user names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from thresher.errors import UsageError

_BATCH = 64


@dataclass(frozen=True, eq=False)
class SentenceEncoder:
    """A sentence-transformers model; its embeddings are scaled to length 1.

    Attributes:
        model: a folder that holds one, or its name on the Hugging Face hub, from where the library fetches it.

    Raises:
        UsageError: sentence-transformers is not installed, or there is no such model.
    """

    model: str

    def __post_init__(self) -> None:
        _loaded(self.model)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """The features of texts, float32 ``[n, F]``."""
        found = _loaded(self.model).encode(
            list(texts), batch_size=_BATCH, normalize_embeddings=True, convert_to_numpy=True, show_progress_bar=False
        )
        return np.asarray(found, dtype=np.float32)

    def facts(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What `from_facts` needs; the model itself stays where it is."""
        return {"model": self.model}, {}

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> "SentenceEncoder":
        """The encoder that `facts` described."""
        return cls(facts["model"])


@lru_cache(maxsize=1)
def _loaded(model: str) -> Any:
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise UsageError(
            "--text-model needs sentence-transformers: pip install 'thresher[text]', or leave it out for TF-IDF"
        ) from error
    # Weights as safetensors only, and no code of the model's own: nothing that is loaded can run anything.
    safe: dict[str, Any] = {"trust_remote_code": False, "model_kwargs": {"use_safetensors": True}}
    try:
        return SentenceTransformer(model, local_files_only=Path(model).is_dir(), **safe)
    except Exception as error:  # the library and the hub have many errors of their own
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UsageError(
            f"the text model {model} cannot be loaded ({reason}): name a folder with a model of sentence-transformers, "
            "its weights as .safetensors, or a model on the hub"
        ) from error
