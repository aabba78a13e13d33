"""A headless Chromium for tests of pages; they skip themselves where there is none."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

SOFTWARE_GL = ("--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader",
               "--enable-unsafe-swiftshader")  # fmt: skip


@contextmanager
def open_page(width: int = 1280, height: int = 1100) -> Iterator[Any]:
    """A page of a fresh browser with WebGL in software."""
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=list(SOFTWARE_GL))
        yield browser.new_page(viewport={"width": width, "height": height})
        browser.close()
