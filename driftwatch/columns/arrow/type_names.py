"""Names the type of values as people would, however they are stored."""

from __future__ import annotations

import pyarrow as pa

from driftwatch.columns.arrow.profile_values import TypeFamily, family_of


def type_name(data_type: pa.DataType) -> str | None:
    """Return a type's name; None for a type without values.

    >>> type_name(pa.float32()), type_name(pa.int8()), type_name(pa.dictionary(pa.int8(), pa.string()))
    ('float32', 'integer', 'text')
    """
    types = pa.types
    if isinstance(data_type, pa.BaseExtensionType):
        return type_name(data_type.storage_type)
    if types.is_dictionary(data_type) or types.is_run_end_encoded(data_type):
        return type_name(data_type.value_type)
    if types.is_floating(data_type):
        return f"float{data_type.bit_width}"
    for is_type, name in _NAMES:
        if is_type(data_type):
            return name
    family = family_of(data_type)
    return None if family is TypeFamily.NULL else _FAMILY_NAMES.get(family, str(data_type))


_NAMES = (
    (pa.types.is_decimal, "decimal"),
    (pa.types.is_duration, "duration"),
    (pa.types.is_time, "time of day"),
    (pa.types.is_date, "date"),
)
_FAMILY_NAMES = {
    TypeFamily.BOOLEAN: "boolean",
    TypeFamily.INTEGER: "integer",
    TypeFamily.TEXT: "text",
    TypeFamily.TIMESTAMP: "timestamp",
    TypeFamily.VECTOR: "vector",
}
