"""Sources that give wrong columns or values."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from broken_sources.broken import Batches, Broken, Names, mapped


class GivesAllColumns(Broken):
    breaks = "only_the_columns_asked_for_come"

    def selected(self, batch: pa.RecordBatch, columns: Names) -> pa.RecordBatch:
        super().selected(batch, columns)
        return batch


class GivesNoTimes(Broken):
    breaks = "only_the_columns_asked_for_come"

    def selected(self, batch: pa.RecordBatch, columns: Names) -> pa.RecordBatch:
        kept = super().selected(batch, columns)
        return kept if columns is None or "t" in columns else kept.drop_columns(["t"])


class RepeatsColumns(Broken):
    breaks = "only_the_columns_asked_for_come"

    def selected(self, batch: pa.RecordBatch, columns: Names) -> pa.RecordBatch:
        if columns is None:
            return batch
        super().selected(batch, columns)
        return batch.select([*(name for name in columns if name in batch.schema.names and name != "t"), "t"])


class FillsMissingColumns(Broken):
    breaks = "a_column_that_is_not_there_is_left_out"

    def selected(self, batch: pa.RecordBatch, columns: Names) -> pa.RecordBatch:
        kept = super().selected(batch, columns)
        for name in set(columns or ()) - set(kept.schema.names):
            kept = kept.append_column(name.encode("utf-8", "replace").decode(), pa.nulls(kept.num_rows))
        return kept


class InsistsOnColumns(Broken):
    breaks = "a_column_that_is_not_there_is_left_out"

    def selected(self, batch: pa.RecordBatch, columns: Names) -> pa.RecordBatch:
        if not set(columns or ()) <= set(batch.schema.names):
            raise self.mismatch(f"{self.config.path}: expected all columns. Got fewer.")
        return super().selected(batch, columns)


class GivesRowsOfNothing(Broken):
    breaks = "none_of_the_columns_there_is_a_mismatch"

    def selected(self, batch: pa.RecordBatch, columns: Names) -> pa.RecordBatch:
        return (
            super()
            .selected(batch, None if columns is None else [*columns, "t", "x"])
            .select([name for name in batch.schema.names if columns is None or name in {*columns, "t"}])
        )


def _texts(change: Callable[[str], str | None]) -> Callable[[pa.Array], pa.Array]:
    return lambda array: pa.array(
        [None if text is None else change(text) for text in array.to_pylist()], pa.string()
    )


class ChangesValues(Broken):
    breaks = "values_come_as_they_are_stored"
    fits: Callable[[pa.DataType], bool] = staticmethod(pa.types.is_string)
    change: Callable[[pa.Array], pa.Array]

    def selected(self, batch: pa.RecordBatch, columns: Names) -> pa.RecordBatch:
        return mapped(super().selected(batch, columns), type(self).fits, type(self).change)


class NormalisesTexts(ChangesValues):
    change = staticmethod(_texts(lambda text: unicodedata.normalize("NFC", text)))


class StripsTexts(ChangesValues):
    change = staticmethod(_texts(str.strip))


class ShortensTexts(ChangesValues):
    change = staticmethod(_texts(lambda text: text[: 1 << 16]))


class CleansControlCharacters(ChangesValues):
    change = staticmethod(_texts(lambda text: "".join(char for char in text if char >= " ")))


class TakesEmptyForNull(ChangesValues):
    change = staticmethod(_texts(lambda text: text or None))


class TakesWordsForNull(ChangesValues):
    change = staticmethod(_texts(lambda text: None if text == "NA" else text))


class TakesTextsForNumbers(ChangesValues):
    change = staticmethod(_texts(lambda text: text.lstrip("0") or "0"))


class TakesNullForNan(ChangesValues):
    fits = staticmethod(pa.types.is_floating)
    change = staticmethod(lambda array: array.fill_null(float("nan")))


class TakesNanForNull(ChangesValues):
    fits = staticmethod(pa.types.is_floating)
    change = staticmethod(lambda array: pc.if_else(pc.is_nan(array), pa.scalar(None, array.type), array))


class DropsInfinity(ChangesValues):
    fits = staticmethod(pa.types.is_floating)
    change = staticmethod(lambda array: pc.if_else(pc.is_inf(array), pa.scalar(None, array.type), array))


class HasOneZero(ChangesValues):
    fits = staticmethod(pa.types.is_floating)
    change = staticmethod(lambda array: pc.add(array, 0.0))


class RoundsIntegers(ChangesValues):
    fits = staticmethod(pa.types.is_int64)
    change = staticmethod(lambda array: array.cast(pa.float64(), safe=False))


class RoundsFloats(ChangesValues):
    fits = staticmethod(pa.types.is_float64)
    change = staticmethod(lambda array: array.cast(pa.float32()))


class RoundsDecimals(ChangesValues):
    fits = staticmethod(pa.types.is_decimal)
    change = staticmethod(lambda array: array.cast(pa.float64()))


class TakesTruthForNumbers(ChangesValues):
    fits = staticmethod(pa.types.is_boolean)
    change = staticmethod(lambda array: array.cast(pa.int64()))


class DropsZones(ChangesValues):
    fits = staticmethod(pa.types.is_timestamp)
    change = staticmethod(lambda array: array.cast(pa.timestamp("us")))


class TakesDatesForTimes(ChangesValues):
    fits = staticmethod(pa.types.is_date)
    change = staticmethod(lambda array: array.cast(pa.timestamp("s")))


class LosesFarTimes(ChangesValues):
    fits = staticmethod(pa.types.is_timestamp)
    change = staticmethod(
        lambda array: array.cast(pa.timestamp("ns", array.type.tz), safe=False).cast(array.type, safe=False)
    )


class CleansNames(Broken):
    breaks = "names_of_columns_come_as_they_are"

    def stored(self, piece: Path) -> Batches:
        for batch in super().stored(piece):
            yield batch.rename_columns([" ".join(name.split()) for name in batch.schema.names])


class KeepsStructures(Broken):
    breaks = "a_structure_comes_as_its_fields"

    def flat(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        return batch
