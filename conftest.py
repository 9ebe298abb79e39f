"""Examples in docstrings run in an empty folder, so that what they write goes there."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _empty_folder_for_examples(request: pytest.FixtureRequest) -> None:
    if isinstance(request.node, pytest.DoctestItem):
        monkeypatch: pytest.MonkeyPatch = request.getfixturevalue("monkeypatch")
        monkeypatch.chdir(request.getfixturevalue("tmp_path"))
