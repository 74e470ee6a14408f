"""Texts by a trained language model: a tiny one that is made here."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from thresher.data import Reading
from thresher.data.table import load_table, reader_from
from thresher.errors import UsageError

TEXTS = ["good day", "bad day", "good good", ""]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    pytest.importorskip("sentence_transformers")
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizer

    folder = tmp_path_factory.mktemp("models")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad", "day"]
    (folder / "vocab.txt").write_text("\n".join(words))
    small: Any = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    BertModel(BertConfig(vocab_size=len(words), max_position_embeddings=16, **small)).save_pretrained(folder / "bert")
    BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder / "bert")
    body = Transformer(str(folder / "bert"), max_seq_length=12)
    SentenceTransformer(modules=[body, Pooling(8)], device="cpu").save(str(folder / "tiny"))
    return str(folder / "tiny")


def test_texts_become_features_of_length_one(model: str) -> None:
    table = pd.DataFrame({"body": TEXTS, "label": ["a", "b", "a", "b"]})
    data = load_table(table, Reading(text="body", text_model=model))
    x = data.train.dense().numpy()
    assert x.shape == (4, 8)
    np.testing.assert_allclose(np.linalg.norm(x, axis=1), 1, rtol=1e-5)
    assert data.reader is not None
    again, _ = reader_from(*data.reader.facts()).read(TEXTS[:2], Reading())
    np.testing.assert_allclose(np.asarray(again), x[:2], atol=1e-6)


def test_what_cannot_be_loaded_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers")
    table = pd.DataFrame({"body": TEXTS, "label": ["a", "b", "a", "b"]})
    with pytest.raises(UsageError, match=r"^the text model .* cannot be loaded \(.*\): name a folder") as caught:
        load_table(table, Reading(text="body", text_model=str(tmp_path)))
    assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match=r"^--text-model reads texts, and no column of texts is named"):
        load_table(table, Reading(text_model="any"))


def test_without_the_library_a_sentence_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    table = pd.DataFrame({"body": TEXTS, "label": ["a", "b", "a", "b"]})
    with pytest.raises(UsageError, match=r"^--text-model needs sentence-transformers: pip install 'thresher\[text\]'"):
        load_table(table, Reading(text="body", text_model="any"))
