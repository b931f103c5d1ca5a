"""Settings of how rows are written, shared by reference and source."""

from __future__ import annotations

import codecs
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from driftwatch.columns.rows.number_texts import NumberStyle
from driftwatch.columns.rows.time_formats import format_pattern
from driftwatch.core.settings import Settings, Since


def _text_encoding(name: str) -> str:
    try:
        "".encode(name)
        codecs.getincrementaldecoder(name)
    except (LookupError, ValueError, TypeError) as error:
        raise ValueError(
            f"expected an encoding such as utf-8, latin-1 or utf-16. Got {name[:60]!r}"
        ) from error
    return name


_THOUSANDS = (",", ".", " ", "'", "_")
#: Of text files.
Encoding = Annotated[str, AfterValidator(_text_encoding)]


class RowOptions(Settings):
    """How values are written that Arrow does not read by itself."""

    #: Sign before the fraction, and between groups of digits, of numbers in columns of texts.
    decimal: Annotated[str, Since("0.2.0")] = "."
    thousands: Annotated[str | None, Since("0.2.0")] = None
    #: By column, the currency or unit that stands before or after its numbers.
    units: Annotated[dict[str, Annotated[str, Field(min_length=1)]], Since("0.2.0")] = Field(
        default_factory=dict
    )
    #: Formats of ``strptime`` for the time column, when it is not ISO 8601.
    time_format: Annotated[str | list[str] | None, Since("0.2.0")] = None
    #: A column of lists: each item becomes a row, and the other columns repeat.
    explode: Annotated[str | None, Field(min_length=1), Since("0.2.0")] = None

    @field_validator("decimal")
    @classmethod
    def _require_decimal_sign(cls, decimal: str) -> str:
        if decimal not in (".", ","):
            raise ValueError(f'expected "." or ",". Got {decimal[:60]!r}')
        return decimal

    @field_validator("thousands")
    @classmethod
    def _require_two_signs(cls, thousands: str | None, info: ValidationInfo) -> str | None:
        if thousands is not None and thousands not in _THOUSANDS:
            raise ValueError(f"expected one of , . ' _ or a space. Got {thousands[:60]!r}")
        if thousands is not None and thousands == info.data.get("decimal"):
            raise ValueError(f"expected another sign than decimal. Got {thousands!r} for both")
        return thousands

    @field_validator("time_format")
    @classmethod
    def _require_days(cls, time_format: str | list[str] | None) -> str | list[str] | None:
        for text in [time_format] if isinstance(time_format, str) else time_format or ():
            format_pattern(text)
        return time_format

    @property
    def time_formats(self) -> tuple[str, ...]:
        formats = self.time_format or ()
        return (formats,) if isinstance(formats, str) else tuple(formats)

    @property
    def number_style(self) -> NumberStyle:
        return NumberStyle(decimal=self.decimal, thousands=self.thousands)

    @property
    def row_options(self) -> RowOptions:
        """These settings alone, without those of the source that has them."""
        return RowOptions(**{name: getattr(self, name) for name in RowOptions.model_fields})
