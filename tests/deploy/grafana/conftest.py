"""The small world behind the API, for the dashboards too."""

from __future__ import annotations

from tests.api.conftest import tokens

__all__ = ["tokens"]
