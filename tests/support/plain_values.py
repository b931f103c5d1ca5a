"""Arrow values read by the documented rules, one at a time and in plain Python.

It shares no code with ``driftwatch.columns.arrow``: the plain engine is the yardstick of the others.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

NANOSECONDS = 10**9
TICKS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
UNITS = {"s": NANOSECONDS, "ms": 10**6, "us": 10**3, "ns": 1}
MAX_INT64 = 2**63 - 1
#: A whole number of so many digits is a date, if it begins with one of the years: 20240101, with hour and
#: minute, with second, with millisecond.
CALENDAR_DIGITS = (8, 12, 14, 17)
CALENDAR_YEARS = range(1900, 2101)
#: Largest time: two days inside int64.
MAX_TIME = MAX_INT64 - 2 * 86400 * NANOSECONDS
MAX_WHOLE_FLOAT = 1e15
PREFIX_CHARS = 512
MASK = 2**64 - 1
PRIME = 0x100000001B3
NUMBER = re.compile(
    r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d{1,5})?|[+-]?(inf|infinity|nan)", re.ASCII | re.IGNORECASE
)
CLOCK = re.compile(
    r"((?P<d>\d{1,6}) days? )?(?P<h>\d{2,5}):(?P<m>[0-5]\d)(:(?P<s>[0-5]\d)(\.(?P<f>\d{1,9}))?)?", re.ASCII
)
DURATION = re.compile(
    r"P((?P<d>\d{1,6})D)?T(?=\d)((?P<h>\d{1,9})H)?((?P<m>\d{1,9})M)?((?P<s>\d{1,9})(\.(?P<f>\d{1,9}))?S)?",
    re.ASCII,
)
INTEGER = re.compile(r"-?\d{1,19}", re.ASCII)
TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)([T ](\d\d)(:?(\d\d)(:?(\d\d)([.,](\d+))?)?)?\s*(Z|UTC|[+-]\d\d(:?\d\d)?)?)?",
    re.ASCII | re.IGNORECASE,
)


class Missing:
    """No value: null."""


class NotANumber:
    """A NaN of the data."""


class WrongType:
    """A value that the kind cannot hold."""


class Narrow(float):
    """A float that came in 32 or 16 bits, as ``f`` or ``e``."""

    precision = "f"


class Half(Narrow):
    precision = "e"


class Level(str):
    """The text of a level, with the type that it came in: text, boolean, time, ``d``, ``f`` or ``e``."""

    form: str = "text"


@dataclass(frozen=True)
class Moment:
    """A temporal value: ticks of a unit since 1970 or midnight."""

    ticks: int
    unit: str
    type: pa.DataType

    @property
    def zone(self) -> str | None:
        return self.type.tz if pa.types.is_timestamp(self.type) else None


def value_of(scalar: pa.Scalar) -> Any:
    """A Python value, a ``Moment`` for whatever is a time, None for a null."""
    if not scalar.is_valid:
        return None
    if isinstance(scalar, pa.DictionaryScalar | pa.ExtensionScalar | pa.RunEndEncodedScalar):
        return value_of(scalar.value)
    types = pa.types
    if types.is_float32(scalar.type) or types.is_float16(scalar.type):
        return (Half if types.is_float16(scalar.type) else Narrow)(scalar.as_py())
    if types.is_date32(scalar.type):
        return Moment(scalar.value * 86400, "s", scalar.type)
    if types.is_date64(scalar.type):
        return Moment(scalar.value, "ms", scalar.type)
    if types.is_timestamp(scalar.type) or types.is_time(scalar.type) or types.is_duration(scalar.type):
        return Moment(scalar.value, scalar.type.unit, scalar.type)
    return scalar.as_py()


def text_of_bytes(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("utf-8", "backslashreplace")


def number(value: Any) -> float | type:
    """A number, or why there is none."""
    if value is None:
        return Missing
    if isinstance(value, str | bytes):
        text = text_of_bytes(value).strip()
        if not text:
            return Missing
        return not_nan(float(text)) if NUMBER.fullmatch(text) else clock(text)
    if isinstance(value, Decimal):
        return decimal_float(value)
    if isinstance(value, Moment) and is_duration(value.type):
        return float(value.ticks // TICKS[value.unit]) + value.ticks % TICKS[value.unit] / TICKS[value.unit]
    if isinstance(value, Narrow):
        return NotANumber if math.isnan(value) else value
    return not_nan(float(value)) if isinstance(value, bool | int | float) else WrongType


def clock(text: str) -> float | type:
    """The seconds of a time of day or a duration in a text."""
    match = CLOCK.fullmatch(text) or DURATION.fullmatch(text)
    if match is None or not any(match.groups()):
        return WrongType
    days, hours, minutes, seconds = (int(part or 0) for part in match.group("d", "h", "m", "s"))
    fraction = int((match["f"] or "").ljust(9, "0"))
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds) + fraction / 10**9


def decimal_float(value: Decimal) -> float:
    """The nearest float, as of a text of its digits."""
    return float(value)


def is_duration(data_type: pa.DataType) -> bool:
    return bool(pa.types.is_duration(data_type) or pa.types.is_time(data_type))


def rounded(value: float, precision: str) -> float:
    """The nearest value of a narrower type."""
    with np.errstate(over="ignore"):
        return float({"d": np.float64, "f": np.float32, "e": np.float16}[precision](value))


def not_nan(value: float) -> float | type:
    return NotANumber if math.isnan(value) else value


def level(value: Any) -> Level | type:
    """The text of a level, or why there is none."""
    text = level_text(value)
    if isinstance(text, type):
        return text
    named = Level(text)
    if isinstance(value, bool):
        named.form = "boolean"
    elif isinstance(value, int | float | Decimal):
        named.form = value.precision if isinstance(value, Narrow) else "d"
    elif isinstance(value, Moment) and not is_duration(value.type):
        named.form = "time"
    return named


def level_text(value: Any) -> str | type:
    if value is None:
        return Missing
    if isinstance(value, Narrow) and not math.isnan(value):
        value = float(str({"f": np.float32, "e": np.float16}[value.precision](value)))
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        if math.isnan(value):
            return Missing
        return str(int(value)) if abs(value) < MAX_WHOLE_FLOAT and value == int(value) else repr(value)
    if isinstance(value, Decimal):
        return str(int(value)) if value == int(value) else format(value.normalize(), "f")
    if isinstance(value, str | bytes):
        return text_of_bytes(value)[:PREFIX_CHARS]
    if isinstance(value, Moment) and pa.types.is_duration(value.type):
        return level_text(number(value))
    if isinstance(value, Moment) and pa.types.is_time(value.type):
        clock = datetime(1970, 1, 1) + timedelta(seconds=value.ticks * UNITS[value.unit] // NANOSECONDS)
        fraction = f".{value.ticks * UNITS[value.unit] % NANOSECONDS:09d}".rstrip("0").rstrip(".")
        return f"{clock:%H:%M:%S}{fraction}"
    if isinstance(value, Moment):
        seconds, rest = divmod(value.ticks * UNITS[value.unit], NANOSECONDS)
        moment = datetime(1970, 1, 1) + timedelta(seconds=seconds)
        if pa.types.is_date(value.type):
            return f"{moment:%Y-%m-%d}"
        fraction = f".{rest:09d}".rstrip("0").rstrip(".")
        return f"{moment:%Y-%m-%d %H:%M:%S}{fraction}{'' if value.zone is None else 'Z'}"
    return WrongType


TRUTHS = {
    **dict.fromkeys(["true", "t", "yes", "y", "1", "1.0"], 1.0),
    **dict.fromkeys(["false", "f", "no", "n", "0", "0.0"], 0.0),
}


def cell_of_level(levels: tuple[str, ...], form: str, value: Level) -> int:
    """The cell of a level: its own text, else the first that stands for the same value."""
    if value in levels:
        return levels.index(value)
    forms = {form, value.form}
    meanings: list[Any] = []
    if forms & {"d", "f", "e"}:
        precision = "e" if "e" in forms else "f" if "f" in forms else "d"
        meanings.append(
            lambda text, own: (
                TRUTHS[text] if own == "boolean" and text is value else number_of(text, precision)
            )
        )
    if all(level.strip().lower() in TRUTHS for level in levels) and forms != {"text"} and "time" not in forms:
        meanings.append(lambda text, own: TRUTHS.get(text.strip().lower()))
    if "time" in forms:
        meanings = [lambda text, own: time_of(text)]
    for meaning in meanings:
        wanted = meaning(value, value.form)
        for cell, level in enumerate(levels):
            if wanted is not None and meaning(level, form) == wanted:
                return cell
    return len(levels)


def number_of(text: str, precision: str) -> float | None:
    match = NUMBER.fullmatch(text.strip())
    return rounded(float(text.strip()), precision) if match and match[1] else None


def time_of(text: str) -> str:
    if TIME.fullmatch(text) and re.search(r"[ T]00:00:00(\.0+)?$", text):
        return text[:10]
    return text.replace("T", " ", 1) if text[4:5] == "-" else text


def length(value: Any) -> float | type:
    """The number of characters of a text, or of a number's or truth's text."""
    text = value if isinstance(value, str | bytes) else level(value)
    return float(len(text_of_bytes(text))) if isinstance(text, str | bytes) else text


def norm(value: Any, data_type: pa.DataType) -> float | type:
    """The Euclidean norm of a list of numbers."""
    types = pa.types
    if value is None:
        return Missing
    if not (
        types.is_list(data_type) or types.is_large_list(data_type) or types.is_fixed_size_list(data_type)
    ):
        return WrongType
    inner = data_type.value_type
    if not (types.is_integer(inner) or types.is_floating(inner) or types.is_decimal(inner)):
        return WrongType
    total = 0.0
    for element in value:
        if element is None:
            return NotANumber
        total += float(element) * float(element)
    return not_nan(math.sqrt(total) if total < math.inf else total)


def seconds(value: Any, timezone: str) -> float | type:
    """Seconds since 1970: nanoseconds rounded to a float, divided by 1e9."""
    if value is None:
        return Missing
    if isinstance(value, float) and math.isnan(value):
        return NotANumber
    time = event_time(value, timezone)
    return WrongType if time is None else float(time) / 1e9


def event_time(value: Any, timezone: str) -> int | None:
    """Nanoseconds since 1970 UTC, or None."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, int | float) and is_calendar_number(value):
        return calendar_time(value, timezone)
    if isinstance(value, int):
        return value * unit_of(value) if -MAX_INT64 < value <= MAX_INT64 else None
    if isinstance(value, float):
        return round(value * unit_of(value)) if abs(value) <= float(MAX_TIME) else None
    if isinstance(value, Moment) and (pa.types.is_timestamp(value.type) or pa.types.is_date(value.type)):
        if abs(value.ticks) > MAX_TIME // UNITS[value.unit]:
            return None
        time = value.ticks * UNITS[value.unit]
        return time if value.zone is not None else from_local(time, timezone)
    return text_time(value.strip(), timezone) if isinstance(value, str) else None


def is_calendar_number(value: float) -> bool:
    """Whether digits spell a year and more; ten of them only an hour that the calendar has."""
    if not 19_000_000 <= value < 10**17:
        return False
    digits = str(int(value))
    if len(digits) == 10:
        is_hour = 1990 <= int(digits[:4]) <= 2100 and value == int(value)
        return is_hour and calendar_time(value, "UTC") is not None
    return len(digits) in (8, 12, 14, 17) and 1900 <= int(digits[:4]) <= 2100


def calendar_time(value: float, timezone: str) -> int | None:
    """The time that whole digits spell: year, month, day, hour, minute, second, thousandths."""
    if value != int(value):
        return None
    digits = str(int(value)).ljust(17, "0")
    parts = [int(digits[start:end]) for start, end in pairwise((0, 4, 6, 8, 10, 12, 14))]
    try:
        moment = datetime(parts[0], parts[1], parts[2], parts[3], parts[4], parts[5])
    except ValueError:
        return None
    seconds = (moment - datetime(1970, 1, 1)) // timedelta(seconds=1)
    return from_local(seconds * NANOSECONDS + int(digits[14:]) * 10**6, timezone)


def unit_of(value: float) -> int:
    """Nanoseconds of the unit that a number's size tells."""
    return next((UNITS[unit] for unit in ("s", "ms", "us") if abs(float(value)) <= MAX_TIME / UNITS[unit]), 1)


def text_time(text: str, timezone: str) -> int | None:
    if INTEGER.fullmatch(text):
        return event_time(int(text), timezone)
    match = TIME.fullmatch(re.sub(r"\A([0-9]{4})([0-9]{2})([0-9]{2})(?=[T ])", r"\1-\2-\3", text))
    if match is None:
        return None
    year, month, day = (int(part) for part in match.group(1, 2, 3))
    hour, minute, second = (int(part or 0) for part in match.group(5, 7, 9))
    if hour > 23 or minute > 59 or second > 59:
        return None
    try:
        days = date(year, month, day).toordinal() - date(1970, 1, 1).toordinal()
    except ValueError:
        return None
    time = (days * 86400 + hour * 3600 + minute * 60 + second) * NANOSECONDS
    time += int((match[11] or "")[:9].ljust(9, "0"))
    zone = match[12]
    if zone is None:
        return from_local(time, timezone) if abs(time) <= MAX_TIME else None
    if zone[0] in "+-":
        offset = int(zone[1:3]) * 3600 + int(zone[3:].strip(":") or 0) * 60
        time -= (offset if zone[0] == "+" else -offset) * NANOSECONDS
    return time if abs(time) <= MAX_TIME else None


def from_local(time: int, timezone: str) -> int:
    """A local time as UTC: the first of two, and the end of the gap for one that is skipped.

    From 2038 on clocks stay as they are at the end of 2037.
    """
    zone = ZoneInfo(timezone)
    whole, rest = divmod(time, NANOSECONDS)
    local = datetime(1970, 1, 1) + timedelta(seconds=whole)
    if local.year > 2037:
        offset = datetime(2037, 12, 31, tzinfo=zone).utcoffset() or timedelta()
        return time - int(offset.total_seconds()) * NANOSECONDS
    first, last = (
        int(
            (
                local.replace(fold=fold, tzinfo=zone).astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
            ).total_seconds()
        )
        for fold in (0, 1)
    )
    if first <= last:
        return first * NANOSECONDS + rest
    # In a gap: the offset changes between the two readings.
    low, high = last, first
    before = offset_at(low, zone)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if offset_at(middle, zone) == before else (low, middle)
    return high * NANOSECONDS


def offset_at(instant: int, zone: ZoneInfo) -> timedelta | None:
    return datetime.fromtimestamp(instant, tz=zone).utcoffset()


def mix(value: int) -> int:
    z = (value + 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def bytes_hash(data: bytes) -> int:
    total = sum((byte + 1) * pow(PRIME, place, 2**64) for place, byte in enumerate(data)) & MASK
    return mix(total ^ (len(data) << 48 & MASK))
