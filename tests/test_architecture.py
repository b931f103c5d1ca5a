"""The shape of the house: imports point down, siblings keep apart, heavy things stay where they belong."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "driftwatch"

#: From top to bottom. Names on one line are siblings and never import each other.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("__main__",),
    ("cli",),
    ("daemon",),
    ("backtest", "comparison"),
    ("monitor",),
    ("reference",),
    ("config",),
    ("store",),
    ("notify",),
    ("engines", "charts"),
    ("detectors", "decide", "sources"),
    ("decoders",),
    ("columns",),
    ("summary", "results"),
    ("core",),
    ("errors",),
)
#: The same within a room; a file of a room that is not named here stands above its own folders.
INNER: dict[str, tuple[tuple[str, ...], ...]] = {
    "cli": (("__init__",), ("verbs",), ("demo",), ("output",)),
    "daemon": (("web",), ("metrics",), ("status",), ("own_health",)),
    "daemon/own_health": (
        ("clock", "loops", "store"),
        ("announcements", "background_job", "health_board"),
        ("own_health",),
        ("troubles",),
    ),
    "daemon/web": (("api",), ("pages",), ("http",)),
    "decide": (("baseline",), ("evalues",)),
    "detectors": (("_pages",), ("_support",)),
    "sources": (("_formats",),),
    "monitor": (("evaluation",), ("page_texts",), ("column_labels", "reading")),
    "store": (
        ("tables",),
        ("acknowledgements", "outbox"),
        ("mended_messages",),
        ("records", "database"),
        ("migrations", "damage", "disk"),
    ),
    "engines": (("local",), ("base",)),
    "columns": (("rows",), ("arrow",)),
}
#: Room = one file a plugin, as many as there are.
PLUGIN_ROOMS = {"detectors", "sources", "decoders", "engines", "notify", "performance/metrics", "cli/verbs"}
#: Names that stand in several rooms: what every plugin of a room is.
SHARED_NAMES = {"__init__", "base"}
MAX_TOP_NAMES = 24
MAX_MODULES = 14
FILES = sorted(PACKAGE.rglob("*.py"))

#: Modules that only the named parts may import.
ONLY = {
    "apscheduler": {"daemon/scheduler.py"},
    "prometheus_client": {"daemon/metrics/exposition.py"},
    "uvicorn": {"daemon/web/http/server.py"},
    "sqlalchemy": {"sources/"},
    "pandas": {"comparison", "cli/demo/data.py"},
}
#: What the mathematics must never see.
PURE = ("summary", "results", "detectors", "decide", "charts")
IMPURE = {"os", "io", "pathlib", "socket", "time", "datetime", "random", "sqlite3", "threading", "subprocess"}
#: Texts of effects say dates.
IMPURE_ALLOWED = {
    "detectors/_support/effect_text.py": {"datetime"},
    "results/text_format.py": {"datetime"},
    "charts/evidence_chart.py": {"datetime"},
}
#: Places that catch every exception, with what a bug must not stop there. Everywhere else an error is caught
#: by its name. Executors keep the exception of a job as its result: who submits a job looks at that.
SUPERVISORS = {
    "cli/verbs/_options.py": "people get a message, not a traceback",
    "daemon/sink_worker.py": "a notifier's bug ends no delivery thread and loses no message",
    "daemon/turn.py": "a bug in one step of a monitor's turn stops neither other steps nor other monitors",
    "engines/local/child.py": "the parent gets the error of the process that reads untrusted input",
    "monitor/check.py": "a bug of the self-test does not stop the check",
}
MAX_SUPERVISORS = 5
MAX_METHODS = 15
BANNED = {"pickle", "marshal", "shelve", "joblib", "dill", "cloudpickle"}


def parts(path: Path) -> tuple[str, ...]:
    return path.relative_to(PACKAGE).with_suffix("").parts


#: Every module of the package by its dotted name.
MODULES = {".".join(("driftwatch", *parts(path))).removesuffix(".__init__"): path for path in FILES}


def level_in(layers: tuple[tuple[str, ...], ...], name: str) -> int | None:
    """The line of the list on which a name stands; None when on none."""
    return next((level for level, names in enumerate(layers) if name in names), None)


def points_up(importer: tuple[str, ...], imported: tuple[str, ...]) -> str | None:
    """Why an import between two modules, named by their parts below the package, is not allowed."""
    depth = 0
    while depth < min(len(importer), len(imported)) and importer[depth] == imported[depth]:
        depth += 1
    if depth >= len(imported) or depth >= len(importer):
        return None
    room = "/".join(importer[:depth])
    layers = LAYERS if not room else INNER.get(room, ())
    above, below = level_in(layers, importer[depth]), level_in(layers, imported[depth])
    if not room:
        assert above is not None, f"{importer[depth]}: give it a place in LAYERS"
        assert below is not None, f"{imported[depth]}: give it a place in LAYERS"
    if above is not None and below is None:
        return f"{room}/{importer[depth]} imports {imported[depth]} of the room above it"
    if above is not None and below is not None and below <= above:
        place = room or "driftwatch"
        return f"{place}: {importer[depth]} imports {imported[depth]}, which stands above or beside it"
    return None


def imports(path: Path) -> list[str]:
    """Every imported name in full; ``from package import name`` gives ``package.name``."""
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [item.name for item in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are written in full"
            names += [f"{node.module}.{item.name}" for item in node.names]
    return names


def module_of(name: str) -> tuple[str, ...] | None:
    """The parts of the module that ``name``, which may name something in a module, comes from."""
    for dotted in (name, name.rpartition(".")[0]):
        if dotted in MODULES:
            return parts(MODULES[dotted])
    return None


IDS = [str(path.relative_to(PACKAGE)) for path in FILES]


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_imports_point_down(path: Path) -> None:
    importer = parts(path)
    if importer == ("__init__",):
        return
    for name in imports(path):
        imported = module_of(name) if name.startswith("driftwatch.") else None
        if imported and imported != ("__init__",):
            problem = points_up(importer, imported)
            assert problem is None, f"{'/'.join(importer)}: {problem}"


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_private_modules_stay_in_their_room(path: Path) -> None:
    importer = parts(path)
    for name in imports(path):
        imported = module_of(name) if name.startswith("driftwatch.") else None
        for depth, part in enumerate(imported or ()):
            if part.startswith("_") and part != "__init__":
                assert importer[:depth] == (imported or ())[:depth], f"{name} is private to its room"


def test_rooms_stay_small() -> None:
    """A room that outgrows this has two subjects."""
    top = {parts(path)[0] for path in FILES} - {"__init__"}
    assert len(top) <= MAX_TOP_NAMES, sorted(top)
    rooms = Counter("/".join(parts(path)[:-1]) for path in FILES if path.stem != "__init__")
    crowded = {room: size for room, size in rooms.items() if size > MAX_MODULES and room not in PLUGIN_ROOMS}
    assert not crowded


def test_a_file_name_stands_in_one_room() -> None:
    """Verbs and detectors are named as users write them, so these may bear the name of a file elsewhere."""
    plain = [path for path in FILES if "/".join(parts(path)[:-1]) not in PLUGIN_ROOMS]
    names = Counter(path.stem for path in plain if path.stem not in SHARED_NAMES)
    assert not {name: count for name, count in names.items() if count > 1}


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_modules_keep_their_company(path: Path) -> None:
    place = str(path.relative_to(PACKAGE))
    roots = {name.split(".")[0] for name in imports(path)}
    assert not roots & BANNED
    for module, places in ONLY.items():
        if module in roots:
            assert any(place.startswith(allowed) for allowed in places), f"{place} imports {module}"
    if parts(path)[0] in PURE:
        impure = (roots & IMPURE) - IMPURE_ALLOWED.get(place, set())
        assert not impure, f"{place} is mathematics, it imports {impure}"


def test_no_import_cycles_between_modules() -> None:
    # A module taken from its package (``from package import module``) counts as itself.
    edges: dict[str, set[str]] = {}
    for name, path in MODULES.items():
        targets = (module_of(item) for item in imports(path) if item.startswith("driftwatch."))
        dotted = {".".join(("driftwatch", *target)).removesuffix(".__init__") for target in targets if target}
        edges[name] = dotted - {name, "driftwatch"}
    state: dict[str, int] = {}

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert state.get(name) != 1, f"import cycle: {' -> '.join((*trail, name))}"
        if state.get(name) == 2:
            return
        state[name] = 1
        for following in edges[name]:
            visit(following, (*trail, name))
        state[name] = 2

    for name in edges:
        if name != "driftwatch":
            visit(name, ())


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_files_and_functions_stay_small(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 400, "a file this long has two subjects"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length <= 60, f"{path.name}: {node.name} has {length} lines"


#: A frozen value holds nothing that changes; what is computed once lives in a ``Memo`` of a visible owner.
MUTABLE = {"dict", "list", "set", "bytearray", "deque", "defaultdict", "Counter", "Memo"}


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_a_frozen_dataclass_has_no_mutable_field(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ClassDef):
            continue
        if not any("frozen=True" in ast.unparse(decorator) for decorator in node.decorator_list):
            continue
        for field in (item for item in node.body if isinstance(item, ast.AnnAssign)):
            names = {item.id for item in ast.walk(field.annotation) if isinstance(item, ast.Name)}
            assert not names & MUTABLE, f"{node.name}.{ast.unparse(field.target)}"
    assert "object.__setattr__" not in path.read_text(encoding="utf-8")


def plugin_names() -> dict[str, str]:
    """Every plugin of the package with its room."""
    rooms = [room for room in PLUGIN_ROOMS - {"cli/verbs"} if (PACKAGE / room).is_dir()]
    return {
        file.stem: room
        for room in rooms
        for file in (PACKAGE / room).iterdir()
        if not file.stem.startswith(("_", "base")) and (file.suffix == ".py" or file.is_dir())
    }


#: Literals that are spelled like a plugin and mean something else: (file, literal), with the reason.
NOT_A_PLUGIN = {
    ("comparison/notebook_reference.py", "missing"): "a column of the table of columns",
    ("comparison/result.py", "missing"): "a key of the JSON of compare",
    ("config/_messages.py", "missing"): "a kind of pydantic's errors",
    ("daemon/web/api/payloads.py", "files"): "a key of the reference's JSON: how many there were",
    ("daemon/web/api/types.py", "files"): "the type of that key",
    ("engines/local/answers.py", "files"): "a key of a reader's answer: how many were read",
    ("engines/local/pool.py", "files"): "the same",
    ("engines/local/worker.py", "files"): "the same",
    ("summary/counts.py", "wrong_type"): "the name of a special count",
    ("summary/serial.py", "files"): "a key of the stored provenance: how many there were",
}


def literals(node: ast.AST) -> list[str]:
    """The texts that a node decides by: compared, looked for, matched, or a key."""
    if isinstance(node, ast.Compare):
        parts = [item for side in (node.left, *node.comparators) for item in ast.walk(side)]
    elif isinstance(node, ast.Dict):
        parts = [key for key in node.keys if key is not None]
    elif isinstance(node, ast.Set | ast.Tuple | ast.List):
        parts = list(node.elts)
    elif isinstance(node, ast.MatchValue):
        parts = list(ast.walk(node))
    elif isinstance(node, ast.Subscript):
        parts = [node.slice]
    else:
        return []
    constants = [item.value for item in parts if isinstance(item, ast.Constant)]
    return [item.removeprefix("joint:") for item in constants if isinstance(item, str)]


def decisions_on_plugins(path: Path) -> set[str]:
    """Names of plugins of other rooms that a file decides by."""
    plugins, place = plugin_names(), path.relative_to(PACKAGE).as_posix()
    return {
        literal
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for literal in literals(node)
        if literal in plugins and not place.startswith(f"{plugins[literal]}/")
    }


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_no_room_decides_on_the_name_of_another_rooms_plugin(path: Path) -> None:
    place = path.relative_to(PACKAGE).as_posix()
    unexplained = {item for item in decisions_on_plugins(path) if (place, item) not in NOT_A_PLUGIN}
    assert not unexplained, "a plugin says what it is by an attribute of its own (detectors/base.py)"


def test_every_explained_literal_is_there() -> None:
    literal_places = {
        (path.relative_to(PACKAGE).as_posix(), item) for path in FILES for item in decisions_on_plugins(path)
    }
    assert literal_places == set(NOT_A_PLUGIN)


@pytest.mark.parametrize(
    "code",
    [
        'if name == "ks": pass',
        'x = name in ("ks", "tv")',
        'x = {"joint:mmd"}',
        'x = {"volume": 1}',
        'x = table["psi"]',
        'match name:\n    case "js": pass',
        '_ORDER = ["unseen"]',
    ],
)
def test_a_decision_on_a_name_is_seen(code: str) -> None:
    assert any(item in plugin_names() for node in ast.walk(ast.parse(code)) for item in literals(node))


def test_contract_suites_name_no_plugin() -> None:
    """A new plugin passes them unedited, so they know none."""
    plugins = plugin_names()
    for path in sorted((Path(__file__).parent / "contracts").glob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert node.value not in plugins, f"{path.name}:{node.lineno} names {node.value!r}"


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_classes_stay_small(path: Path) -> None:
    """A class with more methods than this has two subjects."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef):
            methods = [item for item in node.body if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)]
            assert len(methods) <= MAX_METHODS, f"{path.name}: {node.name} has {len(methods)} methods"


def catches_everything(node: ast.expr | None) -> bool:
    """True for no exception at all, ``Exception``, ``BaseException`` and a tuple with one of these."""
    if node is None:
        return True
    return any(
        isinstance(item, ast.Name) and item.id in ("Exception", "BaseException") for item in ast.walk(node)
    )


def blind_catches(tree: ast.AST) -> list[int]:
    """Lines that catch every exception and do not raise it again; ``suppress`` catches too."""
    lines = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler) and catches_everything(node.type):
            final = node.body[-1]
            if not (isinstance(final, ast.Raise) and final.exc is None):
                lines.append(node.lineno)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "suppress":
            lines += [node.lineno for item in node.args if catches_everything(item)]
    return lines


def test_only_supervisors_catch_every_exception() -> None:
    assert len(SUPERVISORS) <= MAX_SUPERVISORS
    places = []
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        for line in blind_catches(ast.parse(text)):
            place = str(path.relative_to(PACKAGE))
            places.append(place)
            reason = text.splitlines()[line - 1].partition("# ")[2]
            assert "supervisor: " in reason, f"{place}:{line}: say in this line what a bug must not stop"
    assert sorted(places) == sorted(SUPERVISORS)


@pytest.mark.parametrize(
    ("handler", "is_blind"),
    [
        ("except Exception: pass", True),
        ("except BaseException as error: print(error)", True),
        ("except (OSError, Exception): raise ValueError from None", True),
        ("except: pass", True),
        ("except BaseException:\n  close()\n  raise", False),
        ("except (OSError, KeyError): pass", False),
    ],
)
def test_a_blind_catch_is_seen(handler: str, is_blind: bool) -> None:
    assert bool(blind_catches(ast.parse(f"try: work()\n{handler}"))) is is_blind
    assert blind_catches(ast.parse("with contextlib.suppress(Exception): work()"))
    assert not blind_catches(ast.parse("with suppress(OSError): work()"))
