"""How a table file is to be read, where the file itself does not tell."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    """What a user says of a table file.

    Parameters
    ----------
    header : bool
        Whether the first line of a text file or sheet holds the names of the columns.
    encoding : str or None
        Of a text file. None recognizes it.
    delimiter : str or None
        Of a text file. None recognizes it.
    sheet : str or None
        Of a workbook. None takes the first.
    """

    header: bool = True
    encoding: str | None = None
    delimiter: str | None = None
    sheet: str | None = None

    def __post_init__(self) -> None:
        for name in ("encoding", "delimiter", "sheet"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, str) or not value):
                raise ValueError(
                    f"{name} must be a text or None. Got {value!r} instead."
                )
        if not isinstance(self.header, bool):
            raise ValueError(f"header must be a bool. Got {self.header!r} instead.")
        given = self.delimiter
        if given is None:
            return
        given = {"tab": "\t", "\\t": "\t", "space": " ", "blank": " "}.get(given, given)
        if len(given) != 1 or given in '"\n\r\0':
            raise ValueError(
                f"delimiter must be one character, such as ';' or '|', or one of "
                f"'tab' and 'space'. Got {self.delimiter!r} instead."
            )
        object.__setattr__(self, "delimiter", given)
