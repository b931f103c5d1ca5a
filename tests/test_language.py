"""The language of the house: names are nouns, docstrings are short."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "driftwatch"

#: Adverbs, participles and prepositions: a reader does not know what a variable of such a name holds.
# fmt: off
NO_NOUNS = {
    "found", "known", "told", "held", "most", "own", "here", "there", "seen", "kept", "made",
    "asked", "said", "beside", "apart", "before", "after", "upto", "anew", "once", "still", "only",
    "less", "more", "fewer", "far", "away", "out", "aside", "live", "with", "without", "within",
    "both", "each", "other", "others", "none", "enough", "due", "late", "early", "yet", "ever",
    "never", "always", "often", "again", "such", "given", "taken", "drawn", "worded", "measured",
    "staked", "warned", "thrown",
}
# fmt: on
#: Comparable projects assign to such a name once in 700 times.
MAX_SHARE = 0.01
#: 27,000 words when the package had 34,000 lines; it grows, its talkativeness does not.
MAX_WORDS_PER_LINE = 0.79


def trees() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield str(path.relative_to(PACKAGE)), ast.parse(path.read_text(encoding="utf-8"))


def assigned(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Every name that something is bound to: variables, loop variables, parameters, attributes, fields."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno


def test_names_are_nouns() -> None:
    names = [(file, line, name) for file, tree in trees() for name, line in assigned(tree)]
    odd = [f"{file}:{line}: {name}" for file, line, name in names if name.strip("_").lower() in NO_NOUNS]
    assert len(odd) < MAX_SHARE * len(names), "\n".join(odd)


def test_docstrings_are_short() -> None:
    words: Counter[str] = Counter()
    n_lines = sum(path.read_text(encoding="utf-8").count("\n") for path in PACKAGE.rglob("*.py"))
    for file, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                words[file.rpartition("/")[0]] += len((ast.get_docstring(node) or "").split())
    assert words.total() <= MAX_WORDS_PER_LINE * n_lines, words.most_common()
