"""Which imports of a plugin may break with the next release."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from driftwatch.core.plugins import PUBLIC_MODULES


def private_imports(code: str) -> list[str]:
    """Everything that ``code`` imports from driftwatch and that is not public, as it would be written."""
    return [item for node in ast.walk(ast.parse(code)) for item in _private(node)]


def files_of(module: ModuleType) -> list[Path]:
    """All files of the package that a plugin's module comes from."""
    top = importlib.import_module(module.__name__.partition(".")[0])
    roots = list(getattr(top, "__path__", []))
    return [file for root in roots for file in sorted(Path(root).rglob("*.py"))] or [Path(str(top.__file__))]


def _private(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        for item in node.names:
            if item.name.partition(".")[0] == "driftwatch" and item.name not in PUBLIC_MODULES:
                yield f"import {item.name}"
    elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "driftwatch":
        for item in node.names:
            if not _is_offered(str(node.module), item.name):
                yield f"from {node.module} import {item.name}"


def _is_offered(module_name: str, name: str) -> bool:
    if f"{module_name}.{name}" in PUBLIC_MODULES:
        return True
    if module_name not in PUBLIC_MODULES:
        return False
    module = importlib.import_module(module_name)
    offered = getattr(module, "__all__", [item for item in vars(module) if not item.startswith("_")])
    return name in offered and name != "*"
