"""Pydantic's errors in plain words, each at the line it stands on."""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterator
from datetime import date
from enum import Enum
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ByteSize, ValidationError

import driftwatch
from driftwatch.config._document import Document, Problem, Where, show
from driftwatch.core.plugins import unknown
from driftwatch.core.settings import Budget

_MUST_BE = {
    "string_type": "text (a number needs quotes)",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number of at most 18 digits",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "path_type": "a path",
    "byte_size": "a size such as 512MiB or 4GiB",
    "byte_size_unit": "a size such as 512MiB or 4GiB",
    "date_type": "a date such as 2026-01-31",
    "date_parsing": "a date such as 2026-01-31",
    "date_from_datetime_parsing": "a date such as 2026-01-31",
    "date_from_datetime_inexact": "a date such as 2026-01-31",
    "greater_than": "above {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "below {lt}",
    "less_than_equal": "at most {le}",
    "too_short": "a list of at least {min_length}",
    "too_long": "a list of at most {max_length}",
    "string_too_short": "at least {min_length} characters long",
    "string_too_long": "at most {max_length} characters long",
}
_PATTERNS = {
    "name": "1 to 63 of the characters A-Z a-z 0-9 . _ - beginning with a letter or digit",
    "listen": "HOST:PORT such as 127.0.0.1:9877",
}


def model_problems(document: Document, error: ValidationError, model: Any, base: Where) -> Iterator[Problem]:
    """Every error of ``model`` as a problem; ``base`` is where the model's mapping stands.

    The branches of a union report apart; what they say about one place becomes one problem, and a branch
    that got further down than the others has the word.
    """
    found: dict[Where, list[tuple[str, str]]] = {}
    for item in error.errors(include_url=False):
        where = (*base, *_place(document, base, item["loc"], item["type"] == "missing"))
        kind, text = _words(document, where, item, model, base)
        place = _inside(document, where, item, text)
        found.setdefault(place, []).append((kind, text.removeprefix(f"{place[-1]}: ") if place else text))
    for where, said in found.items():
        deeper = any(len(other) > len(where) and other[: len(where)] == where for other in found)
        if deeper and all(kind == "must" for kind, _ in said):
            continue
        yield document.problem(where, _sentence(document, where, said))


def type_problems(document: Document, model: Any, base: Where) -> Iterator[Problem]:
    """Values that a lenient reading would bend: true for a number, a number for a date."""
    for where, value in document.walk(base):
        if isinstance(value, (dict, list)) or value is None or isinstance(value, str):
            continue
        leaves = set(_leaves(_annotation(model, document, base, where)))
        if isinstance(value, bool) and leaves & {int, float, ByteSize} and bool not in leaves:
            yield document.problem(where, f"must be a number. Got {show(value)}.")
        elif not isinstance(value, bool) and date in leaves:
            yield document.problem(where, f"must be a date such as 2026-01-31. Got {show(value)}.")
        elif not isinstance(value, bool) and bool in leaves and not leaves & {int, float}:
            yield document.problem(where, f"must be true or false. Got {show(value)}.")


def fill_empty(document: Document, model: Any) -> None:
    """Read ``window:`` with nothing below as an empty mapping, as when all its options are commented out."""
    for where, value in document.walk():
        annotation = _annotation(model, document, (), where)
        if value is not None or not where or type(None) in _options(annotation):
            continue
        parent = document.at(where[:-1])
        if next(_models(annotation), None) is not None or get_origin(annotation) is dict:
            parent[where[-1]] = {}
        elif get_origin(annotation) is list:
            parent[where[-1]] = []


def _place(document: Document, base: Where, loc: tuple[int | str, ...], missing: bool) -> Where:
    """``loc`` without what pydantic adds to name the branches of a union."""
    where: Where = ()
    for index, part in enumerate(loc):
        value = document.at((*base, *where))
        there = (isinstance(value, dict) and part in value) or (
            isinstance(value, list) and isinstance(part, int)
        )
        if there or (missing and index == len(loc) - 1):
            where = (*where, part)
    return where


def _words(document: Document, where: Where, item: Any, model: Any, base: Where) -> tuple[str, str]:
    kind, context = item["type"], item.get("ctx", {})
    if kind == "missing":
        return "all", "is required."
    if kind == "extra_forbidden":
        return "all", _unknown_key(document, where, model, base)
    if kind in ("enum", "literal_error"):
        known = tuple(sorted(_choices(_annotation(model, document, base, where))))
        return "all", _choice(document, where, known, str(context.get("expected", "")))
    if kind in ("value_error", "assertion_error"):
        said = " ".join(str(context["error"]).split())
        return "all", _redacted(document, where, said.removesuffix(f". Got {document.at(where)!r}"))
    if kind == "string_pattern_mismatch":
        return "must", _PATTERNS.get(str(where[-1]), f"text matching {context['pattern']}")
    template = _MUST_BE.get(kind)
    if template is None:
        return "all", _redacted(document, where, item["msg"])
    return "must", template.format(**context)


def _sentence(document: Document, where: Where, said: list[tuple[str, str]]) -> str:
    whole = next((text for kind, text in said if kind == "all"), None)
    if whole is None:
        whole = "must be " + " or ".join(dict.fromkeys(text for _, text in said))
    if whole.endswith((".", "?")):
        return whole
    return f"{whole}." if " Got " in whole else f"{whole}. Got {document.got(where)}."


def _inside(document: Document, where: Where, item: Any, text: str) -> Where:
    """A model's own validator names the key it means as ``key: message``."""
    value = document.at(where)
    name, colon, _ = text.partition(": ")
    if item["type"] == "value_error" and colon and isinstance(value, dict) and name.isidentifier():
        return (*where, name)
    return where


def _redacted(document: Document, where: Where, text: str) -> str:
    for place, written in document.written.items():
        value = document.at(place)
        if place[: len(where)] == where and isinstance(value, str) and value:
            text = text.replace(value, written)
    return "".join(mark if mark.isprintable() else "�" for mark in text)


def _unknown_key(document: Document, where: Where, model: Any, base: Where) -> str:
    text = f"unknown key; a typo, or not an option of driftwatch {driftwatch.__version__}."
    owner = next(_models(_annotation(model, document, base, where[:-1])), None)
    known = [] if owner is None else list(owner.model_fields)
    near = difflib.get_close_matches(str(where[-1]), known, n=1, cutoff=0.6)
    return text + (f' Did you mean "{near[0]}"?' if near else "")


def _choice(document: Document, where: Where, known: tuple[str, ...], expected: str) -> str:
    value = document.at(where)
    if not known:
        return f"must be {expected}"
    if not isinstance(value, str):
        return f"must be {'one of ' * (len(known) > 1)}{', '.join(known)}. Got {show(value)}."
    got = document.got(where)
    near = difflib.get_close_matches(value, known, n=1, cutoff=0.5)
    return f"must be one of {', '.join(known)}. Got {got}." + (f' Did you mean "{near[0]}"?' if near else "")


def name_problem(document: Document, where: Where, what: str, known: tuple[str, ...]) -> Problem | None:
    """The problem with a plugin's name at ``where``, if there is one."""
    value = document.at(where)
    if value is None and where not in document.lines:
        return document.problem(where, f"is required; one of {', '.join(known)}.")
    if not isinstance(value, str):
        text = f"must be the name of a {what}, one of {', '.join(known)}. Got {show(value)}."
        return document.problem(where, text)
    if value in known:
        return None
    return document.problem(where, unknown(what, document.written.get(where, show(value)[1:-1]), known))


def _annotation(model: Any, document: Document, base: Where, where: Where) -> Any:
    """The declared type at ``where`` of a file whose mapping at ``base`` is a ``model``."""
    current: Any = model
    for part in where[len(base) :]:
        owner = next(_models(current), None)
        if owner is not None and isinstance(part, str):
            info = owner.model_fields.get(part)
            current = None if info is None else info.annotation
        else:
            current = _element(current, isinstance(part, int))
    return current


def _element(annotation: Any, of_list: bool) -> Any:
    for option in _options(annotation):
        wanted = list if of_list else dict
        if get_origin(option) is wanted:
            return get_args(option)[-1]
    return None


def _options(annotation: Any) -> Iterator[Any]:
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _options(get_args(annotation)[0])
    elif origin in (Union, types.UnionType):
        for option in get_args(annotation):
            yield from _options(option)
    else:
        yield annotation


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Models written as mappings; a budget is written as text."""
    for option in _options(annotation):
        if isinstance(option, type) and issubclass(option, BaseModel) and option is not Budget:
            yield option


def _leaves(annotation: Any) -> Iterator[Any]:
    yield from (option for option in _options(annotation) if isinstance(option, type))


def _choices(annotation: Any) -> Iterator[str]:
    for option in _options(annotation):
        if get_origin(option) is Literal:
            yield from (str(value) for value in get_args(option))
        elif isinstance(option, type) and issubclass(option, Enum):
            yield from (str(member.value) for member in option)
