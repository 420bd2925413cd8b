"""The one file that checks evidence packs: the modules of `store.inspector` joined.

Promise: what `danhao evidence verify` runs is the text that `danhao evidence checker` writes, to
the byte; it needs Python 3.9 and its standard library, and nothing of ours.
"""

from __future__ import annotations

import ast
import hashlib
import sys
from functools import lru_cache
from importlib import resources
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

NAME: Final = "danhao_evidence_check"
# In the order in which each needs the ones before.
MODULES: Final = ("sealed", "exact", "meters", "facts", "figure", "laws", "report")
_HEAD: Final = '''#!/usr/bin/env python3
"""Checks an evidence pack of a danhao figure. One file; Python 3.9 or later, nothing else.

    python3 -I %s.py [--public-key ed25519:...] [--lang zh] PACK

It looks at every byte by its hash, at the signature, at the month close where there is one, and
computes the figure and its verdicts anew from readings and facts, in exact fractions. Exit 0: all
of it stands. Exit 1: something is wrong, or is beyond this program. What it could not look at it
names as unchecked. How to read it: docs/evidence.md of the project.
"""

from __future__ import annotations
'''


@lru_cache(maxsize=1)
def text() -> str:
    """Return the file."""
    imported: dict[str, set[str]] = {}
    bodies: list[str] = []
    for name in MODULES:
        source = (resources.files("store") / "inspector" / f"{name}.py").read_text("utf-8")
        bodies.append(_body(source, imported))
    lines = [f"import {name}" for name, what in sorted(imported.items()) if not what]
    lines += [
        f"from {name} import {', '.join(sorted(what))}  # noqa"
        for name, what in sorted(imported.items())
        if what
    ]
    body = "\n\n".join(bodies)
    end = '\n\nif __name__ == "__main__":\n    sys.exit(main())\n'
    return _HEAD % NAME + "\n" + "\n".join(lines) + "\n\n" + body + end


def _body(source: str, imported: dict[str, set[str]]) -> str:
    """Return a module without its imports, its first lines as a comment; collect the imports."""
    tree = ast.parse(source)
    lines = source.splitlines()
    kept = [True] * len(lines)
    for node in tree.body:
        is_import = isinstance(node, ast.Import | ast.ImportFrom)
        is_typing = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        if is_import or is_typing or node is tree.body[0]:
            assert node.end_lineno is not None  # noqa: S101 - parsed from text
            kept[node.lineno - 1 : node.end_lineno] = [False] * (node.end_lineno - node.lineno + 1)
        if isinstance(node, ast.Import):
            imported.update({one.name: set() for one in node.names})
        elif isinstance(node, ast.ImportFrom) and _is_foreign(str(node.module)):
            names = {one.name for one in node.names} - {"TYPE_CHECKING"}
            imported.setdefault(str(node.module), set()).update(names)
    left = [line for line, keep in zip(lines, kept, strict=True) if keep]
    rest = "\n".join(line for line in left if not line.startswith("# ruff:")).strip("\n")
    told = (ast.get_docstring(tree) or "").splitlines()
    rule = "# " + "-" * 98
    return "\n".join([rule, *(f"# {line}".rstrip() for line in told), rule, "", rest, ""])


def digest() -> str:
    """Return the SHA-256 of the file, hexadecimal: who gets it elsewhere compares."""
    return hashlib.sha256(text().encode()).hexdigest()


def _is_foreign(module: str) -> bool:
    """Tell whether the file needs the import: not of our own, which it holds."""
    return module != "__future__" and not module.startswith("store.")


@lru_cache(maxsize=1)
def load() -> Callable[..., Any]:
    """Return the `check` of the file: from (bytes, public key) to its report."""
    module = ModuleType(NAME)
    sys.modules[NAME] = module  # what it declares looks itself up there
    exec(compile(text(), f"{NAME}.py", "exec"), module.__dict__)  # noqa: S102 - our own text
    check: Callable[..., Any] = module.__dict__["check"]
    return check
