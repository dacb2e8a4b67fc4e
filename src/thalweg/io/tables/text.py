"""From the bytes of a text file to its characters, block by block.

Text is UTF-8 unless a byte-order mark or the zeros of UTF-16 say otherwise. Bytes that
are not UTF-8 are read as Windows-1252, the extension of Latin-1 that programs on
Windows write. Line ends of every system become line feeds. The memory is constant.
"""

import codecs
import io
from collections.abc import Iterator
from encodings import cp1252

from thalweg.io.tables.source import Source

BLOCK = 1 << 18
"""Bytes of a block: what is made of one stays in the cache of a processor."""

_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",  # before UTF-16, whose mark begins it
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
# Python leaves five bytes without a character; browsers give them control characters.
_CP1252 = {
    code: chr(code) if char == "\ufffe" else char
    for code, char in enumerate(cp1252.decoding_table)
}
_PADDING = "\0\x1a"  # zeros of a disk, and the end mark of DOS
_OTHER_FORMATS = {
    b"\xd0\xcf\x11\xe0": "an old Excel workbook (.xls)",
    b"%PDF": "a PDF document",
    b"\x89HDF": "an HDF5 file",
    b"SQLite format 3": "an SQLite database",
    b"\x93NUMPY": "a NumPy array",
    b"\x80\x04\x95": "a pickle",
    b"\x80\x05\x95": "a pickle",
    b"RDX": "an R workspace",
    b"RDA": "an R workspace",
    b"X\n\0\0": "an R object (.rds)",
    b"<stata_dta>": "a Stata file",
    b"$FL2": "an SPSS file",
    b"FEA1": "a Feather file of version 1",
    b"Obj\x01": "an Avro file",
    b"ORC": "an ORC file",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
}


def text_blocks(source: Source, encoding: str | None) -> Iterator[str]:
    """Yield the characters of a text file.

    Parameters
    ----------
    source : Source
    encoding : str or None
        None recognizes the encoding.

    Raises
    ------
    ValueError
        If the file holds binary data, `encoding` is unknown, or a line is not written
        in the encoding.
    """
    ends = io.IncrementalNewlineDecoder(None, translate=True)
    line, padded = 1, False
    for text in _decoded(source, encoding):
        text = ends.decode(text)
        kept = text.rstrip(_PADDING)
        if "\0" in kept or (padded and kept):
            line += kept[: kept.find("\0")].count("\n") if "\0" in kept else 0
            raise ValueError(
                f"{source.name} is not a text file: line {line} holds a zero byte, as "
                "binary data does. Save the table as CSV in UTF-8, or as Parquet."
            )
        padded = padded or len(kept) < len(text)
        line += kept.count("\n")
        yield kept
    yield ends.decode("", final=True)


def _decoded(source: Source, encoding: str | None) -> Iterator[str]:
    first = _read(source)
    for magic, kind in _OTHER_FORMATS.items():
        if first.startswith(magic):
            raise ValueError(
                f"{source.name} is {kind}, which is not read. Save the table as CSV, "
                ".xlsx or Parquet."
            )
    for mark, name in _MARKS.items():
        if first.startswith(mark):
            first, encoding = first[len(mark) :], encoding or name
            break
    encoding = encoding or _wide(first)
    if encoding is None:
        yield from _decode_utf8_or_cp1252(source, first)
        return
    try:
        decoder = codecs.getincrementaldecoder(encoding)()
        "".encode(encoding)
    except (LookupError, AttributeError, TypeError, ValueError) as error:
        raise ValueError(
            f"encoding {encoding!r} is not known. Give the name of an encoding, such "
            "as utf-8, cp1252, utf-16 or shift_jis."
        ) from error
    line, block = 1, first
    while True:
        try:
            text = decoder.decode(block, not block)
        except (UnicodeError, ValueError) as error:
            raise ValueError(
                f"{source.name} is not written in {encoding} (after line {line}: "
                f"{error}). Give its encoding (--encoding, in Python encoding=), or "
                "save it in UTF-8."
            ) from error
        if not isinstance(text, str):
            raise ValueError(f"encoding {encoding!r} is not an encoding of texts.")
        line += text.count("\n")
        yield text
        if not block:
            return
        block = _read(source)


def _decode_utf8_or_cp1252(source: Source, block: bytes) -> Iterator[str]:
    """Decode ASCII until another byte shows which of the two it is."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    line, plain = 1, True
    while block:
        try:
            text = decoder.decode(block)
        except UnicodeDecodeError as error:
            held = decoder.getstate()[0]
            if not plain or not _is_cp1252(held + block):
                line += block[: error.start].count(b"\n")
                raise ValueError(
                    f"{source.name} mixes encodings: line {line} is not written in "
                    "UTF-8, and others are. Write that line again, or give one "
                    "encoding for all (--encoding cp1252, in Python "
                    'encoding="cp1252").'
                ) from error
            block = held + block
            while block:
                yield _as_cp1252(block)
                block = _read(source)
            return
        plain = plain and text.isascii()
        line += text.count("\n")
        yield text
        block = _read(source)
    if decoder.getstate()[0]:  # half a character at the end
        if not plain:
            raise ValueError(
                f"{source.name} ends within a character: the file is cut off. Copy it "
                "again."
            )
        yield _as_cp1252(decoder.getstate()[0])


def _as_cp1252(block: bytes) -> str:
    return block.decode("latin-1").translate(_CP1252)


def _is_cp1252(block: bytes) -> bool:
    """Whether a block that is not UTF-8 holds few characters of UTF-8."""
    text = block.decode("utf-8", errors="replace")
    wrong = text.count("\ufffd")
    right = sum(not char.isascii() for char in text) - wrong
    return wrong > right


def _wide(first: bytes) -> str | None:
    """Recognize UTF-16 and UTF-32 without a mark by where their zeros are."""
    sample = first[:4096]
    if len(sample) < 4 or not sample.rstrip(b"\0") or b"\0" not in sample[:256]:
        return None
    zeros = [sample[k::4].count(0) / len(sample[k::4]) for k in range(4)]
    if min(zeros[1:]) > 0.9 and zeros[0] < 0.1:
        return "utf-32-le"
    if min(zeros[:3]) > 0.9 and zeros[3] < 0.1:
        return "utf-32-be"
    even, odd = sum(zeros[::2]) / 2, sum(zeros[1::2]) / 2
    if odd > 0.6 and even < 0.1:
        return "utf-16-le"
    if even > 0.6 and odd < 0.1:
        return "utf-16-be"
    return None


def _read(source: Source) -> bytes:
    return source.file.read(BLOCK)
