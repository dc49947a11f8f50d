"""The reference page of the Python interface, in Markdown, from the public names' docstrings."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from typing import Any

from docs_reference.docstrings import as_markdown

PACKAGES = ("hiar", "drift")
INTRODUCTION = """\
# Python

What `from hiar import ...` and `from drift import ...` give. These names keep their meaning; other
modules may move. This page is made from the docstrings.
"""
LINE_WIDTH, DEFAULT_WIDTH = 76, 40


def python_page() -> str:
    """The page: every public name of the packages with its signature and docstring."""
    lines = [INTRODUCTION]
    for package in PACKAGES:
        module = importlib.import_module(package)
        lines += [f"## {package}", "", *_described(module)]
        for name in sorted(module.__all__):
            lines += [f"### {package}.{name}", "", *_of_a_name(name, getattr(module, name))]
    return "\n".join(lines) + "\n"


def _of_a_name(name: str, thing: object) -> Iterator[str]:
    """Yields the signature and the description of a class with its methods, or of a function."""
    if not (inspect.isclass(thing) and issubclass(thing, Exception)):
        yield from _signature(name, thing)
    yield from _described(thing)
    for method, function in vars(thing).items() if inspect.isclass(thing) else ():
        plain = getattr(function, "__func__", function)
        is_public = method == "__call__" or not method.startswith("_")
        if inspect.isfunction(plain) and is_public and plain.__doc__:
            yield from (f"#### `{name}.{method}`", "")
            yield from (*_signature(method, getattr(thing, method)), *_described(plain))


def _described(thing: object) -> Iterator[str]:
    yield from as_markdown(inspect.getdoc(thing) or "")


def _signature(name: str, thing: object) -> Iterator[str]:
    """Yields a fenced block: one line if it fits, else a line for each parameter."""
    assert callable(thing)
    signature = inspect.signature(thing)
    parameters = [p for p in signature.parameters.values() if p.name != "self"]
    words: list[str] = []
    for parameter in parameters:
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in words:
            words.append("*")
        words.append(_parameter(parameter))
    returns = _annotation(" -> ", signature.return_annotation)
    text = f"{name}({', '.join(words)}){returns}"
    if len(text) > LINE_WIDTH:
        text = f"{name}(\n" + "".join(f"    {word},\n" for word in words) + f"){returns}"
    yield from ("```python", text, "```", "")


def _parameter(parameter: inspect.Parameter) -> str:
    """A parameter as the code has it; a default of many words is cut to its type."""
    text = parameter.name + _annotation(": ", parameter.annotation)
    if parameter.default is parameter.empty:
        return text
    default = repr(parameter.default)
    short = default if len(default) <= DEFAULT_WIDTH else f"{type(parameter.default).__name__}(...)"
    return f"{text} = {short}"


def _annotation(before: str, annotation: Any) -> str:
    if annotation is inspect.Parameter.empty:
        return ""
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    return f"{before}{text}"
