"""What code a node depends on: every change that can matter, and no other, is seen."""

from __future__ import annotations

import ast
import importlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path

import pytest

import tidemark
from tidemark.checkpoints import code
from tidemark.checkpoints.code import CodeMap, CodeReader, library_version

Reach = Callable[..., CodeMap]

NODES = '''\
"""Nodes."""

RATE = 2


def scale(x):
    """Scale."""
    return x * RATE
'''


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., None]:
    """Return a function that writes files of the package ``fake``, with ``__init__`` above them."""

    def write_files(files: dict[str, str]) -> None:
        for name, source in {"__init__.py": "", **files}.items():
            path = tmp_path / "fake" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source, encoding="utf-8")

    return write_files


@pytest.fixture
def reach(tmp_path: Path, write: Callable[..., None]) -> Reach:
    """Return a function that writes files of ``fake`` and reads anew what modules reach."""

    def reach_modules(files: dict[str, str], *modules: str) -> CodeMap:
        write(files)
        return CodeReader("fake", tmp_path / "fake").reach(*modules)

    return reach_modules


@pytest.mark.parametrize(
    "source",
    [
        NODES.replace("RATE = 2\n", "# twice\nRATE = (  # at least\n    2\n)\n\n\n"),
        NODES.replace('"""Nodes."""\n', ""),
        NODES.replace("Nodes", "Functions").replace('"""Scale."""', "'Scale, and say so.'"),
        NODES.replace('    """Scale."""\n', ""),
        NODES.replace("RATE = 2\n", 'RATE = 2\n"""What prices are multiplied with."""\n'),
        NODES.replace("\n", "\r\n"),
        "\ufeff" + NODES,
    ],
    ids=["layout", "no module", "other words", "no function", "attribute", "line ends", "mark"],
)
def test_hash_after_a_change_of_words_or_layout_stays(reach: Reach, source: str) -> None:
    """Comments, docstrings, blank lines, brackets and encodings do not count."""
    before = reach({"nodes.py": NODES}, "fake.nodes")

    assert reach({"nodes.py": source}, "fake.nodes") == before


def test_hash_after_a_change_of_a_class_docstring_stays(reach: Reach) -> None:
    """A class that is only a docstring may be described anew."""
    before = reach({"nodes.py": 'class Bad(Exception):\n    """Bad."""\n'}, "fake.nodes")

    assert reach({"nodes.py": "class Bad(Exception):\n    'Worse.'"}, "fake.nodes") == before


@pytest.mark.parametrize(
    "source",
    [
        NODES.replace("RATE = 2", "RATE = 3"),
        NODES.replace("RATE = 2", "RATE = 2.0"),
        NODES.replace("RATE = 2", "RATE = True"),
        NODES.replace("RATE = 2", "RATE = '2'"),
        NODES.replace("RATE = 2", "RATE = b'2'"),
        NODES.replace("x * RATE", "RATE * x"),
        NODES.replace("x * RATE", "x + RATE"),
        NODES.replace("(x)", "(*, x)"),
        NODES.replace("(x)", "(x, /)"),
        NODES.replace("(x)", "(x=1)"),
        NODES.replace("return x", "x"),
        NODES.replace("def", "async def"),
        NODES + "\n\nscale.unit = 'percent'\n",
    ],
)
def test_hash_after_a_change_of_code_is_new(reach: Reach, source: str) -> None:
    """Every change of a constant, its type, an operator, an order or a signature counts."""
    before = reach({"nodes.py": NODES}, "fake.nodes").modules
    after = reach({"nodes.py": source}, "fake.nodes").modules

    assert [name for name in before if before[name] != after[name]] == ["fake.nodes"]


def test_hash_after_a_change_of_a_helper_is_new_for_the_helper(reach: Reach) -> None:
    """A node's map shows a change two imports away, and where it is."""
    files = {
        "nodes.py": "import fake.middle",
        "middle.py": "from fake.helper import RATE",
        "helper.py": "RATE = 2",
    }
    before = reach(files, "fake.nodes").modules
    after = reach(files | {"helper.py": "RATE = 3"}, "fake.nodes").modules

    assert [name for name in before if before[name] != after[name]] == ["fake.helper"]


def test_hash_tree_of_different_snippets_agrees_with_dump() -> None:
    """Two trees have the same hash if, and only if, the standard library dumps them alike."""
    snippets = [
        *("a", "'a'", "f(a)", "f('a')", "f(*a)", "f(**a)", "f(a=a)", "f(None)", "f(...)", "f()"),
        *("[a, b]", "(a, b)", "{a, b}", "[[a], b]", "[a, [b]]", "[[a, b]]", "[]", "[[]]", "a[b]"),
        *("1", "1.0", "1j", "True", "-1", "1e999", "b'a'", "'1'", "u'a'", "f'a'", "f'{a}'"),
        *("{a: b}", "{**b}", "{None: b}", "a < b < c", "(a < b) < c", "a < (b < c)", "a[b:]"),
        *("a[:b]", "a[::b]", "a[b]", "lambda: a", "lambda a: a", "a if b else c", "'] Name [ 1'"),
        *("[a for b in c if d]", "[a for b in c for b in d]", "(yield)", "(yield None)", "(a)"),
    ]
    trees = [ast.parse(f"x = {snippet}") for snippet in snippets]

    for (one, a), (other, b) in combinations(zip(snippets, trees, strict=True), 2):
        same = ast.dump(a) == ast.dump(b)
        assert (code._hash_tree(a) == code._hash_tree(b)) is same, (one, other)


def _constants(tree: ast.AST) -> Iterator[ast.Constant]:
    words = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in words:
            yield node


def test_hash_tree_after_changing_any_constant_of_a_real_module_is_new() -> None:
    """No constant of a node module is overlooked, wherever in its tree it stands."""
    path = Path(tidemark.__file__).parent / "pipelines" / "modelling" / "nodes.py"
    tree = ast.parse(path.read_bytes())
    original = code._hash_tree(tree)

    for node in _constants(tree):
        value, node.value = node.value, 123456789
        assert code._hash_tree(tree) != original, ast.unparse(node)
        node.value = value
    assert code._hash_tree(tree) == original


@pytest.mark.parametrize(
    "source",
    [
        "import fake.stage.helper",
        "import fake.stage.helper as h",
        "from fake.stage import helper",
        "from fake.stage import other as o, helper as h",
        "from fake.stage.helper import RATE",
        "from fake.stage.helper import *",
        "from . import helper",
        "from .helper import RATE",
        "from ..stage.helper import RATE",
        "from .. import stage\nfrom ..stage import helper",
        "def f():\n    from .helper import RATE",
        "class C:\n    async def f(self):\n        with self:\n            from . import helper",
        "try:\n    import absent\nexcept ImportError:\n    from . import helper",
        "try:\n    pass\nexcept* OSError:\n    pass\nelse:\n    from . import helper",
        "try:\n    pass\nfinally:\n    from . import helper",
        "for _ in ():\n    pass\nelse:\n    from . import helper",
        "while True:\n    from . import helper",
        "if 0:\n    pass\nelif 1:\n    from . import helper",
        "match 1:\n    case 1:\n        from . import helper",
    ],
)
def test_reach_of_any_form_of_import_finds_the_module(reach: Reach, source: str) -> None:
    """Absolute or relative, named or starred, at the top or inside: an import is followed."""
    files = {"stage/__init__.py": "", "stage/helper.py": "RATE = 2", "stage/nodes.py": source}

    assert list(reach(files, "fake.stage.nodes").modules) == [
        "fake",
        "fake.stage",
        "fake.stage.helper",
        "fake.stage.nodes",
    ]


def test_reach_of_a_package_follows_its_init(reach: Reach) -> None:
    """A name taken from a package depends on the module from which its ``__init__`` takes it."""
    files = {
        "nodes.py": "from fake.stage import RATE",
        "stage/__init__.py": "from .helper import RATE",
        "stage/helper.py": "from ..constants import RATE",
        "constants.py": "RATE = 2",
        "unused.py": "import fake.nodes",
    }

    assert list(reach(files, "fake.nodes").modules) == [
        "fake",
        "fake.constants",
        "fake.nodes",
        "fake.stage",
        "fake.stage.helper",
    ]


def test_reach_of_a_module_follows_every_init_above_it(reach: Reach) -> None:
    """Python runs the ``__init__`` of each package above, so their imports count too."""
    files = {
        "__init__.py": "from fake.setup import ready",
        "setup.py": "import outer_library",
        "deep/__init__.py": "import inner_library",
        "deep/deeper/nodes.py": "",  # no __init__ here: a namespace package has no code
    }
    found = reach(files, "fake.deep.deeper.nodes")

    assert list(found.modules) == ["fake", "fake.deep", "fake.deep.deeper.nodes", "fake.setup"]
    assert found.libraries == {"outer_library", "inner_library"}


def test_reach_of_a_package_beside_a_module_of_its_name_takes_the_package(reach: Reach) -> None:
    """Python prefers the folder, and so does the map."""
    files = {"stage.py": "import shadowed", "stage/__init__.py": "import seen"}

    assert reach(files, "fake.stage").libraries == {"seen"}


@pytest.mark.parametrize("test", ["TYPE_CHECKING", "typing.TYPE_CHECKING", "t.TYPE_CHECKING"])
def test_reach_of_imports_for_types_only_stops_there(reach: Reach, test: str) -> None:
    """What only a type checker imports is no dependency; what runs instead is one."""
    nodes = f"""\
import typing as t
if {test}:
    import for_types
    from .types import T
elif t:
    import for_elif
else:
    import for_else
    from .values import T
"""
    found = reach({"nodes.py": nodes, "types.py": "", "values.py": ""}, "fake.nodes")

    assert list(found.modules) == ["fake", "fake.nodes", "fake.values"]
    assert found.libraries == {"for_elif", "for_else"}


def test_reach_of_a_cycle_ends_and_is_whole_from_each_side(reach: Reach) -> None:
    """Modules that import each other all depend on each other, and on what any of them uses."""
    files = {
        "a.py": "import fake.b, fake.a",
        "b.py": "from fake import c",
        "c.py": "def f():\n    import fake.a, deep_library",
    }
    found = [reach(files, f"fake.{name}") for name in "abc"]

    assert list(found[0].modules) == ["fake", "fake.a", "fake.b", "fake.c"]
    assert found[0].libraries == {"deep_library"}
    assert found == [found[0]] * 3


def test_reach_of_libraries_leaves_out_the_standard_library(reach: Reach) -> None:
    """Libraries count by their top-level name, once, and Python's own modules not at all."""
    nodes = """\
from __future__ import annotations
import os.path, json as j, xml.etree.ElementTree
from collections.abc import Mapping
import numpy as np, numpy.linalg
from sklearn.linear_model import Ridge
import faker
text = "fake.helper and import absent"
"""
    found = reach({"nodes.py": nodes, "helper.py": ""}, "fake.nodes")

    assert found.libraries == {"numpy", "sklearn", "faker"}
    assert list(found.modules) == ["fake", "fake.nodes"]


@pytest.mark.parametrize(
    "name", ["fake.stage.nodes", "fake.stage.nodes.scale", "fake.stage.nodes.Model.fit"]
)
def test_reach_of_an_attribute_is_that_of_its_module(reach: Reach, name: str) -> None:
    """A name that goes on below a module stands for the module."""
    files = {"stage/__init__.py": "", "stage/nodes.py": NODES, "stage/other.py": ""}

    assert list(reach(files, name).modules) == ["fake", "fake.stage", "fake.stage.nodes"]


@pytest.mark.parametrize(
    ("name", "libraries"),
    [("pandas.io.parquet", {"pandas"}), ("json.decoder", set()), ("fakes.nodes", {"fakes"})],
)
def test_reach_of_a_module_outside_is_a_library(
    reach: Reach, name: str, libraries: set[str]
) -> None:
    """A function of another package is known by that package, which is not looked into."""
    assert reach({"nodes.py": ""}, name) == CodeMap({}, frozenset(libraries))


def test_reach_of_several_modules_is_their_union(reach: Reach) -> None:
    """Modules of a node's function and of its types can be given together."""
    files = {"a.py": "import one", "b.py": "import two", "c.py": "import three"}
    found = reach(files, "fake.a", "fake.b.f", "four")

    assert list(found.modules) == ["fake", "fake.a", "fake.b"]
    assert found.libraries == {"one", "two", "four"}


def test_reach_again_reads_no_file_again(
    tmp_path: Path, write: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each file is read once, however many modules reach it, and the answers are independent."""
    write({"a.py": "import fake.c", "b.py": "import fake.c", "c.py": ""})
    read: list[str] = []
    read_bytes = Path.read_bytes

    def note_and_read(path: Path) -> bytes:
        read.append(path.name)
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", note_and_read)
    reader = CodeReader("fake", tmp_path / "fake")
    reader.reach("fake.a").modules.clear()

    assert list(reader.reach("fake.a").modules) == ["fake", "fake.a", "fake.c"]
    assert list(reader.reach("fake.b").modules) == ["fake", "fake.b", "fake.c"]
    assert sorted(read) == ["__init__.py", "a.py", "b.py", "c.py"]


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ("def f(:", SyntaxError, "invalid syntax"),
        ("from ... import helper", ImportError, "beyond top-level package"),
    ],
)
def test_reach_of_code_that_cannot_run_raises(
    reach: Reach, source: str, error: type[Exception], message: str
) -> None:
    """A file that Python would refuse is refused here, never taken for unchanged."""
    with pytest.raises(error, match=message):
        reach({"stage/nodes.py": source}, "fake.stage.nodes")


def test_reader_without_a_folder_of_an_unknown_package_raises() -> None:
    """A package that Python cannot find must come with its folder."""
    with pytest.raises(
        ModuleNotFoundError, match="'no_such_package' is installed: give its folder"
    ):
        CodeReader("no_such_package")


def test_reach_of_the_training_node_is_its_mathematics_and_no_command() -> None:
    """The real node depends on the estimators and the libraries, not on the command line."""
    found = CodeReader().reach("tidemark.pipelines.modelling.nodes")

    assert {"tidemark.domain", "tidemark.domain.estimators"} <= found.modules.keys()
    assert "tidemark.cli" not in found.modules
    assert {"pandas", "sklearn"} <= found.libraries
    assert not found.libraries & {"tidemark", "hashlib", "logging"}


def test_reach_of_every_module_imports_none_of_them() -> None:
    """Reading the whole package loads neither pandas nor Kedro, nor a module that is read."""
    script = """\
import sys
from pathlib import Path
import tidemark
from tidemark.checkpoints.code import CodeReader
root = Path(tidemark.__file__).parent
names = [".".join(p.relative_to(root.parent).with_suffix("").parts) for p in root.rglob("*.py")]
reached = CodeReader().reach(*names).modules
assert len(reached) == len(names) > 50, (len(reached), len(names))
print(*sorted(m for m in sys.modules if m.partition(".")[0] in {"tidemark", "pandas", "kedro"}))
"""
    shown = subprocess.run(
        [sys.executable, "-c", script],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
    )

    assert shown.stdout.split() == [
        "tidemark",
        "tidemark.checkpoints",
        "tidemark.checkpoints.code",
    ]


@pytest.mark.parametrize("name", ["pandas", "sklearn", "yaml", "PIL", "dateutil"])
def test_library_version_of_an_import_name_is_what_the_library_says(name: str) -> None:
    """The version of a distribution is the one that its module states about itself."""
    assert library_version(name) == importlib.import_module(name).__version__


def test_library_version_of_a_name_outside_the_table_is_that_of_its_provider() -> None:
    """An import name that no distribution bears is searched in all that are installed."""
    assert library_version("mpl_toolkits") == library_version("matplotlib")


def test_library_version_of_nothing_installed_is_none() -> None:
    """A library that is not there has no version."""
    assert library_version("no_such_library") is None
