"""The page in a browser: sorted, filtered, a run opened; on a phone, in the dark, on paper."""

from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from made_up_results import make_study
from pages import NEEDS_BROWSER, desktop, write
from playwright.sync_api import Browser, Page, expect

from distillery.reporting.page.elsewhere import dvc_template

# What WCAG 2.2 asks for at the levels A and AA, and landmarks and headings beside it.
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
IN_THE_DARK = {"runOnly": ["color-contrast"]}
# Pictures are white in the dark, too, and their letters as large as they are printed. The rows of a
# table are alike.
PAGE = {"exclude": [[".drawing"], ["tbody tr:nth-child(n+4)"]]}
DIALOG = {"include": [["dialog"]]}
BROKEN_LINKS = """() => [...document.querySelectorAll("nav a")].filter((link) =>
  !document.getElementById(link.hash.slice(1))).length"""

expect.set_options(timeout=30_000)
pytestmark = NEEDS_BROWSER


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("page")
    study = make_study(pairs=13, methods={"ce": "CE", "kd": "KD", "crd": "CRD"}, timings=True)
    write(study, folder)
    return (folder / "index.html").as_uri()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    context = desktop(browser)
    opened = context.new_page()
    faults: list[str] = []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
    opened.goto(address)
    yield opened
    context.close()
    assert faults == []


def column(page: Page, table: str, number: int) -> list[str]:
    return page.locator(f"#{table} tbody tr:visible > :nth-child({number})").all_inner_texts()


def test_runs_are_sorted_filtered_and_shown_in_pages(page: Page) -> None:
    status = page.locator("#all-runs [role=status]")
    assert status.inner_text() == "1 to 100 of 136 runs"
    page.get_by_role("button", name="Next").click()
    assert status.inner_text() == "101 to 136 of 136 runs"
    page.locator("#table-runs").get_by_role("button", name="Last (%)").click()
    last = [float(text) for text in column(page, "table-runs", 6)]
    assert len(last) == 100
    assert last == sorted(last)
    page.locator("#table-runs").get_by_role("button", name="Last (%)").click()
    assert page.locator("#table-runs [aria-sort=descending]").count() == 1
    again = [float(text) for text in column(page, "table-runs", 6)]
    assert again == sorted(again, reverse=True)
    page.locator("#all-runs input").fill("resnet57 KD")
    expect(status).to_have_text("1 to 3 of 3 runs")
    assert {text.partition(" ")[0] for text in column(page, "table-runs", 2)} == {"resnet57"}
    page.locator("#all-runs input").fill("no such run")
    expect(status).to_have_text("No run has all of this.")


def test_a_run_opens_with_settings_cost_curve_and_command(page: Page) -> None:
    page.locator("#table-runs tbody tr:nth-child(20) a").click()
    dialog = page.get_by_role("dialog")
    text = dialog.inner_text()
    key = page.evaluate("location.hash").removeprefix("#run-")
    assert f"{key} --params params/made-up.yaml" in text
    assert "distillery run data-" in text
    assert '"weight_decay": 0.0005' in text
    assert "Peak memory (MiB)" in text
    assert dialog.get_by_role("img").get_attribute("aria-label").startswith("Test top-1")  # type: ignore[union-attr]
    page.keyboard.press("Escape")
    assert not dialog.is_visible()
    assert page.evaluate("location.hash") == "#runs"


def test_a_number_leads_to_its_runs(page: Page) -> None:
    page.locator(".findings summary").first.click()
    page.locator(".findings details[open] a").first.click()
    assert page.get_by_role("dialog").is_visible()


def test_other_tables_are_sorted_and_filtered(page: Page) -> None:
    table = page.locator("#table-evaluation")
    table.get_by_role("button", name="NLL").click()
    values = [float(text.split(" ")[0]) for text in column(page, "table-evaluation", 4)]
    assert values == sorted(values)
    page.locator("#evaluation input").fill("resnet57 CRD")
    expect(page.locator("#table-evaluation tbody tr:visible")).to_have_count(1)
    assert column(page, "table-evaluation", 2) == ["CRD"]


def faults(page: Page, part: dict[str, Any], rules: dict[str, Any]) -> list[str]:
    """Return what axe finds wrong with a part of the page as it stands."""
    found = Axe().run(page, context=part, options=rules).response["violations"]
    return [f"{each['id']}: {node['html'][:200]}" for each in found for node in each["nodes"][:3]]


def test_all_can_be_read_and_operated_as_axe_checks_it(page: Page) -> None:
    for role in ("banner", "navigation", "main", "contentinfo"):
        assert page.get_by_role(role).count() == 1  # type: ignore[arg-type]
    assert page.evaluate(BROKEN_LINKS) == 0
    assert faults(page, PAGE, RULES) == []
    page.emulate_media(color_scheme="dark")
    assert faults(page, PAGE, IN_THE_DARK) == []
    page.locator("#table-runs tbody a").first.click()
    assert faults(page, DIALOG, RULES) == []


def test_the_keyboard_reaches_the_content_first(page: Page) -> None:
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#content"


def test_a_phone_shows_all_of_it_without_scrolling_sideways(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    expect(page.locator("nav ul").first).not_to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.locator("nav summary").click()
    page.locator("nav a", has_text="Runs").click()
    assert page.locator("#table-runs").is_visible()


def test_paper_has_no_menu_and_no_buttons(page: Page) -> None:
    page.emulate_media(media="print")
    assert not page.locator("nav").is_visible()
    assert not page.locator(".pages").is_visible()
    assert page.locator("#table-main").is_visible()
    # How many runs a row has is told, which they are is not.
    assert page.locator("#table-evaluation summary").first.is_visible()
    assert not page.locator(".findings summary").first.is_visible()


def test_plots_of_dvc_have_the_captions_of_their_own_report_alone(browser: Browser) -> None:
    template = dvc_template("Mine", "reports/mine", {"accuracy": "Accuracy of mine."})
    names = ("reports/mine/figures/accuracy.png", "reports/figures/accuracy.png")
    drawn = "".join(f"<div><p>{name}</p><div><p>main</p><img></div></div>" for name in names)
    page = browser.new_page()
    page.set_content(template.replace("{plot_divs}", drawn).replace("{refresh_tag}", ""))
    assert page.locator("p").all_inner_texts() == ["Accuracy of mine.", "main", names[1], "main"]
    assert page.locator("img").first.get_attribute("alt") == "Accuracy of mine."
    # The title is that of one report.
    assert page.locator("h1").inner_text() == "Figures"
    page.close()
