"""How the numbers of a column are written as texts: one notation for the column.

"1.234.567,89", "$1,200", "(35)", "5.5 %", "12 kg" and "1.2M" are numbers for whoever
reads them. A notation says which character is the decimal mark and which one groups the
digits, and what unit or currency stands beside each number. It is decided from all the
different texts of a column:

1. A text is taken apart into sign, digits with separators, exponent and words.
2. The separators of all texts must fit one decimal mark and one grouping. "1,5" fits
   only a decimal comma, "1,234,567" only grouping by commas, and "1,234" both.
3. What fits both ways is decided by the other texts of the column: numbers without a
   separator that all have at most three digits speak for grouping. Then by what is
   usual in the file, and last by what is usual in English.
4. The words must agree: one unit, one currency, multiples such as k, M and bn, or units
   of one dimension. "12 kg" among "3 lb" is no column of numbers.

What only looks like a number is told by `is_code`: identifiers with leading zeros,
IP addresses, versions, telephone numbers, ISBNs, account numbers.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from thalweg.core import Array

_MOSTLY = 0.9  # share of the texts that are numbers in a column of numbers

_SAME = str.maketrans(
    {
        **dict.fromkeys("\u00a0\u2007\u2008\u2009\u200a\u202f\u2002\u2003", " "),
        **dict.fromkeys("\u2212\u2010\u2011\u2012\u2013\ufe63\uff0d", "-"),
        **dict.fromkeys("\u2019\u2018\u02bc\u00b4`", "'"),
        **dict.fromkeys("\u066b\uff0e", "."),
        **dict.fromkeys("\u066c\uff0c", ","),
        "\uff0b": "+",
        **{
            chr(start + digit): str(digit)
            for start in (0x0660, 0x06F0, 0x0966, 0xFF10)
            for digit in range(10)
        },
    }
)
"""Characters that mean the same: blanks, minus signs, apostrophes, digits."""

_MOST_VERSIONS = 200
_LONGEST = 40  # characters of a text that is quoted
_FIRST = 20  # texts of which one at least is a number in a column of numbers
_EXAMPLES = 1000  # among which one is chosen
_SYMBOLS = "$€£¥₹₩₽₺₪₫฿₦₱₴₡₲₵₸₼¢"
_CODES = (
    "USD|EUR|GBP|CHF|JPY|CNY|RMB|INR|AUD|CAD|NZD|SGD|HKD|SEK|NOK|DKK|ISK|PLN|CZK|HUF|"
    "RON|BGN|BRL|MXN|ARS|CLP|COP|PEN|ZAR|NGN|EGP|KES|RUB|UAH|TRY|ILS|SAR|AED|KRW|TWD|"
    "THB|IDR|MYR|PHP|VND|BTC|ETH|Rs|kr|Kr|Fr|SFr|zł|Kč|Ft|lei"
)
_CURRENCY = rf"(?:[A-Z]{{0,3}}[{_SYMBOLS}]|(?:{_CODES})(?![^\W\d_])\.?)"

_NUMBER = re.compile(
    rf"""
    (?P<open>\()? [ ]? (?P<sign>[-+])? [ ]?
    (?P<before>{_CURRENCY})? [ ]? (?P<inner>[-+])? [ ]?
    (?P<body>[0-9](?:[0-9.,' ]*[0-9])?[.,]?|[.,][0-9]+)
    (?P<exponent>[eE][-+]?[0-9]{{1,3}})?
    (?:[ ]?(?P<after>[^\W\d_][^\d(),;:?!|\[\]{{}}+\-]{{0,15}}(?:(?<=[^\W\d_])[23])?
        |[{_SYMBOLS}%‰°"\u2033\u2032µ²][^\d(),;:?!|\[\]{{}}+\-]{{0,9}}))??
    [ ]? (?P<trail>-)? [ ]? (?P<close>\))?
    """,
    re.VERBOSE,
)

_PLAIN = re.compile(r"[-+]?[0-9](?:[0-9.,' ]*[0-9])?")  # as most are
_NINES = str.maketrans("012345678", "999999999")

_MULTIPLES = {
    "k": 1e3, "K": 1e3, "tsd": 1e3, "thousand": 1e3, "M": 1e6, "m": 1e6, "mn": 1e6,
    "mm": 1e6, "MM": 1e6, "mio": 1e6, "mil": 1e6, "mln": 1e6, "million": 1e6,
    "millions": 1e6, "B": 1e9, "b": 1e9, "bn": 1e9, "mrd": 1e9, "mia": 1e9, "G": 1e9,
    "billion": 1e9, "billions": 1e9, "T": 1e12, "tn": 1e12, "trn": 1e12,
    "trillion": 1e12, "lakh": 1e5, "lac": 1e5, "crore": 1e7, "cr": 1e7,
}  # fmt: skip
_NO_MULTIPLE_ALONE = {"m", "mm", "b", "cr", "mil", "T", "G"}  # meters, bits, ...

_POWERS = str.maketrans("²³", "23")
_ORDINALS = {"st", "nd", "rd", "th"}

_DIMENSIONS: tuple[dict[str, float], ...] = (
    {"mg": 1e-6, "g": 1e-3, "kg": 1.0, "t": 1e3},
    {"mm": 1e-3, "cm": 1e-2, "m": 1.0, "km": 1e3},
    {"ml": 1e-3, "cl": 1e-2, "dl": 0.1, "l": 1.0},
    {"ms": 1e-3, "s": 1.0, "sec": 1.0, "min": 60.0, "h": 3600.0, "hr": 3600.0},
    {"w": 1.0, "kw": 1e3, "mw": 1e6, "gw": 1e9},
    {"hz": 1.0, "khz": 1e3, "mhz": 1e6, "ghz": 1e9},
)
"""Units that are converted into each other, as one column may hold several."""


class _Parts(NamedTuple):
    """A text that is a number, taken apart."""

    body: str
    exponent: str
    negative: bool
    before: str
    after: str


@dataclass(frozen=True)
class Notation:
    """How the numbers of one column are written.

    Parameters
    ----------
    decimal : {".", ","}
    thousands : str
        What groups the digits; ``""`` for nothing.
    unit : str
        The unit or currency that stands beside the numbers; ``""`` for none.
    note : str
        What a reader should know, as a clause: an example, or a doubt.
    """

    decimal: str = "."
    thousands: str = ""
    unit: str = ""
    note: str = ""


class NotNumbers(ValueError):
    """Texts are no numbers, or not numbers of one kind; the message says why."""


def clean(text: str) -> str:
    """Return a text with the usual one of characters that mean the same."""
    return text.translate(_SAME).strip()


def find_notation(
    distinct: Sequence[str],
    *,
    decimal: str | None = None,
    thousands: str | None = None,
    usual: str = ".",
) -> Notation:
    """Find the notation of the different texts of a column.

    Parameters
    ----------
    distinct : sequence of str
    decimal, thousands : str, optional
        What the reader says of them.
    usual : str
        The decimal mark where the texts leave it open.

    Raises
    ------
    NotNumbers
        If fewer than nine tenths of the texts are numbers of one notation, or their
        units differ.
    """
    if not any(_take_all_apart(distinct[:_FIRST])):  # as for most texts
        raise NotNumbers("")
    parts = _take_all_apart(distinct)
    found = [each for each in parts if each]
    if len(found) < len(parts) and len(found) <= _MOSTLY * len(parts):
        raise NotNumbers("")
    unit = _unit_of(found)
    words = (unit and unit not in "%‰" and not _is_currency(unit)) or any(
        each.after in _ORDINALS for each in found
    )
    if words and len(found) < len(parts):
        stray = distinct[parts.index(None)]
        raise NotNumbers(f"{stray[:_LONGEST]!r} is no number in {unit}")
    shapes = Counter(_shapes([each.body for each in found]))
    money = _is_currency(unit)
    given = (decimal, thousands, usual)
    mark, group, doubt = _separators(shapes, len(parts), *given, money=money)
    notation = Notation(mark, group, unit)
    return replace(notation, note=_note(distinct, notation, doubt))


def read(texts: Sequence[str], notation: Notation) -> Array:
    """Read texts as numbers of a notation; NaN for what is none.

    Texts without a unit are taken to have that of the notation.

    Returns
    -------
    ndarray of shape (n_texts,), float64
    """
    parts = _take_all_apart(texts)
    rows = [row for row, each in enumerate(parts) if each]
    found = [each for each in parts if each]
    shapes = _shapes([each.body for each in found])
    pattern = _pattern(notation.decimal, notation.thousands)
    fits = {shape: bool(pattern.fullmatch(shape)) for shape in set(shapes)}
    values = np.full(len(parts), np.nan)
    for row, each, shape in zip(rows, found, shapes, strict=True):
        if not fits[shape]:
            continue
        bare = not (each.before or each.after)
        if factor := 1.0 if bare else _factor(each, notation.unit):
            values[row] = factor * _value(each, notation)
    return values


def is_code(name: str, distinct: Sequence[str]) -> bool:
    """Tell whether texts are codes that only look like numbers.

    Parameters
    ----------
    name : str
        Of the column; "zip" and "phone" say more than digits do.
    distinct : sequence of str
        The different texts of the column.
    """
    if not distinct:
        return False
    lines = "\n".join(distinct)  # one search is quicker than many
    if _PADDED.search(lines) or _ISBN.search(lines) or _VERSION.search(lines):
        return True
    if _has_two_texts_of_one(distinct):
        return True
    if _TELEPHONE.search(lines) and _share(_TELEPHONE, distinct) > _MOSTLY:
        return True
    named = _CODE_NAMES.search(name)
    if named and named[0].lower().strip(" _-.") == "version":
        return True
    if not (named or _LONG.search(lines)):
        return False
    lengths = Counter(len(text) for text in distinct if text.isdecimal())
    n_digits = sum(lengths.values())
    if n_digits <= _MOSTLY * len(distinct):
        return False
    length, count = lengths.most_common(1)[0]
    if named and length >= 4:
        return True
    if count <= _MOSTLY * n_digits or length < 12:
        return False
    checked = n_digits >= 5 and all(map(_has_check_digit, distinct))
    return length >= 16 or checked


_PADDED = re.compile(r"^0[0-9]+$", re.MULTILINE)
_LONG = re.compile(r"^[0-9]{12,}$", re.MULTILINE)
_VERSION = re.compile(
    r"^(?![0-9]{1,3}(?:\.[0-9]{3})+(?:$|[\s€$£¥%]))v?[0-9]+(?:\.[0-9]+){2,}[^,\n]*$",
    re.MULTILINE,
)  # and IP addresses, but no thousands with a unit
_TELEPHONE = re.compile(r"^\+[0-9]{8,15}$", re.MULTILINE)
_ISBN = re.compile(r"^[0-9]{9}[Xx]$", re.MULTILINE)
_CODE_NAMES = re.compile(
    r"(?i)(^|[\W_])(zip|zip[\W_]?codes?|post[\W_]?codes?|postal[\W_]?codes?|postcode|"
    r"plz|zipcode|phones?|(tele)?phone[\W_]?(no|nr|number)s?|tel|telephone|fax|mobile|"
    r"cell|isbn|iban|ssn|ean|upc|gtin|sku|imei|barcode|fips|version|"
    r"account[\W_]?(no|nr|number|id)?)$"
)


def _share(pattern: re.Pattern[str], texts: Sequence[str]) -> float:
    return sum(map(bool, map(pattern.fullmatch, texts))) / len(texts)


def _has_two_texts_of_one(distinct: Sequence[str]) -> bool:
    """Whether 3.1 and 3.10 are different values, as among versions."""
    if len(distinct) > _MOST_VERSIONS:
        return False
    ends = [text for text in distinct if re.fullmatch(r"[0-9]+\.[1-9]0", text)]
    return bool({text[:-1] for text in ends} & set(distinct))


def _has_check_digit(digits: str) -> bool:
    """Whether the last digit is that of an EAN (ISBN-13) or of Luhn's formula."""
    if not digits.isdecimal():
        return True
    values = [int(digit) for digit in reversed(digits)]
    ean = sum(values[::2]) + 3 * sum(values[1::2])
    luhn = sum(values[::2]) + sum(sum(divmod(2 * each, 10)) for each in values[1::2])
    return ean % 10 == 0 or luhn % 10 == 0


def _take_all_apart(texts: Sequence[str]) -> list[_Parts | None]:
    cleaned = clean("\n".join(texts)).split("\n")  # one call is quicker than many
    if len(cleaned) != len(texts):  # a text has several lines
        cleaned = [clean(text) for text in texts]
    return [
        _Parts(text.lstrip("+-"), "", text[0] == "-", "", "")
        if _PLAIN.fullmatch(text)
        else _take_apart(text)
        for text in cleaned
    ]


def _take_apart(text: str) -> _Parts | None:
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    signs = [match["sign"], match["inner"], match["trail"], match["open"]]
    if sum(map(bool, signs)) > 1 or bool(match["open"]) != bool(match["close"]):
        return None
    return _Parts(
        match["body"],
        match["exponent"] or "",
        any(sign in ("-", "(") for sign in signs),
        (match["before"] or "").rstrip(". "),
        (match["after"] or "").strip(),
    )


def _shapes(bodies: Sequence[str]) -> list[str]:
    """Return numbers with each digit as 9, but for a leading 0."""
    if not bodies:
        return []
    nines = "\n".join(bodies).translate(_NINES).split("\n")
    return [
        f"0{shape[1:]}" if body[0] == "0" else shape
        for body, shape in zip(bodies, nines, strict=True)
    ]


def _pattern(decimal: str, thousands: str) -> re.Pattern[str]:
    """Return what the shapes of numbers in a notation match."""
    mark, group = re.escape(decimal), re.escape(thousands)
    whole = "[09]9*"
    if thousands:
        indian = f"|9{{1,2}}(?:{group}99)+{group}999" if thousands == "," else ""
        whole = f"(?:9{{1,3}}(?:{group}999)+{indian}|{whole})"
    return re.compile(f"{whole}(?:{mark}9*)?|{mark}9+")


def _separators(
    shapes: Counter[str],
    total: int,
    decimal: str | None,
    thousands: str | None,
    usual: str,
    *,
    money: bool,
) -> tuple[str, str, str]:  # fmt: skip
    """Return decimal mark, grouping character, and what was in doubt, as a clause."""
    used = [mark for mark in ",.' " if any(mark in shape for shape in shapes)]
    if thousands is not None:
        groups = {"", thousands.translate(_SAME)}
    else:
        groups = {"", *used}

    def best(mark: str) -> tuple[int, str]:
        """Return how many texts fit, and with what grouping."""
        found = []
        for group in sorted(groups - {mark}):
            fits = _pattern(mark, group)
            fitting = sum(n for shape, n in shapes.items() if fits.fullmatch(shape))
            found.append((fitting, group))
        return max(found, key=lambda each: each[0])

    if thousands in (".", ",") and decimal is None:
        decimal = "," if thousands == "." else "."
    marks = {mark: best(mark) for mark in ".,"}
    count = sum(shapes.values())
    if decimal is not None and marks[decimal][0] >= count:
        return decimal, marks[decimal][1], ""
    fitting = [mark for mark in ".," if marks[mark][0] >= count]
    if len(fitting) == 2 and set(used) & {",", "."}:
        mark, doubt = _decide(shapes, used, usual, money=money)
        return mark, marks[mark][1], doubt
    mark = fitting[0] if fitting else max(".,", key=lambda each: marks[each][0])
    if marks[mark][0] <= _MOSTLY * total and marks[mark][0] < total:
        raise NotNumbers("its numbers are written in several ways")
    return mark, marks[mark][1], ""


def _decide(
    shapes: Counter[str], used: list[str], usual: str, *, money: bool
) -> tuple[str, str]:
    """Decide the decimal mark where each one fits."""
    other = {".": ",", ",": "."}
    bare = [shape for shape in shapes if shape.isdigit() and shape != "0"]
    n_bare = sum(shapes[shape] for shape in bare)
    marks = [mark for mark in ",." if mark in used]
    if len(marks) == 1 and money:  # of which there are no thousandths
        return other[marks[0]], ""
    if len(marks) == 1 and bare:
        (mark,) = marks
        if any(len(shape) > 4 for shape in bare):
            return mark, ""
        short = all(len(shape) <= 3 for shape in bare)
        if short and n_bare >= 2 and n_bare >= 0.1 * sum(shapes.values()):
            return other[mark], ""
    return usual, "by default"


def _note(distinct: Sequence[str], notation: Notation, doubt: str) -> str:
    """Return an example that shows how numbers are written, if they need one."""
    points = doubt or notation.thousands == "."
    dressed = [
        text for text in distinct if not _is_bare(text) or (points and "." in text)
    ]
    if not dressed:
        return ""
    dressed = sorted(dressed[:_EXAMPLES])

    def telling(text: str) -> tuple[bool, bool, int]:
        return bool(re.search(r"\d[^\d]\d", text)), len(text) < 20, len(text)

    values = read(dressed, notation)
    known = [each for each in zip(dressed, values, strict=True) if each[1] == each[1]]
    text, value = max(known, key=lambda each: telling(each[0]), default=("", 0.0))
    other = "," if notation.decimal == "." else "."
    why = f" {doubt} (decimal={other!r} changes it)" if doubt else ""
    return f"{text!r} is {value:.12g}{why}" if text else ""


def _is_bare(text: str) -> bool:
    """Whether a text is a number as programs write it."""
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


def _value(parts: _Parts, notation: Notation) -> float:
    digits = parts.body
    if notation.thousands:
        digits = digits.replace(notation.thousands, "")
    value = float(digits.replace(notation.decimal, ".") + parts.exponent)
    return -value if parts.negative else value


def _unit_of(parts: Sequence[_Parts]) -> str:
    """Return the unit or currency of all numbers of a column; "" for none."""
    split = Counter(map(_split, parts))
    currencies = {currency for currency, _ in split if currency}
    words = {word for _, word in split if word}
    if len(currencies) > 1:
        raise NotNumbers(f"its currencies differ ({_list(currencies)})")
    currency = next(iter(currencies), "")
    if words <= set(_MULTIPLES) and (currency or not words <= _NO_MULTIPLE_ALONE):
        return currency
    if currency:
        raise NotNumbers("its numbers have units of several kinds")
    if words <= _ORDINALS:
        return ""
    usual = max(words, key=lambda word: (split["", word], word))
    if not all(_conversion(word, usual) for word in words):
        raise NotNumbers(f"its units differ ({_list(words)})")
    return usual


def _list(words: Iterable[str]) -> str:
    return ", ".join(sorted(words)[:5])


def _factor(parts: _Parts, unit: str) -> float:
    """Return what a number is multiplied by in a column of `unit`; 0 if it has another.

    A number without a unit is taken to have that of the column.
    """
    currency, word = _split(parts)
    if unit and not _is_currency(unit):
        return 0.0 if currency else _conversion(word, unit) if word else 1.0
    if currency and unit and currency != unit:
        return 0.0
    return 1.0 if not word or word in _ORDINALS else _MULTIPLES.get(word, 0.0)


def _conversion(word: str, unit: str) -> float:
    """Return how many of `unit` one of `word` is; 0 if nobody can know."""
    word, unit = _fold(word), _fold(unit)
    if word == unit:
        return 1.0
    for dimension in _DIMENSIONS:
        if word in dimension and unit in dimension:
            return dimension[word] / dimension[unit]
    return 0.0


def _fold(word: str) -> str:
    """Return a unit in one form: "KG.", "kg" and "Stars", "star" are the same."""
    folded = word.strip().rstrip(".").casefold().translate(_POWERS)
    return folded[:-1] if len(folded) > 3 and folded.endswith("s") else folded


def _is_currency(word: str) -> bool:
    return re.fullmatch(_CURRENCY, word) is not None


def _split(parts: _Parts) -> tuple[str, str]:
    """Return the currency beside a number, and the other word."""
    after = parts.after
    if not after:
        return parts.before, ""
    match = re.fullmatch(rf"(.+?)[. ]*({_CURRENCY})", after)
    if match and match[1] in _MULTIPLES:
        return parts.before or match[2].rstrip("."), match[1]
    if _is_currency(after):
        return parts.before or after.rstrip("."), ""
    for word in (after.rstrip("."), after.rstrip(".").lower()):
        if word in _MULTIPLES:
            return parts.before, word
    return parts.before, after
