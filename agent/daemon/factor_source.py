"""Which document a factor on the page was taken from."""

from __future__ import annotations

from agent.config.factor_documents import factor_document
from agent.config.factors import usable_library
from agent.core.model import FactorRef


class FactorSources:
    """Documents of factors, looked up once: the first look parses every factor file."""

    def __init__(self) -> None:
        self._known: dict[FactorRef, str] = {}

    def of(self, factor: FactorRef) -> str:
        """Standard, edition, table and row; empty for a factor of the site's own."""
        if factor not in self._known:
            library, _ = usable_library()
            document = factor_document(library, factor)
            parts = (document.standard, document.edition, document.table, document.row)
            self._known[factor] = " · ".join(part for part in parts if part)
        return self._known[factor]
