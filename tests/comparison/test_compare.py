"""``driftwatch.compare`` and ``driftwatch.Reference`` as a notebook uses them."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy import stats

import driftwatch
from driftwatch.comparison import Comparison, compare_files
from driftwatch.errors import ConfigError, ReferenceUnusable, SchemaMismatch


def frame(rows: int, seed: int, *, rho: float = 0.9, shift: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    age = rng.normal(size=rows)
    return pd.DataFrame(
        {
            "age": 40 + 10 * age + shift,
            "income": rho * age + np.sqrt(1 - rho**2) * rng.normal(size=rows),
            "visits": rng.poisson(3, rows),
            "city": rng.choice(["north", "south", "east"], rows, p=[0.5, 0.3, 0.2]),
            "gap": np.where(rng.random(rows) < 0.2, np.nan, rng.random(rows).round(1)),
            "always": 1.0,
            "row_id": np.arange(rows) + seed * 1_000_000,
        }
    )


@pytest.fixture(scope="module")
def moved() -> Comparison:
    return driftwatch.compare(frame(3000, 1), frame(1500, 2, rho=-0.9, shift=3.0))


def test_json_has_the_promised_shape(moved: Comparison) -> None:
    out = json.loads(json.dumps(moved.to_json(), allow_nan=False))
    assert (out["reference_rows"], out["current_rows"]) == (3000, 1500)
    assert [item["column"] for item in out["columns"]] == ["age", "income", "visits", "city", "gap"]
    assert out["columns"][3]["kind"] == "categorical"
    assert set(out["columns"][0]["missing"]) == {"reference", "current"}
    assert out["columns"][4]["missing"]["reference"] == pytest.approx(0.2, abs=0.03)
    assert {"ks", "psi", "js", "wasserstein", "missing", "out_of_range"} == set(
        out["columns"][0]["detectors"]
    )
    assert {"chi2", "psi", "js", "tv", "missing", "unseen"} == set(out["columns"][3]["detectors"])
    assert set(out["joint"]) == {"mmd", "correlation"}
    for item in [*out["columns"][0]["detectors"].values(), *out["joint"].values()]:
        assert {"statistic", "p_value"} <= set(item)
    assert {item["column"] for item in out["set_aside"]} == {"always", "row_id"}


def test_statistics_equal_scipy_on_the_rows(moved: Comparison) -> None:
    before, after = frame(3000, 1), frame(1500, 2, rho=-0.9, shift=3.0)
    found = moved.to_frame().set_index(["column", "detector"])["statistic"]
    for name in ("age", "income", "visits", "gap"):
        left, right = before[name].dropna(), after[name].dropna()
        assert found[name, "ks"] == pytest.approx(stats.ks_2samp(left, right).statistic, abs=1e-12)
        distance = stats.wasserstein_distance(left, right)
        assert found[name, "wasserstein"] == pytest.approx(distance, rel=1e-9)
    table = np.array([side["city"].value_counts()[["north", "south", "east"]] for side in (before, after)])
    assert found["city", "chi2"] == pytest.approx(stats.chi2_contingency(table).statistic, rel=1e-9)
    changed = after[["age", "income"]].corr().iloc[0, 1] - before[["age", "income"]].corr().iloc[0, 1]
    correlation = next(item for item in moved.joint if item.detector == "correlation")
    assert correlation.value == pytest.approx(abs(changed), abs=0.01)


def test_a_flipped_correlation_with_equal_marginals_is_found() -> None:
    found = driftwatch.compare(frame(3000, 3), frame(1500, 4, rho=-0.9))
    by_name = {item.detector: item for item in found.joint}
    for name in ("mmd", "correlation"):
        p_value = by_name[name].p_value
        assert p_value is not None
        assert p_value < 1e-6
    assert found.drifted()
    single = [
        item.p_value for column in found.columns for item in column.statistics if item.p_value is not None
    ]
    assert min(single) > 1e-4


def test_the_same_distribution_is_not_drift() -> None:
    """Bonferroni at 1 %: of 5 healthy pairs at most 1 may fire (more has a chance of .001)."""
    fired = sum(driftwatch.compare(frame(800, 100 + k), frame(500, 200 + k)).drifted(0.01) for k in range(5))
    assert fired <= 1


def test_named_columns_are_compared_whatever_they_are() -> None:
    before, after = frame(300, 1), frame(200, 2)
    found = driftwatch.compare(before, after, columns=["always", "row_id"], detectors=["ks", "mmd_exact"])
    assert [item.column.name for item in found.columns] == ["always", "row_id"]
    assert [item.statistics[0].value for item in found.columns] == [0.0, 1.0]
    assert [item.detector for item in found.joint] == ["mmd_exact"]
    codes = driftwatch.compare(before, after, columns={"visits": "categorical"}).columns[0]
    assert codes.column.kind == "categorical"
    assert "chi2" in {item.detector for item in codes.statistics}


def test_a_constant_that_changed_is_compared() -> None:
    before, after = frame(300, 1), frame(200, 2)
    found = driftwatch.compare(before, after.assign(always=2.0))
    assert "always" in [item.column.name for item in found.columns]
    assert found.drifted()


def test_a_column_that_is_gone_and_one_that_is_new() -> None:
    before, after = frame(300, 1), frame(200, 2).drop(columns="age").assign(extra=1)
    found = driftwatch.compare(before, after)
    age = next(item for item in found.columns if item.column.name == "age")
    assert age.missing_current == 1.0
    assert next(item for item in age.statistics if item.detector == "ks").value is None
    assert found.only_current == ("extra",)
    assert found.drifted()


def test_unseen_levels_text_in_a_number_and_times() -> None:
    before = frame(400, 1).assign(at=pd.date_range("2024-01-01", periods=400, freq="h"))
    after = before.assign(city="mars", visits=["many"] * 400)
    found = driftwatch.compare(before, after).to_frame().set_index(["column", "detector"])["statistic"]
    assert found["city", "unseen"] == 1.0
    assert np.isnan(found["visits", "ks"])
    assert "at" not in found.index.get_level_values(0)


def test_empty_current_is_undefined_and_empty_reference_is_refused() -> None:
    before = frame(300, 1)
    out = driftwatch.compare(before, before.iloc[:0])
    assert not out.drifted()
    text = json.dumps(out.to_json(), allow_nan=False)
    assert json.loads(text)["columns"][0]["missing"]["current"] is None
    with pytest.raises(ReferenceUnusable, match="no rows"):
        driftwatch.compare(before.iloc[:0], before)


def test_wrong_names_are_told_with_a_suggestion() -> None:
    before = frame(100, 1)
    with pytest.raises(ConfigError, match='Did you mean "age"'):
        driftwatch.compare(before, before, columns=["agee"])
    with pytest.raises(ConfigError, match='Did you mean "ks"'):
        driftwatch.compare(before, before, detectors=["kss"])
    with pytest.raises(ConfigError, match="unknown kind"):
        driftwatch.compare(before, before, columns={"age": "numbers"})
    with pytest.raises(ConfigError, match="time_column"):
        driftwatch.compare(before, before, time_column="when")
    with pytest.raises(SchemaMismatch, match="int"):
        driftwatch.compare(3, before)


def test_anything_arrow_can_read_gives_the_same() -> None:
    before, after = frame(300, 1), frame(200, 2)
    expected = driftwatch.compare(before, after).to_json()
    tables = [pa.Table.from_pandas(side, preserve_index=False) for side in (before, after)]
    assert driftwatch.compare(*tables).to_json() == expected
    assert driftwatch.compare(tables[0], tables[1].to_batches(max_chunksize=70)[0])
    parts = {"a": tables[0], "b": tables[1]}
    read = compare_files("a", "b", read=lambda path: iter(parts[path].to_batches(max_chunksize=70)))
    assert read.to_json() == expected


def test_mixed_objects_and_numbered_columns() -> None:
    before = pd.DataFrame({0: [1, "x", None, 2.5] * 30, "n": [1.0, 2.0, 3.0, 4.0] * 30})
    found = driftwatch.compare(before, before)
    assert [item.column.name for item in found.columns] == ["0", "n"]
    assert not found.drifted()


def test_the_module_stays_callable_in_any_order_of_imports() -> None:
    code = (
        "from driftwatch.comparison import compare_files; import driftwatch, pandas as pd;"
        "f = pd.DataFrame({'a': [1.5, 2.5, 3.5] * 9}); assert not driftwatch.compare(f, f).drifted();"
        "from driftwatch import compare, Reference; assert callable(compare) and Reference.build"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
    light = "import driftwatch, sys; assert not {'pandas', 'pyarrow', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", light], check=True)


def test_reference_is_built_once_and_held_against_frames() -> None:
    before = frame(3000, 1).assign(at=pd.date_range("2024-01-01", periods=3000, freq="10min"))
    reference = driftwatch.Reference.build(before, time_column="at", name="people")
    again = driftwatch.Reference.build(before.sample(frac=1, random_state=1), time_column="at", name="people")
    assert reference.fingerprint == again.fingerprint
    listed = reference.to_frame().set_index("column")
    assert listed.loc["gap", "missing"] == pytest.approx(before["gap"].isna().mean())
    healthy = reference.compare(frame(1500, 5))
    assert not healthy.drifted(0.001)
    moved = reference.compare(frame(1500, 6, shift=5.0), detectors=["ks", "mmd"])
    assert moved.drifted()
    exact = stats.ks_2samp(before["age"], frame(1500, 6, shift=5.0)["age"]).statistic
    ks = moved.columns[0].statistics[0]
    assert ks.low is not None
    assert ks.high is not None
    assert ks.low <= exact <= ks.high
    assert reference.compare(before.iloc[:0]).current_rows == 0


NESTED = {
    "struct": (pa.array([{"a": 1}] * 60), pa.array([{"a": 2}] * 60)),
    "texts": (pa.array([["x"]] * 60), pa.array([["y"]] * 60)),
    "map": (pa.array([[("k", 1)]] * 60, pa.map_(pa.string(), pa.int64())),) * 2,
    "matrix": (pa.array([[[1.0]]] * 60),) * 2,
    "duration": (pa.array([1] * 60, pa.duration("s")), pa.array([2] * 60, pa.duration("s"))),
}


@pytest.mark.parametrize("name", NESTED)
def test_what_cannot_be_counted_is_set_aside(name: str) -> None:
    numbers = pa.array([row % 7 for row in range(60)])
    before, after = (pa.table({"x": numbers, name: side}) for side in NESTED[name])
    found = driftwatch.compare(before, after)
    assert [item.column.name for item in found.columns] == ["x"]
    ((aside),) = found.set_aside
    assert aside.name == name
    assert aside.reason.endswith("cannot be counted")


def test_a_constant_that_became_nested_is_compared() -> None:
    vectors, others = pa.array([[1.0, 2.0]] * 60), pa.array([[1.0, 3.0]] * 60)
    for before, after, moved in (
        (vectors, others, True),
        (vectors, vectors, False),
        (pa.array([1] * 60), NESTED["struct"][0], True),
    ):
        found = driftwatch.compare(pa.table({"v": before}), pa.table({"v": after}))
        assert [item.column.name for item in found.columns] == ["v"] * moved


def test_it_says_how_far_it_is() -> None:
    told: list[tuple[int, int]] = []
    found = driftwatch.compare(
        frame(300, 1), frame(300, 2), progress=lambda done, whole: told.append((done, whole))
    )
    whole = len(found.columns) + 1
    assert told == [(done, whole) for done in range(whole + 1)]
    told.clear()
    driftwatch.compare(
        frame(300, 1), frame(300, 2), detectors=["ks"], progress=lambda *both: told.append(both)
    )
    assert told[-1] == (len(found.columns), len(found.columns))
