"""The page in a real browser, at desktop and phone width: no error, nothing wider than the screen, pointer and keyboard work."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest

from counterpoint import report

pytestmark = pytest.mark.browser
selenium = pytest.importorskip("selenium", reason="selenium is not installed (pip install 'counterpoint[dev]')")
CHROMIUM = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)
DRIVER = shutil.which("chromedriver")
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars",
)  # fmt: skip
READER = (Path(__file__).parent / "reader.js").read_text("utf-8")
DESKTOP, PHONE = (1280, 900), (390, 844)
Make = Callable[..., Path]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A headless Chromium with an empty profile; the tests skip, by name, where there is none."""
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("no chromium with chromedriver is installed (apt-get install chromium chromium-driver)")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    driver.set_script_timeout(60)
    yield driver
    driver.quit()


class Page:
    """A page that is open, with what a reader does on it."""

    def __init__(self, driver: Any, path: Path, size: tuple[int, int], dark: bool = False) -> None:
        self.driver = driver
        phone = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size == PHONE}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
        driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": size == PHONE})
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        driver.get_log("browser")
        driver.get("file://" + quote(str(path)))
        driver.execute_script(READER)
        self.run("requestAnimationFrame(() => requestAnimationFrame(done))")

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a script that calls `done(result)`."""
        return self.driver.execute_async_script(f"const done = arguments[arguments.length - 1];{script}", *arguments)

    def ask(self, expression: str, *arguments: Any) -> Any:
        return self.driver.execute_script(f"return {expression}", *arguments)

    def errors(self) -> list[str]:
        """What the console says; its advice about reading the canvas back is for this test, not for the page."""
        return [line["message"] for line in self.driver.get_log("browser") if "willReadFrequently" not in line["message"]]

    def to_screen(self, selector: str) -> None:
        self.ask(f"document.querySelector({selector!r}).scrollIntoView({{block: 'center', behavior: 'instant'}})")
        self.run("requestAnimationFrame(() => requestAnimationFrame(done))")

    def mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        self.driver.execute_cdp_cmd("Input.dispatchMouseEvent", {"type": kind, "x": x, "y": y, **more})
        self.run("requestAnimationFrame(() => requestAnimationFrame(done))")

    def click(self, selector: str) -> None:
        self.ask(f"document.querySelector({selector!r}).click()")
        self.run("requestAnimationFrame(() => requestAnimationFrame(done))")

    def key(self, selector: str, key: str) -> None:
        self.ask(f"document.querySelector({selector!r}).focus()")
        for kind in ("keyDown", "keyUp"):
            self.driver.execute_cdp_cmd("Input.dispatchKeyEvent", {"type": kind, "key": key})
        self.run("requestAnimationFrame(() => requestAnimationFrame(done))")

    def point(self, row: int) -> tuple[float, float]:
        """Where an item lies on the screen."""
        return tuple(self.ask("reader.place(arguments[0])", row))

    def ink(self) -> int:
        """Pixels of the map that are drawn on."""
        return int(self.ask("reader.ink()"))


@pytest.fixture
def open_page(browser: Any) -> Callable[..., Page]:
    return lambda path, size=DESKTOP, dark=False: Page(browser, path, size, dark)


RUNS: dict[str, dict[str, Any]] = {
    "pictures": {"items": 300, "previews": 300, "steps": 400},
    "texts": {
        "items": 200,
        "preview": "text",
        "previews": 200,
        "names": ["a" * 70, "</script><script>document.title='caught'</script>", "pin"],
    },
    "unlabelled": {"items": 100, "preview": "none", "labels": False, "steps": 1},
    "metrics alone": {"leave_out": ("config.yaml", "model.json", "evaluation.json", "health.json", "embeddings.parquet"), "steps": 2},
}


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("run", RUNS)
def test_no_error_and_nothing_wider_than_the_screen(
    make_run: Make, open_page: Callable[..., Page], run: str, size: tuple[int, int]
) -> None:
    page = open_page(report.write(make_run(run, **RUNS[run])), size)
    assert page.errors() == []
    assert page.ask("document.documentElement.scrollWidth") == size[0]
    assert page.ask("document.title") == f"{run} · Counterpoint report"
    assert page.ask("reader.wide()") == []
    assert page.ask("performance.getEntriesByType('resource').filter(e => !e.name.startsWith('data:')).length") == 0
    assert page.ask("[...document.images].every(i => i.complete && i.naturalWidth > 0)")


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_pointing_at_the_map_shows_the_item(make_run: Make, open_page: Callable[..., Page], size: tuple[int, int]) -> None:
    page = open_page(report.write(make_run(items=200, previews=200, steps=3)), size)
    page.to_screen("#map-canvas")
    assert page.ink() > 1000
    x, y = page.point(17)
    if size == PHONE:
        touch = [{"x": x, "y": y}]
        page.driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": touch})
        page.driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    else:
        page.mouse("mouseMoved", x, y)
    tip = "document.getElementById('tip')"
    assert not page.ask(f"{tip}.hidden")
    assert page.ask(f"{tip}.querySelector('img').naturalWidth") == 32
    words = page.ask(f"{tip}.innerText").split()
    assert {"label", "cluster", "item"} <= set(words)
    box = page.ask(f"{tip}.getBoundingClientRect().toJSON()")
    assert box["left"] >= 0 and box["right"] <= size[0]
    assert page.errors() == []


def test_legend_hides_zoom_enlarges_and_keys_step(make_run: Make, open_page: Callable[..., Page]) -> None:
    page = open_page(report.write(make_run(items=200, previews=20, steps=3)))
    page.to_screen("#map-canvas")
    before = page.ink()
    assert page.ask("document.querySelectorAll('#map-legend button').length") == 8
    page.click("#map-legend button:nth-child(1)")
    page.click("#map-legend button:nth-child(2)")
    assert page.ink() < 0.9 * before
    assert page.ask("document.querySelector('#map-legend button').getAttribute('aria-pressed')") == "false"
    page.click("#map-legend button:nth-child(1)")
    page.click("#map-legend button:nth-child(2)")
    assert page.ink() == before
    page.click("#map-columns button:nth-child(2)")
    assert page.ask("document.querySelector('#map-legend').innerText").startswith("cluster 0")
    page.key("#map-canvas", "ArrowRight")
    assert not page.ask("document.getElementById('tip').hidden")
    assert page.ask("document.getElementById('map-said').textContent").startswith("Item 0:")
    page.key("#map-canvas", "Escape")
    page.click("[data-zoom='1.6']")
    page.click("[data-zoom='1.6']")
    page.click("[data-zoom='1.6']")
    assert page.ink() != before
    page.click("[data-zoom='0']")
    assert page.ink() == before
    page.click("[data-group]")
    assert page.ink() < 0.4 * before
    assert page.errors() == []


def test_pointing_at_a_chart_shows_its_values(make_run: Make, open_page: Callable[..., Page]) -> None:
    page = open_page(report.write(make_run(steps=50, leave_out=("embeddings.parquet",))))
    page.to_screen("[data-chart='0'] svg")
    box = page.ask("document.querySelector('[data-chart=\"0\"] svg').getBoundingClientRect().toJSON()")
    page.mouse("mouseMoved", box["left"] + box["width"] * 0.6, box["top"] + 60)
    tip = "document.querySelector('[data-chart=\"0\"] .tip')"
    words = page.ask(f"{tip}.innerText").split("\n")
    assert words[0].startswith("step ") and "chance level" in words and "6.240" in words
    page.mouse("mouseMoved", 2, 2)
    assert page.ask(f"{tip}.hidden")
    page.key("[data-chart='1'] svg", "End")
    assert page.ask("document.querySelector('[data-chart=\"1\"] .tip').innerText").startswith("step 500")
    assert page.errors() == []


def test_light_and_dark(make_run: Make, open_page: Callable[..., Page]) -> None:
    path = report.write(make_run(steps=3, items=30))
    ground = "getComputedStyle(document.body).backgroundColor"
    light = open_page(path).ask(ground)
    page = open_page(path, DESKTOP, dark=True)
    dark = page.ask(ground)
    assert light != dark
    page.click("#theme")
    assert page.ask(ground) == light
    page.click("#theme")
    assert page.ask(ground) == dark


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_words_stand_out_and_everything_has_a_name(make_run: Make, open_page: Callable[..., Page], dark: bool) -> None:
    finding = {"name": "collapse", "severity": "failed", "what": "all alike", "cause": "lr", "advice": "lower it"}
    health = {"verdict": "warning", "findings": [finding, {**finding, "severity": "warning"}]}
    page = open_page(report.write(make_run(items=150, previews=150, steps=9, health=health)), DESKTOP, dark)
    assert page.ask("reader.faint()") == []
    assert page.ask("reader.nameless()") == []
    assert page.ask("new Set([...document.querySelectorAll('[id]')].map(e => e.id)).size == document.querySelectorAll('[id]').length")
    assert page.ask("document.documentElement.lang") == "en"


def test_twenty_thousand_points(make_run: Make, open_page: Callable[..., Page]) -> None:
    page = open_page(report.write(make_run(items=20_000, width=4, previews=50, steps=3)))
    page.to_screen("#map-canvas")
    assert page.ink() > 20_000
    page.mouse("mouseMoved", *page.point(5))
    assert not page.ask("document.getElementById('tip').hidden")
    assert page.errors() == []


def test_a_screenshot_is_not_empty(make_run: Make, open_page: Callable[..., Page]) -> None:
    pytest.importorskip("PIL")
    import io

    from PIL import Image

    page = open_page(report.write(make_run(items=60, previews=60, steps=5)))
    shot = page.driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})["data"]
    with Image.open(io.BytesIO(base64.b64decode(shot))) as image:
        assert image.size == DESKTOP
        assert len(np.unique(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0)) > 50
