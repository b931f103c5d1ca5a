"""The shape of the house: imports point down, siblings keep apart, heavy things stay where they belong."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "driftwatch"

#: From top to bottom. Names on one line are siblings and never import each other.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("__main__",),
    ("cli",),
    ("verbs",),
    ("picture",),
    ("picture",),
    ("daemon",),
    ("terminal",),
    ("session",),
    ("backtest", "explaining", "acknowledging", "comparison"),
    ("monitor",),
    ("recording", "referencing", "pulling", "replaying", "sensitivity", "selftest"),
    ("messages", "measure", "frames"),
    ("reference",),
    ("config",),
    ("columns",),
    ("reading",),
    ("sources", "engines", "bars"),
    ("detectors", "decide"),
    ("store", "report"),
    ("notify",),
    ("timelines",),
    ("svg",),
    ("windows", "eventtime", "clock", "predicting", "injecting"),
    ("words", "trails"),
    ("summary",),
    ("settings", "plugins"),
    ("errors",),
)
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
FILES = sorted(PACKAGE.rglob("*.py"))

#: Modules that only the named parts may import.
ONLY = {
    "apscheduler": {"daemon/scheduler.py"},
    "prometheus_client": {"daemon/exposition.py"},
    "uvicorn": {"daemon/server.py"},
    "sqlalchemy": {"sources/"},
    "pandas": {"comparison", "daemon/demo_data.py"},
}
#: What the mathematics must never see.
PURE = ("summary", "detectors", "decide")
IMPURE = {"os", "io", "pathlib", "socket", "time", "datetime", "random", "sqlite3", "threading", "subprocess"}
BANNED = {"pickle", "marshal", "shelve", "joblib", "dill", "cloudpickle"}


def part(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> list[str]:
    found: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [item.name for item in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are written in full"
            module = node.module or ""
            if module == "driftwatch":
                found += [f"driftwatch.{item.name}" for item in node.names]
            else:
                found.append(module)
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path: Path) -> None:
    here = part(path)
    if here == "__init__":
        return
    assert here in LEVEL, f"{here}: give it a place in LAYERS"
    for name in imports(path):
        if not name.startswith("driftwatch."):
            continue
        there = name.split(".")[1]
        if there in (here, "__version__"):
            continue
        assert LEVEL[there] > LEVEL[here], f"{here} imports {there}, which stands above or beside it"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_modules_keep_their_company(path: Path) -> None:
    here = str(path.relative_to(PACKAGE))
    roots = {name.split(".")[0] for name in imports(path)}
    assert not roots & BANNED
    for module, places in ONLY.items():
        if module in roots:
            assert any(here.startswith(place) for place in places), f"{here} imports {module}"
    if part(path) in PURE and here != "summary/schema.py":
        allowed = {"datetime"} if here.startswith("detectors/_words") else set()
        assert not (roots & IMPURE) - allowed, f"{here} is mathematics, it imports {roots & IMPURE}"


def test_no_import_cycles_between_modules() -> None:
    graph = {}
    for path in FILES:
        dotted = ".".join(("driftwatch", *path.relative_to(PACKAGE).with_suffix("").parts))
        graph[dotted.removesuffix(".__init__")] = path
    edges = {
        name: {found for found in imports(path) if found in graph and found != name}
        for name, path in graph.items()
    }
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


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files_and_functions_stay_small(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 400, "a file this long has two subjects"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length <= 60, f"{path.name}: {node.name} has {length} lines"
