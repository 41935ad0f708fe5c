"""What code a node's result depends on: modules by their imports, libraries by their names.

Files are parsed, never imported. What only a run can know is not followed: modules imported by a
computed name, and submodules that a star import finds through ``__all__``.
"""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from importlib.util import find_spec, resolve_name
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tidemark.checkpoints.code_cache import CodeCache

# Only statements hold imports, and only these fields hold statements.
_BLOCKS = ("body", "orelse", "handlers", "finalbody", "cases")

# Import names whose distribution is called otherwise: the table saves a slow search.
DISTRIBUTIONS = {
    "PIL": "pillow",
    "dateutil": "python-dateutil",
    "kedro_datasets": "kedro-datasets",
    "sklearn": "scikit-learn",
    "yaml": "PyYAML",
}


@dataclass(frozen=True)
class CodeMap:
    """The code that is reached from some modules.

    Attributes
    ----------
    modules : dict of str to str
        SHA-256 of the syntax tree of each module of the package, in the order of names. An
        ``__init__`` bears the name of its package. Docstrings and layout do not count.
    libraries : frozenset of str
        Top-level names that these modules import from neither the package nor the standard
        library.
    """

    modules: dict[str, str]
    libraries: frozenset[str]


@dataclass(frozen=True)
class Source:
    """What the file of one module says: the hash of its syntax tree, and what it imports."""

    sha256: str
    imports: frozenset[str]


@dataclass(frozen=True)
class _Module:
    sha256: str
    modules: set[str]
    libraries: set[str]


class CodeReader:
    """Follow imports through the modules of one package, reading each file once.

    Parameters
    ----------
    package : str
        Top-level name of the package.
    root : Path, optional
        Folder of the package; without it, the folder where Python finds the package.
    """

    def __init__(self, package: str = "tidemark", root: Path | None = None) -> None:
        self._package = package
        self._paths = _find_modules(package, root or _find_root(package))
        self._modules: dict[str, _Module] = {}
        self._cache: CodeCache | None = None

    def use(self, cache: CodeCache) -> None:
        """Ask a cache first from now on: it remembers what earlier processes have read."""
        self._cache = cache

    def save(self) -> None:
        """Let the cache keep what was read."""
        if self._cache is not None:
            self._cache.save()

    def reach(self, *modules: str) -> CodeMap:
        """Collect all code that these modules import, directly or through others.

        Parameters
        ----------
        *modules : str
            Dotted names. Of an attribute's name the part that is a module counts; a name outside
            the package counts as a library.

        Raises
        ------
        SyntaxError
            If a file that is reached cannot be parsed.
        ImportError
            If a relative import leaves the package.
        """
        waiting, libraries = self._resolve(modules)
        reached: dict[str, str] = {}
        while waiting:
            name = waiting.pop()
            module = self._read(name)
            reached[name] = module.sha256
            libraries |= module.libraries
            waiting |= module.modules - reached.keys()
        return CodeMap(dict(sorted(reached.items())), frozenset(libraries))

    def _read(self, name: str) -> _Module:
        if name not in self._modules:
            path = self._paths[name]
            read = partial(_read_source, name, path)
            source = self._cache.get(name, path, read) if self._cache else read()
            self._modules[name] = _Module(source.sha256, *self._resolve(source.imports))
        return self._modules[name]

    def _resolve(self, names: Iterable[str]) -> tuple[set[str], set[str]]:
        """Tell modules of the package, with the packages above them, from libraries."""
        modules: set[str] = set()
        libraries: set[str] = set()
        for name in names:
            top, *rest = name.split(".")
            if top == self._package:
                prefixes = {".".join([top, *rest[:depth]]) for depth in range(len(rest) + 1)}
                modules |= prefixes & self._paths.keys()
            elif top not in sys.stdlib_module_names:
                libraries.add(top)
        return modules, libraries


@cache
def library_version(name: str) -> str | None:
    """Look up the version of what provides a top-level import name: None if nothing does."""
    from importlib import metadata  # slow to import, and not every start asks for versions

    try:
        return metadata.version(DISTRIBUTIONS.get(name, name))
    except metadata.PackageNotFoundError:
        providers = _list_providers().get(name)
    return metadata.version(min(providers)) if providers else None


@cache
def _list_providers() -> Mapping[str, list[str]]:
    from importlib import metadata

    return metadata.packages_distributions()


def _find_root(package: str) -> Path:
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"No package named {package!r} is installed: give its folder.")
    return Path(spec.submodule_search_locations[0])


def _find_modules(package: str, root: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(root.rglob("*.py")):  # x/__init__.py before x.py: Python prefers it too
        parts = path.relative_to(root).with_suffix("").parts
        name = ".".join([package, *(parts[:-1] if parts[-1] == "__init__" else parts)])
        found.setdefault(name, path)
    return found


def _read_source(name: str, path: Path) -> Source:
    tree = ast.parse(path.read_bytes(), filename=str(path))
    parent = name if path.name == "__init__.py" else name.rpartition(".")[0]
    return Source(_hash_tree(tree), frozenset(_imports(tree, parent)))


def _imports(tree: ast.Module, parent: str) -> set[str]:
    """Collect the absolute names that a module in the package ``parent`` imports at run time."""
    names: set[str] = set()
    waiting: list[ast.AST] = [tree]
    while waiting:
        match node := waiting.pop():
            case ast.Import():
                names.update(alias.name for alias in node.names)
            case ast.ImportFrom():
                base = resolve_name("." * node.level + (node.module or ""), parent)
                names.update(f"{base}.{alias.name}" for alias in node.names)
            case ast.If(test=ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING")):
                waiting.extend(node.orelse)
            case _:
                for block in _BLOCKS:
                    waiting.extend(getattr(node, block, ()))
    return names


def _hash_tree(tree: ast.Module) -> str:
    """Hash a tree in prefix form, which is written in half the time of ``ast.dump``."""
    tokens: list[str] = []
    _write(tree, tokens)
    return hashlib.sha256(" ".join(tokens).encode()).hexdigest()


def _write(value: object, tokens: list[str]) -> None:
    match value:
        case ast.Expr(value=ast.Constant(value=str())):
            pass  # a docstring, or another string without effect
        case ast.AST():
            tokens.append(type(value).__name__)
            for field in value._fields:
                if field != "ctx":  # load, store or delete: the place in the tree says which
                    _write(getattr(value, field), tokens)
        case list():
            tokens.append("[")
            for item in value:
                _write(item, tokens)
            tokens.append("]")
        case _:
            tokens.append(repr(value))
