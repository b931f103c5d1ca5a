"""Puts pydantic's errors into plain words, with line numbers."""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterator
from datetime import date
from enum import Enum
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ByteSize, ValidationError

import driftwatch
from driftwatch.config._document import Document, KeyPath, Problem, value_text
from driftwatch.core.plugins import unknown_name_message
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


def model_problems(
    document: Document, error: ValidationError, model: Any, base: KeyPath
) -> Iterator[Problem]:
    """Yield the problems in a validation error; ``base`` is the key path of ``model``.

    Pydantic reports every branch of a union: errors at one key path become one problem, the deepest branch
    wins.
    """
    messages: dict[KeyPath, list[tuple[str, str]]] = {}
    for item in error.errors(include_url=False):
        key_path = (*base, *_without_branches(document, base, item["loc"], item["type"] == "missing"))
        kind, text = _message(document, key_path, item, model, base)
        path = _field_path(document, key_path, item, text)
        messages.setdefault(path, []).append((kind, text.removeprefix(f"{path[-1]}: ") if path else text))
    for key_path, parts in messages.items():
        has_deeper = any(len(path) > len(key_path) and path[: len(key_path)] == key_path for path in messages)
        if has_deeper and all(kind == "must" for kind, _ in parts):
            continue
        yield document.problem(key_path, _sentence(document, key_path, parts))


def type_problems(document: Document, model: Any, base: KeyPath) -> Iterator[Problem]:
    """Yield problems for values that pydantic would convert, such as true to a number."""
    for key_path, value in document.walk(base):
        if isinstance(value, (dict, list)) or value is None or isinstance(value, str):
            continue
        plain_types = set(_plain_types(_annotation(model, document, base, key_path)))
        if isinstance(value, bool) and plain_types & {int, float, ByteSize} and bool not in plain_types:
            yield document.problem(key_path, f"must be a number. Got {value_text(value)}.")
        elif not isinstance(value, bool) and date in plain_types:
            yield document.problem(key_path, f"must be a date such as 2026-01-31. Got {value_text(value)}.")
        elif not isinstance(value, bool) and bool in plain_types and not plain_types & {int, float}:
            yield document.problem(key_path, f"must be true or false. Got {value_text(value)}.")


def fill_empty(document: Document, model: Any) -> None:
    """Replace keys without a value, such as ``window:``, by an empty mapping or list."""
    for key_path, value in document.walk():
        annotation = _annotation(model, document, (), key_path)
        if value is not None or not key_path or type(None) in _options(annotation):
            continue
        parent = document.value_at(key_path[:-1])
        if next(_models(annotation), None) is not None or get_origin(annotation) is dict:
            parent[key_path[-1]] = {}
        elif get_origin(annotation) is list:
            parent[key_path[-1]] = []


def _without_branches(
    document: Document, base: KeyPath, loc: tuple[int | str, ...], is_missing: bool
) -> KeyPath:
    # Pydantic names branches of a union in its key paths.
    key_path: KeyPath = ()
    for index, part in enumerate(loc):
        value = document.value_at((*base, *key_path))
        exists = (isinstance(value, dict) and part in value) or (
            isinstance(value, list) and isinstance(part, int)
        )
        if exists or (is_missing and index == len(loc) - 1):
            key_path = (*key_path, part)
    return key_path


def _message(document: Document, key_path: KeyPath, item: Any, model: Any, base: KeyPath) -> tuple[str, str]:
    """Return a pydantic error's text: ("must", text after "must be") or ("all", a whole sentence)."""
    kind, context = item["type"], item.get("ctx", {})
    if kind == "missing":
        return "all", "is required."
    if kind == "extra_forbidden":
        return "all", _unknown_key_text(document, key_path, model, base)
    if kind in ("enum", "literal_error"):
        choices = tuple(sorted(_choices(_annotation(model, document, base, key_path))))
        return "all", _choice_text(document, key_path, choices, str(context.get("expected", "")))
    if kind in ("value_error", "assertion_error"):
        text = " ".join(str(context["error"]).split())
        return "all", _redacted(
            document, key_path, text.removesuffix(f". Got {document.value_at(key_path)!r}")
        )
    if kind == "string_pattern_mismatch":
        return "must", _PATTERNS.get(str(key_path[-1]), f"text matching {context['pattern']}")
    template = _MUST_BE.get(kind)
    if template is None:
        return "all", _redacted(document, key_path, item["msg"])
    return "must", template.format(**context)


def _sentence(document: Document, key_path: KeyPath, parts: list[tuple[str, str]]) -> str:
    sentence = next((text for kind, text in parts if kind == "all"), None)
    if sentence is None:
        sentence = "must be " + " or ".join(dict.fromkeys(text for _, text in parts))
    if sentence.endswith((".", "?")):
        return sentence
    return f"{sentence}." if " Got " in sentence else f"{sentence}. Got {document.text_at(key_path)}."


def _field_path(document: Document, key_path: KeyPath, item: Any, text: str) -> KeyPath:
    # Validators of whole models name the wrong key: ``key: message``.
    value = document.value_at(key_path)
    name, colon, _ = text.partition(": ")
    if item["type"] == "value_error" and colon and isinstance(value, dict) and name.isidentifier():
        return (*key_path, name)
    return key_path


def _redacted(document: Document, key_path: KeyPath, text: str) -> str:
    for path, raw_text in document.raw_texts.items():
        value = document.value_at(path)
        if path[: len(key_path)] == key_path and isinstance(value, str) and value:
            text = text.replace(value, raw_text)
    return "".join(char if char.isprintable() else "�" for char in text)


def _unknown_key_text(document: Document, key_path: KeyPath, model: Any, base: KeyPath) -> str:
    text = f"unknown key; a typo, or not an option of driftwatch {driftwatch.__version__}."
    owner = next(_models(_annotation(model, document, base, key_path[:-1])), None)
    fields = [] if owner is None else list(owner.model_fields)
    matches = difflib.get_close_matches(str(key_path[-1]), fields, n=1, cutoff=0.6)
    return text + (f' Did you mean "{matches[0]}"?' if matches else "")


def _choice_text(document: Document, key_path: KeyPath, choices: tuple[str, ...], expected: str) -> str:
    value = document.value_at(key_path)
    if not choices:
        return f"must be {expected}"
    choice_list = ", ".join(choices)
    if not isinstance(value, str):
        return f"must be {'one of ' * (len(choices) > 1)}{choice_list}. Got {value_text(value)}."
    matches = difflib.get_close_matches(value, choices, n=1, cutoff=0.5)
    text = f"must be one of {choice_list}. Got {document.text_at(key_path)}."
    return text + (f' Did you mean "{matches[0]}"?' if matches else "")


def name_problem(
    document: Document, key_path: KeyPath, what: str, available: tuple[str, ...]
) -> Problem | None:
    value = document.value_at(key_path)
    choices = f"one of {', '.join(available)}" if available else "of which none is installed"
    if value is None and key_path not in document.lines:
        return document.problem(key_path, f"is required; {choices}.")
    if not isinstance(value, str):
        article = "an" if what[0] in "aeiou" else "a"
        text = f"must be the name of {article} {what}, {choices}. Got {value_text(value)}."
        return document.problem(key_path, text)
    if value in available:
        return None
    raw_text = document.raw_texts.get(key_path, value_text(value)[1:-1])
    return document.problem(key_path, unknown_name_message(what, raw_text, available))


def type_only_problem(document: Document, key_path: KeyPath, available: tuple[str, ...]) -> Problem:
    """Return the problem of a plugin that stands as a bare name, with the right spelling."""
    value = document.text_at(key_path)
    name = value[1:-1]
    if name not in available:
        name = next(iter(difflib.get_close_matches(name, available, n=1, cutoff=0.5)), "NAME")
    key = key_path[-1]
    return document.problem(key_path, f"must be a mapping: write {key}: {{type: {name}}}. Got {value}.")


def _annotation(model: Any, document: Document, base: KeyPath, key_path: KeyPath) -> Any:
    # The type declared at ``key_path``; ``model`` is the type at ``base``, a prefix of it.
    annotation: Any = model
    for part in key_path[len(base) :]:
        owner = next(_models(annotation), None)
        if owner is not None and isinstance(part, str):
            info = owner.model_fields.get(part)
            annotation = None if info is None else info.annotation
        else:
            annotation = _element_type(annotation, isinstance(part, int))
    return annotation


def _element_type(annotation: Any, is_list: bool) -> Any:
    for option in _options(annotation):
        container = list if is_list else dict
        if get_origin(option) is container:
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
    # A budget is written as text, not as a mapping.
    for option in _options(annotation):
        if isinstance(option, type) and issubclass(option, BaseModel) and option is not Budget:
            yield option


def _plain_types(annotation: Any) -> Iterator[Any]:
    yield from (option for option in _options(annotation) if isinstance(option, type))


def _choices(annotation: Any) -> Iterator[str]:
    for option in _options(annotation):
        if get_origin(option) is Literal:
            yield from (str(value) for value in get_args(option))
        elif isinstance(option, type) and issubclass(option, Enum):
            yield from (str(member.value) for member in option)
