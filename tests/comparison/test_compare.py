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
from driftwatch.core.schema import Unwatched
from driftwatch.errors import ConfigError, NoFeatures, ReferenceUnusable, SchemaMismatch


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
def comparison() -> Comparison:
    return driftwatch.compare(frame(3000, 1), frame(1500, 2, rho=-0.9, shift=3.0))


def test_json_has_the_promised_shape(comparison: Comparison) -> None:
    payload = json.loads(json.dumps(comparison.to_json(), allow_nan=False))
    assert (payload["reference_rows"], payload["current_rows"]) == (3000, 1500)
    assert [item["column"] for item in payload["columns"]] == [
        "age",
        "income",
        "visits",
        "city",
        "gap",
        "always",
    ]
    assert payload["columns"][3]["kind"] == "categorical"
    assert set(payload["columns"][0]["missing"]) == {"reference", "current"}
    assert payload["columns"][4]["missing"]["reference"] == pytest.approx(0.2, abs=0.03)
    assert {"ks", "psi", "js", "wasserstein", "missing", "out_of_range", "wrong_type"} == set(
        payload["columns"][0]["detectors"]
    )
    assert {"chi2", "psi", "js", "tv", "missing", "unseen", "wrong_type"} == set(
        payload["columns"][3]["detectors"]
    )
    assert set(payload["joint"]) == {"mmd", "correlation"}
    for item in [*payload["columns"][0]["detectors"].values(), *payload["joint"].values()]:
        assert {"statistic", "p_value"} <= set(item)
    assert {item["column"] for item in payload["set_aside"]} == {"row_id"}


def test_statistics_equal_scipy_on_the_rows(comparison: Comparison) -> None:
    reference_frame, current_frame = frame(3000, 1), frame(1500, 2, rho=-0.9, shift=3.0)
    statistics = comparison.to_frame().set_index(["column", "detector"])["statistic"]
    for name in ("age", "income", "visits", "gap"):
        reference_values, current_values = reference_frame[name].dropna(), current_frame[name].dropna()
        assert statistics[name, "ks"] == pytest.approx(
            stats.ks_2samp(reference_values, current_values).statistic, abs=1e-12
        )
        distance = stats.wasserstein_distance(reference_values, current_values)
        assert statistics[name, "wasserstein"] == pytest.approx(distance, rel=1e-9)
    contingency_table = np.array(
        [data["city"].value_counts()[["north", "south", "east"]] for data in (reference_frame, current_frame)]
    )
    assert statistics["city", "chi2"] == pytest.approx(
        stats.chi2_contingency(contingency_table).statistic, rel=1e-9
    )
    correlation_change = (
        current_frame[["age", "income"]].corr().iloc[0, 1]
        - reference_frame[["age", "income"]].corr().iloc[0, 1]
    )
    correlation = next(item for item in comparison.joint if item.detector == "correlation")
    assert correlation.value == pytest.approx(abs(correlation_change), abs=0.01)


def test_a_flipped_correlation_with_equal_marginals_is_found() -> None:
    comparison = driftwatch.compare(frame(3000, 3), frame(1500, 4, rho=-0.9))
    joint_by_name = {item.detector: item for item in comparison.joint}
    for name in ("mmd", "correlation"):
        p_value = joint_by_name[name].p_value
        assert p_value is not None
        assert p_value < 1e-6
    assert comparison.drifted()
    column_p_values = [
        item.p_value
        for column in comparison.columns
        for item in column.statistics
        if item.p_value is not None
    ]
    assert min(column_p_values) > 1e-4


def test_the_same_distribution_is_not_drift() -> None:
    """Bonferroni at 1 %: of 5 healthy pairs at most 1 may fire (more has a chance of .001)."""
    n_drifted = sum(
        driftwatch.compare(frame(800, 100 + k), frame(500, 200 + k)).drifted(0.01) for k in range(5)
    )
    assert n_drifted <= 1


def test_named_columns_are_compared_whatever_they_are() -> None:
    reference_frame, current_frame = frame(300, 1), frame(200, 2)
    comparison = driftwatch.compare(
        reference_frame, current_frame, columns=["always", "row_id"], detectors=["ks", "unseen", "mmd_exact"]
    )
    assert [item.column.name for item in comparison.columns] == ["always", "row_id"]
    assert [item.statistics[0].value for item in comparison.columns] == [0.0, 1.0]
    assert [item.detector for item in comparison.joint] == ["mmd_exact"]
    codes = driftwatch.compare(reference_frame, current_frame, columns={"visits": "categorical"}).columns[0]
    assert codes.column.kind == "categorical"
    assert "chi2" in {item.detector for item in codes.statistics}


def test_a_constant_that_changed_is_compared() -> None:
    reference_frame, current_frame = frame(300, 1), frame(200, 2)
    comparison = driftwatch.compare(reference_frame, current_frame.assign(always=2.0))
    assert "always" in [item.column.name for item in comparison.columns]
    assert comparison.drifted()


def test_a_column_that_is_gone_and_one_that_is_new() -> None:
    reference_frame, current_frame = frame(300, 1), frame(200, 2).drop(columns="age").assign(extra=1)
    comparison = driftwatch.compare(reference_frame, current_frame)
    age = next(item for item in comparison.columns if item.column.name == "age")
    assert age.missing_current == 1.0
    assert next(item for item in age.statistics if item.detector == "ks").value is None
    assert comparison.only_current == ("extra",)
    assert comparison.drifted()


def test_unseen_levels_text_in_a_number_and_times() -> None:
    reference_frame = frame(400, 1).assign(at=pd.date_range("2024-01-01", periods=400, freq="h"))
    current_frame = reference_frame.assign(city="mars", visits=["many"] * 400)
    statistics = (
        driftwatch.compare(reference_frame, current_frame)
        .to_frame()
        .set_index(["column", "detector"])["statistic"]
    )
    assert statistics["city", "unseen"] == 1.0
    assert np.isnan(statistics["visits", "ks"])
    assert "at" not in statistics.index.get_level_values(0)


def test_empty_current_is_undefined_and_empty_reference_is_refused() -> None:
    reference_frame = frame(300, 1)
    comparison = driftwatch.compare(reference_frame, reference_frame.iloc[:0])
    assert not comparison.drifted()
    text = json.dumps(comparison.to_json(), allow_nan=False)
    assert json.loads(text)["columns"][0]["missing"]["current"] is None
    with pytest.raises(ReferenceUnusable, match="no rows"):
        driftwatch.compare(reference_frame.iloc[:0], reference_frame)


def test_wrong_names_are_told_with_a_suggestion() -> None:
    reference_frame = frame(100, 1)
    with pytest.raises(ConfigError, match='Did you mean "age"'):
        driftwatch.compare(reference_frame, reference_frame, columns=["agee"])
    with pytest.raises(ConfigError, match='Did you mean "ks"'):
        driftwatch.compare(reference_frame, reference_frame, detectors=["kss"])
    with pytest.raises(ConfigError, match="unknown kind"):
        driftwatch.compare(reference_frame, reference_frame, columns={"age": "numbers"})
    with pytest.raises(ConfigError, match="time_column"):
        driftwatch.compare(reference_frame, reference_frame, time_column="when")
    with pytest.raises(SchemaMismatch, match="int"):
        driftwatch.compare(3, reference_frame)


def test_anything_arrow_can_read_gives_the_same() -> None:
    reference_frame, current_frame = frame(300, 1), frame(200, 2)
    expected = driftwatch.compare(reference_frame, current_frame).to_json()
    tables = [pa.Table.from_pandas(data, preserve_index=False) for data in (reference_frame, current_frame)]
    assert driftwatch.compare(*tables).to_json() == expected
    assert driftwatch.compare(tables[0], tables[1].to_batches(max_chunksize=70)[0])
    tables_by_path = {"a": tables[0], "b": tables[1]}
    comparison = compare_files(
        "a", "b", read=lambda path: iter(tables_by_path[path].to_batches(max_chunksize=70))
    )
    assert comparison.to_json() == expected


def test_mixed_objects_and_numbered_columns() -> None:
    reference_frame = pd.DataFrame({0: [1, "x", None, 2.5] * 30, "n": [1.0, 2.0, 3.0, 4.0] * 30})
    comparison = driftwatch.compare(reference_frame, reference_frame)
    assert [item.column.name for item in comparison.columns] == ["0", "n"]
    assert not comparison.drifted()


Y = [1.5, 2.5, 3.5] * 20
ODD: dict[str, tuple[object, dict[str, str], float]] = {
    "texts, numbers and NA": (pd.Series(["x", 1, pd.NA] * 20, dtype=object), {"x": "categorical"}, 1 / 3),
    "integers above 64 bits": (
        pd.Series([2**70, 2**71, None] * 20, dtype=object),
        {"x": "categorical"},
        1 / 3,
    ),
    "category of integers": (pd.Categorical([101, 102, 103] * 20), {"x": "categorical"}, 0.0),
    "objects": (pd.Series([object() for _ in range(60)]), {"x": "text"}, 0.0),
    "intervals": (pd.cut(np.arange(60), 3), {}, 0.0),
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_column_stops_no_other(name: str) -> None:
    values, kinds, missing = ODD[name]
    odd_frame = pd.DataFrame({"x": values, "y": Y})
    comparison = driftwatch.compare(odd_frame, odd_frame)
    assert {item.column.name: item.column.kind for item in comparison.columns} == {**kinds, "y": "numeric"}
    assert [column.name for column in comparison.set_aside] == ([] if kinds else ["x"])
    assert comparison.columns[0].missing_reference == pytest.approx(missing)
    assert not comparison.drifted()


def test_a_series_is_a_column_and_other_things_are_refused_in_plain_words() -> None:
    series = pd.Series(Y, name="age")
    assert driftwatch.compare(series, series).columns[0].column.name == "age"
    views = pa.table({"city": pa.array(["a", "b"] * 30, pa.string_view())})
    assert not driftwatch.compare(views, views).drifted()
    twice = pa.table([pa.array(Y), pa.array(Y)], names=["a", "a"])
    for sample in (np.arange(9.0), [{"a": 1}], "test.parquet", twice):
        with pytest.raises(SchemaMismatch, match="a sample: expected"):
            driftwatch.compare(sample, sample)


def test_another_type_is_said_and_is_no_drift() -> None:
    reference_frame = pd.DataFrame({"flag": [True, False] * 200, "n": [1, 2, 3, 4] * 100})
    current_frame = reference_frame.assign(
        flag=reference_frame["flag"].astype(float), n=reference_frame["n"] / 1
    )
    comparison = driftwatch.compare(reference_frame, current_frame)
    assert not comparison.drifted()
    assert comparison.to_json()["type_changes"] == [
        {"column": "flag", "reference": "boolean", "current": "float64"},
        {"column": "n", "reference": "integer", "current": "float64"},
    ]


def test_the_module_stays_callable_in_any_order_of_imports() -> None:
    code = (
        "from driftwatch.comparison import compare_files; import driftwatch, pandas as pd;"
        "f = pd.DataFrame({'a': [1.5, 2.5, 3.5] * 9}); assert not driftwatch.compare(f, f).drifted();"
        "from driftwatch import compare, Reference; assert callable(compare) and Reference.build"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
    light_code = (
        "import driftwatch, sys; dir(driftwatch);"
        "assert not {'pandas', 'pyarrow', 'numpy', 'driftwatch.comparison'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", light_code], check=True)


def test_the_module_offers_its_public_names_and_nothing_else() -> None:
    names = [name for name in dir(driftwatch) if not (name.startswith("__") and name.endswith("__"))]
    assert names == ["Reference", "compare"]
    assert set(driftwatch.__all__) == {*names, "__version__"} <= set(dir(driftwatch))
    namespace: dict[str, object] = {}
    exec("from driftwatch import *", namespace)  # noqa: S102
    assert namespace.keys() - {"__builtins__"} == set(driftwatch.__all__)
    assert namespace["compare"] is driftwatch.compare
    assert namespace["Reference"] is driftwatch.Reference
    with pytest.raises(AttributeError, match="no attribute 'Any_'"):
        _ = driftwatch.Any_


def test_reference_is_built_once_and_held_against_frames() -> None:
    reference_frame = frame(3000, 1).assign(at=pd.date_range("2024-01-01", periods=3000, freq="10min"))
    reference = driftwatch.Reference.build(reference_frame, time_column="at", name="people")
    second_reference = driftwatch.Reference.build(
        reference_frame.sample(frac=1, random_state=1), time_column="at", name="people"
    )
    assert reference.fingerprint == second_reference.fingerprint
    columns = reference.to_frame().set_index("column")
    assert columns.loc["gap", "missing"] == pytest.approx(reference_frame["gap"].isna().mean())
    healthy_comparison = reference.compare(frame(1500, 5))
    assert not healthy_comparison.drifted(0.001)
    moved_comparison = reference.compare(frame(1500, 6, shift=5.0), detectors=["ks", "mmd"])
    assert moved_comparison.drifted()
    exact_ks = stats.ks_2samp(reference_frame["age"], frame(1500, 6, shift=5.0)["age"]).statistic
    ks = moved_comparison.columns[0].statistics[0]
    assert ks.low is not None
    assert ks.high is not None
    assert ks.low <= exact_ks <= ks.high
    assert reference.compare(reference_frame.iloc[:0]).current_rows == 0


NESTED = {
    "structs": (pa.array([[{"a": 1}]] * 60), pa.array([[{"a": 2}]] * 60)),
    "texts": (pa.array([["x"]] * 60), pa.array([["y"]] * 60)),
    "map": (pa.array([[("k", 1)]] * 60, pa.map_(pa.string(), pa.int64())),) * 2,
    "matrix": (pa.array([[[1.0]]] * 60),) * 2,
    "flags": (pa.array([[True]] * 60), pa.array([[False]] * 60)),
}


def test_complex_numbers_are_two_columns() -> None:
    frame = pd.DataFrame({"x": np.array([1 + 2j, 2j, 3 - 1j] * 20), "y": Y})
    comparison = driftwatch.compare(frame, frame)
    assert {item.column.name for item in comparison.columns} == {"x.real", "x.imag", "y"}


@pytest.mark.parametrize("name", NESTED)
def test_what_cannot_be_counted_is_set_aside(name: str) -> None:
    numbers = pa.array([row % 7 for row in range(60)])
    reference_table, current_table = (pa.table({"x": numbers, name: array}) for array in NESTED[name])
    comparison = driftwatch.compare(reference_table, current_table)
    assert [item.column.name for item in comparison.columns] == ["x"]
    ((column),) = comparison.set_aside
    assert column.name == name
    assert column.reason.endswith("cannot be counted")
    assert column.unwatched in (Unwatched.TYPE, Unwatched.NESTED)
    with pytest.raises(NoFeatures, match=f"cannot be watched: {name}") as error:
        driftwatch.compare(reference_table.select([name]), current_table)
    assert error.value.exit_code == 2


def test_a_constant_vector_is_compared() -> None:
    vectors, other_vectors = pa.array([[1.0, 2.0]] * 60), pa.array([[1.0, 3.0]] * 60)
    for reference_array, current_array, moved in (
        (vectors, other_vectors, True),
        (vectors, vectors, False),
    ):
        comparison = driftwatch.compare(pa.table({"v": reference_array}), pa.table({"v": current_array}))
        assert [item.column.name for item in comparison.columns] == ["v"]
        assert comparison.drifted() == moved


def test_it_says_how_far_it_is() -> None:
    steps: list[tuple[int, int]] = []
    comparison = driftwatch.compare(
        frame(300, 1), frame(300, 2), progress=lambda n_done, n_total: steps.append((n_done, n_total))
    )
    n_total = len(comparison.columns) + 1
    assert steps == [(n_done, n_total) for n_done in range(n_total + 1)]
    steps.clear()
    driftwatch.compare(
        frame(300, 1), frame(300, 2), detectors=["ks"], progress=lambda *step: steps.append(step)
    )
    assert steps[-1] == (len(comparison.columns), len(comparison.columns))


def test_fields_of_documents_in_a_frame_are_columns() -> None:
    """In pandas and in Arrow, without the index that pandas wrote."""
    rng = np.random.default_rng(5)
    requests = [{"age": float(age), "in": {"z": float(z)}} for age, z in rng.normal(size=(400, 2))]
    reference = pd.DataFrame({"request": requests}, index=rng.integers(0, 9, 400))
    moved = pd.DataFrame({"request": [{**item, "age": item["age"] + 5} for item in requests]})
    for current in (moved, pa.Table.from_pandas(moved)):
        result = driftwatch.compare(pa.Table.from_pandas(reference), current)
        assert [column.column.name for column in result.columns] == ["request.age", "request.in.z"]
        assert result.drifted()
    built = driftwatch.Reference.build(reference)
    assert [column.name for column in built.columns] == ["request.age", "request.in.z"]
    assert built.compare(moved).drifted()


def test_batches_whose_types_do_not_go_together_are_compared_as_text() -> None:
    batches = {
        "reference": [{"c": [5] * 300, "x": [1.0, 2.0, 3.0] * 100}],
        "current": [
            {"c": [5] * 150, "x": [1.0, 2.0, 3.0] * 50},
            {"c": ["5"] * 150, "x": [1.0, 2.0, 3.0] * 50},
        ],
        "other": [{"c": [5] * 150, "x": [[1.0], [2.0], None] * 50}, {"c": [True] * 150, "x": ["a"] * 150}],
    }

    def read(path: str) -> list[pa.RecordBatch]:
        return [pa.RecordBatch.from_pydict(columns) for columns in batches[path]]

    result = compare_files("reference", "current", read=read)
    assert (result.current_rows, result.drifted()) == (300, False)
    assert [str(item.column) for item in result.type_changes] == ["c"]
    assert compare_files("reference", "other", read=read).current_rows == 300


def test_structures_that_files_leave_in_are_not_taken_apart_further() -> None:
    deep = pa.array([{"f": number % 7} for number in range(300)])
    batch = pa.RecordBatch.from_arrays([deep, pa.array([0.5, 1.5, 2.5] * 100)], names=["a.b.c.d.e", "x"])
    result = compare_files("r", "c", read=lambda _path: [batch])
    assert [item.column.name for item in result.columns] == ["x"]
    assert [item.name for item in result.set_aside] == ["a.b.c.d.e"]
