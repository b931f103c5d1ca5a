"""Loading: broken files against their exact texts, every key mutated, and nothing but ConfigError ever."""

from __future__ import annotations

import datetime
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from soak import examples

from driftwatch.config import _yaml
from driftwatch.config._document import Document, KeyPath, value_text
from driftwatch.config._messages import _annotation, _models, _options
from driftwatch.config.load import _validate, check, load
from driftwatch.config.models import Config
from driftwatch.config.shown import redacted_settings
from driftwatch.core import plugins
from driftwatch.decoders.base import DecoderConfig
from driftwatch.detectors.base import all_detectors
from driftwatch.errors import ConfigError
from driftwatch.monitor.record import configuration_of

EXAMPLES = Path(__file__).parents[2] / "config"
BAD = Path(__file__).parent / "bad"
SECRET = "hunter2-and-more"
_ALTERNATIVES = "url_file|secret_file|routing_key_file|password_file"
#: Keys that can only be left out when another one is there.
_EITHER = {
    ("notify", 1, "url"): "url or url_file",
    ("notify", 2, "url"): "url or url_file",
    ("notify", 3, "routing_key"): "routing_key or routing_key_file",
    ("notify", 4, "username"): "a username with a password",
    ("notify", 4, "password"): "a username with a password",
    ("monitors", 0, "source", "time_column"): "is required",
    ("monitors", 0, "reference", "time_column"): "is required beside time_format",
}
_OPTION = re.compile(r"^( *)# ( *(?:- )?[a-z_]+:(?: .*)?)$")
_NO_DEFAULT = re.compile(r"\s+\(no default\)$")


def with_plugin_names(text: str) -> str:
    """Golden texts name lists of plugins that grow: {sources}, {engines}, {detectors}, {paging}."""
    text = text.replace("{paging}", ", ".join(item.name for item in all_detectors() if item.evidence))
    for package in ("sources", "engines", "decoders", "detectors", "notify"):
        text = text.replace(f"{{{package}}}", ", ".join(plugins.names(package)) or "none")
    return text


@pytest.mark.parametrize("path", sorted(BAD.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_broken_file_says_exactly_this(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(BAD)
    monkeypatch.setenv("DRIFTWATCH_TEST_SECRET", SECRET)
    with pytest.raises(ConfigError) as raised:
        load(path.name)
    text = str(raised.value) + "\n"
    expected = path.with_suffix(".err")
    if not expected.exists():
        expected.write_text(text, encoding="utf-8")
        pytest.fail(f"wrote {expected}: read it, then run again")
    assert text == with_plugin_names(expected.read_text(encoding="utf-8"))
    assert raised.value.problems == text.splitlines(), "one line each"
    assert all(re.match(rf"{re.escape(path.name)}:\d+: ", line) for line in raised.value.problems)
    assert SECRET not in text


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    assert check(tmp_path / "none.yaml") == [
        f'{tmp_path}/none.yaml:1: cannot be read. Got "No such file or directory".'
    ]
    assert check(tmp_path) == [f'{tmp_path}:1: cannot be read. Got "Is a directory".']
    large = tmp_path / "large.yaml"
    large.write_bytes(b"#" * (_yaml.MAX_BYTES + 1))
    assert check(large) == [f"{large}:1: is larger than 10 MB. Split it over several daemons."]


def config_file(folder: Path, top_level: str = "", monitor: str = "") -> Path:
    path = folder / "driftwatch.yaml"
    path.write_text(
        f"version: 1\n{top_level}\nmonitors:\n  - name: fraud\n    reference: {{path: x}}\n"
        f"    source: {{type: files, path: x, time_column: at}}\n{monitor}\n"
    )
    return path


def test_yaml_means_what_it_looks_like(tmp_path: Path) -> None:
    columns = "    columns: {no: {kind: numeric}, 12:30: {}, 2013-01-01: {}, 007: {}, ~: {}}"
    monitor_keys = (
        "    limits: {rows: 1e3, memory: 1GiB}\n    exclude: [2013-01-01]\n    groups: {g: [no, y, 'on']}"
    )
    monitor = load(config_file(tmp_path, "storage: {row_sample: on}", f"{columns}\n{monitor_keys}")).monitors[
        0
    ]
    assert list(monitor.columns) == ["no", "12:30", "2013-01-01", "007", "~"]
    assert (monitor.limits.rows, monitor.limits.memory) == (1000, 1 << 30)
    assert monitor.exclude == [datetime.date(2013, 1, 1)]
    assert monitor.groups == {"g": ["no", "y", "on"]}
    assert load(config_file(tmp_path, "storage: {row_sample: on}")).storage.row_sample
    assert not load(config_file(tmp_path, "storage: {row_sample: no}")).storage.row_sample


def test_variables_are_replaced_in_texts_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA", "/srv: [x] # no YAML")
    monkeypatch.setenv("ROWS", "300")
    monitor = (
        '    window: {min_rows: "${ROWS}"}\n    model: {name: "a ${DATA} $HOME ${", version: "${ROWS}-1"}'
    )
    config = load(config_file(tmp_path, monitor=monitor)).monitors[0]
    assert config.window.min_rows == 300
    assert config.model.name == "a /srv: [x] # no YAML $HOME ${"
    assert config.model.version == "300-1"


@pytest.mark.parametrize("mode", [0o644, 0o604])
def test_a_secret_everybody_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    secret = tmp_path / "token"
    secret.write_text("x")
    path = config_file(tmp_path, f"web: {{listen: '0.0.0.0:1', auth: {{token_file: {secret}}}}}")
    secret.chmod(mode)
    assert check(path) == [
        f"{path}:2: web.auth.token_file: must not be readable by everybody (its mode is {mode:04o});"
        f" run chmod 600 on it. Got {value_text(str(secret))}."
    ]
    for private_mode in (0o600, 0o640, 0o400):
        secret.chmod(private_mode)
        assert check(path) == []
    secret.write_text("")
    assert "must name a file that is not empty" in check(path)[0]


@pytest.mark.parametrize(
    ("listen", "fine"),
    [("127.0.0.1:0", True), ("localhost:9877", True), ("[::1]:9877", True), ("127.8.8.8:1", True),
     ("0.0.0.0:9877", False), ("[::]:9877", False), ("10.0.0.1:9877", False), ("example.org:80", False),
     ("127.0.0.1:65536", False), ("127.0.0.1", False), (":9877", False)],
)  # fmt: skip
def test_listening_beyond_loopback_needs_a_lock(tmp_path: Path, listen: str, fine: bool) -> None:
    problems = check(config_file(tmp_path, f"web: {{listen: '{listen}'}}"))
    assert ([] if fine else [True]) == ["web.listen" in problem for problem in problems]


# The annotated example


@pytest.fixture(autouse=True, scope="module")
def secrets_of_the_example() -> Iterator[None]:
    """Everything it takes from the environment is there."""
    with pytest.MonkeyPatch.context() as patch:
        for name in re.findall(r"\$\{([A-Z_]+)\}", (EXAMPLES / "driftwatch.yaml").read_text()):
            patch.setenv(name, f"https://example.org/{SECRET}")
        yield


def example_with_options() -> tuple[str, dict[int, bool]]:
    """The example with every option switched on; by line, whether its value is the default."""
    lines, options = [], {}
    for number, line in enumerate((EXAMPLES / "driftwatch.yaml").read_text().splitlines(), 1):
        match = _OPTION.match(line)
        if match:
            options[number] = not _NO_DEFAULT.search(line)
            line = _NO_DEFAULT.sub("", match[1] + match[2])
        lines.append(line)
    return "\n".join(lines) + "\n", options


def document_of(text: str, folder: Path) -> Document:
    path = folder / "all.yaml"
    path.write_text(text)
    return _yaml.read(path)


def value_at(config: Any, key_path: KeyPath) -> Any:
    for part in key_path:
        config = config[part] if isinstance(config, (list, dict)) else getattr(config, str(part))
    return config


def model_at(config: Config, key_path: KeyPath) -> Any:
    """The model a place in the file belongs to, plugins' own ones included."""
    return type(value_at(config, key_path[:-1]))


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.name)
def test_the_examples_load(path: Path) -> None:
    assert check(path) == []


def test_every_commented_value_of_the_example_is_the_default(tmp_path: Path) -> None:
    text, options = example_with_options()
    document = document_of(text, tmp_path)
    assert document.problems == []
    text = re.sub(rf"\n +(?:{_ALTERNATIVES}):.*", "", text)
    config, problems = _validate(document_of(text, tmp_path), tmp_path / "driftwatch.yaml")
    assert problems == []
    assert config is not None
    n_compared = 0
    for key_path, line in document.lines.items():
        if options.get(line) and key_path and isinstance(key_path[-1], str):
            field = model_at(config, key_path).model_fields[key_path[-1]]
            assert value_at(config, key_path) == field.get_default(call_default_factory=True), key_path
            n_compared += 1
    assert n_compared == sum(options.values())
    assert n_compared > 30


def fields(model: type[BaseModel], key_path: KeyPath = ()) -> Iterator[KeyPath]:
    for name, info in model.model_fields.items():
        yield (*key_path, name)
        lists = [
            option for option in _options(info.annotation) if getattr(option, "__origin__", None) is list
        ]
        for inner in _models(info.annotation):
            yield from fields(inner, (*key_path, name))
        if lists and name == "monitors":
            yield from fields(next(_models(lists[0].__args__[0])), (*key_path, name, 0))


def test_every_option_is_in_the_example(tmp_path: Path) -> None:
    document = document_of(example_with_options()[0], tmp_path)
    expected = set(fields(Config))
    for place, package, name in [
        (("monitors", 0, "source"), "sources", "files"),
        (("monitors", 0, "engine"), "engines", "local"),
        (("notify", 0), "notify", "alertmanager"),
        (("notify", 1), "notify", "webhook"),
        (("notify", 2), "notify", "slack"),
        (("notify", 3), "notify", "pagerduty"),
        (("notify", 4), "notify", "email"),
    ]:
        expected |= set(fields(plugins.load(package, name).CONFIG, place))
    if not plugins.names("decoders"):
        # There is none to show.
        decode = ("monitors", 0, "decode")
        expected -= {decode, *fields(DecoderConfig, decode)}
    assert expected - set(document.lines) == set()


# Mutation: delete, rename, retype each key


def full_example(folder: Path) -> tuple[str, Document]:
    """The example with all options on, but those that exclude each other or need files on disk."""
    text = example_with_options()[0]
    text = re.sub(r"\n +(?:tls|auth|\w+_file):.*", "", text)
    text = re.sub(r"\n    (?:tolerance|min_effect):.*", "", text)
    return text, document_of(text, folder)


def block(lines: list[str], line: int, key: str) -> tuple[int, int]:
    """First column of a key, and the line after its block."""
    column = lines[line - 1].index(f"{key}:")
    end = line
    while end < len(lines):
        rest = lines[end].lstrip()
        if rest and not rest.startswith("#") and len(lines[end]) - len(rest) < column:
            break
        if rest and not rest.startswith("#") and len(lines[end]) - len(rest) == column:
            break
        end += 1
    return column, end


def mutant(text: str, line: int, key: str, new_key: str | None, value: str | None) -> str:
    """The text with a key renamed, given another value, or (both None) removed with its block."""
    lines = text.splitlines()
    column, end = block(lines, line, key)
    head = lines[line - 1]
    if new_key is not None:
        lines[line - 1] = head[:column] + new_key + head[column + len(key) :]
    elif value is not None:
        lines[line - 1 : end] = [f"{head[:column]}{key}: {value}", *[""] * (end - line)]
    else:
        lines[line - 1 : end] = [head[:column], *[""] * (end - line)]
    return "\n".join(lines) + "\n"


def test_every_mutant_of_the_example_is_rejected_on_the_right_line(tmp_path: Path) -> None:
    text, document = full_example(tmp_path)
    path = tmp_path / "all.yaml"
    assert check(path) == []
    config = load(path)
    counts = dict.fromkeys(("kept", "refused"), 0)

    def refusals(changed_text: str) -> list[str]:
        path.write_text(changed_text)
        return [problem.removeprefix(f"{path}:") for problem in check(path)]

    for key_path, line in document.lines.items():
        key = key_path[-1] if key_path else None
        if not isinstance(key, str) or (
            document.lines[key_path[:-1]] == line
            and not text.splitlines()[line - 1].lstrip(" -").startswith(f"{key}:")
        ):
            continue
        owner = model_at(config, key_path)
        if not (isinstance(owner, type) and issubclass(owner, BaseModel)):
            continue
        info = owner.model_fields[key]
        # Deleted: a required key is missed on its parent's line, any other has a default.
        deletion_problems = refusals(mutant(text, line, key, None, None))
        is_required = info.is_required() or key == "type" or key_path in _EITHER
        if is_required:
            # A mapping without a key of its own, a file or list item, begins at its first key.
            parent = document.lines[key_path[:-1]]
            if parent == line:
                parent = min(
                    number
                    for place, number in document.lines.items()
                    if place[:-1] == key_path[:-1] and number > line
                )
            assert [problem.split(":")[0] for problem in deletion_problems] == [str(parent)], (
                key_path,
                deletion_problems,
            )
            assert _EITHER.get(key_path, "is required") in deletion_problems[0]
        else:
            assert deletion_problems == [], key_path
        # Renamed: refused on its line, with the right name suggested.
        rename_problems = refusals(mutant(text, line, key, f"{key}q", None))
        line_problems = [problem for problem in rename_problems if problem.startswith(f"{line}: ")]
        assert (
            any("unknown key" in problem and f'"{key}"' in problem for problem in line_problems)
            or key == "type"
        ), key_path
        # Retyped: a list of mappings is the type of no option, a mapping of one odd key neither.
        for value in ("[{odd: 1}]", "{odd: {odd: 1}}", "[[]]"):
            type_problems = refusals(mutant(text, line, key, None, value))
            assert type_problems, (key_path, value)
            assert any(problem.startswith(f"{line}: ") for problem in type_problems), (
                key_path,
                value,
                type_problems,
            )
        counts["refused" if is_required else "kept"] += 1
    assert counts["kept"] > 40
    assert counts["refused"] >= 9


def test_true_is_no_number_and_a_number_no_truth(tmp_path: Path) -> None:
    text, document = full_example(tmp_path)
    path = tmp_path / "all.yaml"
    n_values = 0
    for key_path, value in document.walk():
        options = set(_options(_annotation(Config, document, (), key_path)))
        if not key_path or isinstance(value, (dict, list, type(None))) or not options & {int, float, bool}:
            continue
        wrong_value = "7" if bool in options else "true"
        path.write_text(mutant(text, document.lines[key_path], str(key_path[-1]), None, wrong_value))
        problems = check(path)
        assert len(problems) == 1, (key_path, problems)
        assert problems[0].startswith(f"{path}:{document.lines[key_path]}: "), key_path
        n_values += 1
    assert n_values >= 20


# Fuzz: whatever the file, a Config or a ConfigError of whole lines


def only_config_errors(path: Path) -> None:
    for line in check(path):
        assert line.startswith(f"{path}:")
        assert line.splitlines() == [line]
        line.encode("utf-8")


_SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20),
    st.sampled_from(["1d", "1 per 90d", "${HOME}", "${", "9" * 400 + "d", "9" * 5000 + "d", "1e999"]),
    st.sampled_from(["2026-13-01", "../..", "\ud800", "9" * 400 + " per 1d"]),
)  # fmt: skip
_TREES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=10,
)


@pytest.mark.soak
@settings(
    max_examples=examples(150), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    raw=st.binary(max_size=200)
    | st.text(alphabet="ab:-[]{}#&*!|>'\"%@`\n \t?,$1", max_size=120).map(str.encode)
)
@example(raw=b"a: " + b"[" * 5000)
@example(raw=b"a: &a [*a]")
@example(raw=b'"\\ud800": "\\ud800"')
@example(raw=b"? ? ? a")
@example(raw=b"a: " + b"9" * 6000)
def test_any_bytes(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "any.yaml"
    path.write_bytes(raw)
    only_config_errors(path)


@pytest.mark.soak
def test_any_value_at_any_place(tmp_path: Path) -> None:
    text = full_example(tmp_path)[0]
    places = [key_path for key_path, _ in full_example(tmp_path)[1].walk() if key_path]
    path = tmp_path / "any.yaml"

    @settings(max_examples=examples(150), deadline=None)
    @given(key_path=st.sampled_from(places), tree=_TREES, key=st.none() | st.text(max_size=12))
    def run(key_path: KeyPath, tree: Any, key: str | None) -> None:
        document = document_of(text, tmp_path)
        parent = document.value_at(key_path[:-1])
        parent[key_path[-1]] = tree
        if key is not None and isinstance(parent, dict):
            parent[key] = tree
        path.write_text(flow_yaml(document.value), encoding="utf-8", errors="replace")
        only_config_errors(path)

    run()


def flow_yaml(value: Any) -> str:
    """A tree as flow YAML, quoting every text."""
    if isinstance(value, dict):
        return (
            "{" + ", ".join(f"{flow_yaml(str(key))}: {flow_yaml(item)}" for key, item in value.items()) + "}"
        )
    if isinstance(value, list):
        return "[" + ", ".join(flow_yaml(item) for item in value) + "]"
    if isinstance(value, str):
        escaped = "".join(
            mark if mark.isascii() and mark.isalnum() else f"\\U{ord(mark):08x}" for mark in value
        )
        return f'"{escaped}"'
    return (
        {None: "null", True: "true", False: "false"}.get(value, repr(value))
        if value is None or isinstance(value, bool)
        else repr(value)
    )


def test_bombs_end_soon(tmp_path: Path) -> None:
    path = tmp_path / "bomb.yaml"
    path.write_text("a: &a [x]\n" + "".join(f"b{n}: &b{n} [*a,*a,*a,*a]\n" for n in range(400)))
    assert len(check(path)) > 400
    path.write_text("a: {" * 100_000)
    assert "at most 20 levels" in check(path)[0]
    path.write_text("a: [" + "1," * 5_000_000)
    assert "at most 200000 values" in check(path)[0]
    assert os.environ.get("DRIFTWATCH_NO_SUCH_VARIABLE") is None


def test_settings_to_show_hold_no_variables_value_and_no_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY", "hunter2")
    file = tmp_path / "driftwatch.yaml"
    file.write_text(
        "version: 1\n"
        "monitors:\n"
        "  - name: sold\n"
        '    reference: {path: ["s3://AKIA:hunter3@bucket/ref/*.parquet?region=eu", "${KEY}/x"],'
        " time_column: t}\n"
        "    source: {type: sql, url: 'postgresql://u:hunter4@db/x', time_column: t,"
        " query: \"select decrypt(v, '${KEY}') from x\"}\n"
        "  - name: plain\n"
        "    reference: {path: ref.parquet}\n"
        "    source: {type: files, path: 's3://AKIA:hunter5@bucket/x', time_column: t}\n",
        encoding="utf-8",
    )
    sold, plain = load(file).monitors
    assert sold.source.query == "select decrypt(v, 'hunter2') from x"  # type: ignore[attr-defined]
    for config in (sold, plain):
        assert "hunter" not in configuration_of(config)[1]
    redacted = redacted_settings(sold)
    assert redacted["source"]["query"] == "select decrypt(v, '${KEY}') from x"
    assert redacted["reference"]["path"] == ["s3://***@bucket/ref/*.parquet?region=eu", "${KEY}/x"]
    assert redacted_settings(plain)["source"]["path"] == "s3://***@bucket/x"
