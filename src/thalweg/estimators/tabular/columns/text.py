"""Columns of free text: notes, titles, reviews, addresses.

Words, pairs of words, and groups of three to five characters are hashed and counted,
weighted by TF-IDF, and projected by a truncated singular value decomposition: latent
semantic analysis (Deerwester et al., 1990). The length of the text is added.

Hashing keeps no vocabulary, so all that is learned is an array of weights and one of
directions. They are learned from a sample of the rows, and of the beginning of each
text, so that a large table takes no longer than a small one.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from thalweg.core import Array, Features, Series
from thalweg.estimators.tabular.columns.column import Column
from thalweg.estimators.tabular.columns.scale import spread
from thalweg.estimators.tabular.columns.values import plain, shorten, texts

_FEATURES = 2**13  # of words, and again of characters
_MOST_ROWS = 10_000  # that directions are learned from
_MOST_CHARACTERS = 2_000  # of one text that are read
_MOST_DIRECTIONS = 32
_ROWS_A_DIRECTION = 20  # at least
_FEWEST_WORDS = 2.5  # on average, in a column of free text
_BATCH = 20_000  # rows that are counted at once


def recognize(distinct: list[str], n_known: int) -> bool:
    """Tell whether the different texts of a column are free text.

    They are if most rows have their own, or there are hundreds, of several words each.

    Parameters
    ----------
    distinct : list of str
    n_known : int
        Number of rows that are not missing.
    """
    many = len(distinct) > 50 and (len(distinct) > 0.3 * n_known or len(distinct) > 500)
    if not many:
        return False
    places = np.linspace(0, len(distinct) - 1, 500).astype(int).tolist()
    sample = [distinct[place] for place in places]
    return float(np.mean([_count_words(text) for text in sample])) >= _FEWEST_WORDS


def study(draft: Column, values: Series) -> Column:
    """Learn how to encode a column of free text."""
    text = texts(plain(values), draft.absent)
    known = text.dropna()
    column = replace(draft, missing=len(text) - len(known), detail="")
    if not len(known):
        return column
    distinct = known.unique()
    if len(distinct) == 1 and not column.missing:
        return column.leave_out(f"{shorten(distinct[0])} in each row")
    rows = np.unique(np.linspace(0, len(known) - 1, _MOST_ROWS).astype(int))
    sample = [known.iloc[row] for row in rows]
    counts = _counts(sample)
    frequency = np.bincount(counts.indices, minlength=counts.shape[1])
    idf = np.log((1 + len(sample)) / (1 + frequency)) + 1
    directions = _directions(_weighted(counts, idf), len(known) // _ROWS_A_DIRECTION)
    lengths = np.log1p([len(each) for each in sample])
    words = np.mean([len(each.split()) for each in sample])
    return replace(
        column,
        center=float(np.median(lengths)),
        scale=float(lengths.std() or 1.0),
        arrays={
            "idf": idf.astype(np.float32),
            "directions": directions.astype(np.float32),
        },
        detail=f"{len(distinct)} texts of {words:.0f} words on average, as "
        f"{directions.shape[1]} direction(s) of their words and characters",
    ).describe(draft.detail)


def encode(column: Column, values: Series) -> list[Features]:
    """Encode a column of free text."""
    import pandas as pd

    text = texts(plain(values), column.absent)
    codes, found = pd.factorize(text)  # -1 for a missing value
    distinct: list[str] = found.tolist()
    idf = column.arrays["idf"].astype(float)
    directions = column.arrays["directions"].astype(float)
    parts = [
        _weighted(_counts(distinct[start : start + _BATCH]), idf) @ directions
        for start in range(0, len(distinct), _BATCH)
    ]
    projected = np.concatenate([*parts, np.zeros((1, directions.shape[1]))])
    lengths = np.array([*(np.log1p(len(each)) for each in distinct), np.nan])
    if not directions.shape[1]:  # texts of the same words
        return spread(column, lengths[codes])
    return [projected[codes], *spread(column, lengths[codes])]


def _count_words(text: str) -> float:
    """Count words; two characters of a script without blanks are one."""
    words = sum(any(c.isalpha() for c in word) for word in text.split())
    return max(words, sum("\u3040" <= c <= "\u9fff" for c in text) / 2)


def _counts(documents: Sequence[str]) -> Any:
    """Count hashed words and groups of characters, (n_texts, n_features), sparse."""
    from scipy.sparse import csr_matrix, hstack
    from sklearn.feature_extraction.text import HashingVectorizer

    usual = {"n_features": _FEATURES, "alternate_sign": False, "norm": None}
    words = HashingVectorizer(ngram_range=(1, 2), token_pattern=r"\b\w+\b", **usual)
    characters = HashingVectorizer(analyzer="char_wb", ngram_range=(3, 5), **usual)
    beginnings = [text[:_MOST_CHARACTERS].lower() for text in documents]
    # Groups of characters lie within words, so that each word is divided only once.
    places: dict[str, int] = {}
    used = [
        [places.setdefault(word, len(places)) for word in text.split()]
        for text in beginnings
    ]
    ends = np.cumsum([0, *map(len, used)])
    codes = np.array([code for row in used for code in row], int)
    shape = len(documents), max(len(places), 1)
    uses = csr_matrix((np.ones(len(codes)), codes, ends), shape=shape)
    groups = characters.transform(list(places) or [""])
    return hstack([words.transform(beginnings), uses @ groups], format="csr")


def _weighted(counts: Any, idf: Array) -> Any:
    """Return TF-IDF with logarithmic counts, words and characters of length 1 each."""
    from scipy.sparse import hstack
    from sklearn.preprocessing import normalize

    weighted = counts.copy()
    weighted.data = (1 + np.log(weighted.data)) * idf[weighted.indices]
    parts = weighted[:, :_FEATURES], weighted[:, _FEATURES:]
    return hstack([normalize(part) for part in parts], format="csr")


def _directions(weighted: Any, most: int) -> Array:
    """Return the directions of greatest variation, scaled to one, as columns."""
    from sklearn.decomposition import TruncatedSVD

    n = int(np.clip(most, 2, _MOST_DIRECTIONS))
    n = max(1, min(n, *(size - 1 for size in weighted.shape)))
    svd = TruncatedSVD(n, n_iter=3, random_state=0)
    spread_of = svd.fit_transform(weighted).std(axis=0)
    used = spread_of > 1e-6 * spread_of.max(initial=0)
    components: Any = svd.components_
    return (components[used] / spread_of[used, None]).T
