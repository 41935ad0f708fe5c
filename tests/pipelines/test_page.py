"""One page of HTML that needs nothing else, and the gate behind which results may be used."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest

from tidemark.errors import DataError, LeakageFound
from tidemark.pipelines.reporting import documents

pytestmark = pytest.mark.filterwarnings("ignore:Liblinear failed to converge")

NASTY = '<script src="http://example.org/x.js">alert("&")</script>'
NAMES = ("mean.linear", "mean.ridge", "median.ridge")
Write = Callable[..., Any]

_VOID = {"br", "hr", "img", "input", "link", "meta"}


class Outline(HTMLParser):
    """Read a page: what it loads, what it links, which tags are open at its end, its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag and what it refers to."""
        given = dict(attrs)
        self.tags.append(tag)
        if tag not in _VOID:
            self.open.append(tag)
        self.loaded += [value or "" for key, value in attrs if key in ("src", "srcset", "data")]
        if tag == "link":
            self.loaded.append(given.get("href") or "")
        if tag == "a":
            self.links.append(given.get("href") or "")
        if tag == "img":
            self.images.append(given)
        self.anchors |= {given["id"] or ""} if "id" in given else set()

    def handle_endtag(self, tag: str) -> None:
        """Close the last tag, which must be this one."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Note what is read."""
        self.texts.append(data)

    @property
    def text(self) -> str:
        """All that is read, in one line."""
        return " ".join(" ".join(self.texts).split())


@pytest.fixture
def report(study: Any, write_report: Write) -> Any:
    """Report three models, three baselines and a cell that failed."""
    cells = [study.run_cell(name) for name in NAMES]
    failed = study.run_cell("median.svr", simpler={})
    return write_report([*study.run_baselines(), *cells, failed])


def test_page_needs_no_other_file(report: Any) -> None:
    """Every picture is inside, nothing is loaded, no script runs, and tags are closed."""
    page = Outline(report.page)
    assert page.open == []
    assert "script" not in page.tags
    assert "link" not in page.tags
    assert "@import" not in report.page
    assert "url(" not in report.page
    prefix = "data:image/png;base64,"
    # four of the study, four of each cell but the one that failed
    assert len(page.loaded) == 4 + 4 * 6
    for place in page.loaded:
        assert place.startswith(prefix)
        assert base64.b64decode(place.removeprefix(prefix), validate=True) == report.figures[0]
    assert {link.removeprefix("#") for link in page.links} <= page.anchors
    assert all(image.get("alt") for image in page.images)


def test_page_says_what_the_findings_say(report: Any) -> None:
    """The answer, every cell with its state, and what made the numbers can be read."""
    text = Outline(report.page).text
    (answer,) = report.findings["answers"]
    assert f"{answer['word']}. {answer['text']}" in text
    for row in report.findings["groups"][0]["rows"]:
        assert row["cell"] in text
    assert "failed: svr did not converge; no simpler model is left" in text
    for digest in report.findings["made_by"].values():
        assert digest in text
    for one in report.findings["suspicions"]:
        assert one in text
    assert text.count("could not be drawn") == 4  # of the cell that failed


def test_page_texts_are_escaped(report: Any) -> None:
    """What people or data wrote is read as it is, and never run."""
    (answer,), (group,) = report.findings["answers"], report.findings["groups"]
    rows = [{**row, "note": NASTY, "cell": f"{row['cell']}{NASTY}"} for row in group["rows"]]
    page = report.write_page(
        params={
            **report.findings["params"],
            "title": NASTY,
            "question": NASTY,
            "sample_note": NASTY,
        },
        answers=[{**answer, "text": NASTY}],
        suspicions=[NASTY],
        groups=[{**group, "rows": rows}],
    )
    outline = Outline(page)
    assert "script" not in outline.tags
    assert NASTY not in page
    assert outline.text.count(NASTY) >= 6
    assert not [place for place in outline.loaded if not place.startswith("data:image/png")]


def test_page_without_any_figure_says_so(report: Any) -> None:
    """Nothing points at a picture that is not there."""
    missing = [documents.MISSING] * len(report.figures)
    page = documents.write_page(report.findings, report.templates, *missing, *report.albums)
    outline = Outline(page)
    assert len(outline.loaded) == 4 * 6
    assert "The figure of every cell could not be drawn." in outline.text
    assert outline.open == []


def test_page_of_a_study_that_failed_whole_is_made(study: Any, write_report: Write) -> None:
    """No answer, no picture, no number: the failures are told."""
    failed = [study.run_cell(f"{name}.svr", simpler={}) for name in ("mean", "median")]
    page = Outline(write_report(failed, is_drawn=True).page)
    assert page.open == []
    assert page.loaded == []
    assert page.text.count("failed: svr did not converge") == 4  # in the table and the remarks
    assert not re.search(r"\b(nan|None)\b", page.text.replace("None. No model", ""))


def test_page_of_a_leak_warns_before_anything_else(study: Any, write_report: Write) -> None:
    """Who reads only the top sees that the numbers mean nothing."""
    leak = {"passed": False, "findings": ["feature ret_lag_0 changes"], "features": ["ret_lag_0"]}
    cells = [*study.run_baselines(), *(study.run_cell(name) for name in NAMES)]
    text = Outline(write_report(cells, audits={"mean": leak}).page).text
    assert text.index("Void.") < text.index("All cells")
    assert "The audit failed" in text[: text.index("All cells")]
    assert "feature ret_lag_0 changes" in text


def test_album_of_a_scenario_holds_every_figure_and_names_those_that_are_missing(
    study: Any,
) -> None:
    """Four pictures for each cell, in their order, or the words that one could not be drawn."""
    runs = [study.run_cell("mean.ridge"), study.run_cell("mean.ridge", is_spoilt=True)]
    figures = [figure for run in runs for figure in run.figures]
    album = Outline(documents.assemble_album(*(run.outcome for run in runs), *figures))
    assert album.open == []
    assert album.tags.count("details") == 2
    assert len(album.loaded) == 5
    assert album.text.count("could not be drawn") == 3
    assert [str(image["alt"]).partition(" of ")[0] for image in album.images[:4]] == [
        "Predicted against true",
        "Density",
        "Residuals",
        "Residuals against predicted",
    ]


def test_certify_study_without_leaks_states_what_may_be_relied_on(report: Any) -> None:
    """The certificate holds the verdicts and the hashes of what made them; the gate is open."""
    certificate = documents.certify(report.findings, report.page)
    assert (certificate["passed"], certificate["leaks"]) == (True, [])
    assert certificate["verdicts"] == report.verdicts
    assert certificate["suspicions"] == report.findings["suspicions"]
    assert {key: certificate[key] for key in report.findings["made_by"]} == (
        report.findings["made_by"]
    )
    assert (certificate["study"], certificate["as_of"]) == ("returns", "2019-01-03")
    documents.gate(json.loads(json.dumps(certificate, allow_nan=False)))


def test_gate_of_a_study_with_a_leak_is_shut(report: Any) -> None:
    """The certificate says no, and the gate names every leak with the status of refused data."""
    leaks = ["mean: feature a changes", "labels are late"]
    certificate = documents.certify({**report.findings, "leaks": leaks}, report.page)
    assert (certificate["passed"], certificate["leaks"]) == (False, leaks)
    with pytest.raises(LeakageFound, match="audit of study 'returns' failed") as caught:
        documents.gate(certificate)
    for leak in leaks:
        assert f"\n  - {leak}\n" in str(caught.value)
    assert isinstance(caught.value, DataError)
    assert caught.value.exit_status == 2
