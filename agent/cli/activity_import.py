"""The rows of a sheet as entries to submit: defaults filled in, documents read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from agent.cli.activity_door import evidence_of
from agent.cli.activity_sheet import Sheet, SheetRow
from agent.core.activity import Origin
from agent.core.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What rows take where they say nothing themselves."""

    kind: str = ""
    author: str = ""
    evidence: Path | None = None


def collect(
    sheet: Sheet, defaults: Defaults, folder: Path
) -> tuple[list[SheetRow], dict[str, bytes]]:
    """The rows to submit and the documents they refer to; faulty cells are noted in the sheet.

    Document names are relative to ``folder``, where the sheet lies.
    """
    read: dict[Path, str | UsageError] = {}
    files: dict[str, bytes] = {}

    def digest_of(path: Path) -> str | UsageError:
        if path not in read:
            try:
                digest, files_data = evidence_of(path)
                files[digest] = files_data
                read[path] = digest
            except UsageError as error:
                read[path] = error
        return read[path]

    if defaults.evidence is not None and isinstance(
        error := digest_of(defaults.evidence), UsageError
    ):
        raise error
    rows: list[SheetRow] = []
    for row in sheet.rows:
        fields = dict(row.fields)
        named = fields.pop("evidence", None)
        path = defaults.evidence if named is None else folder / str(named)
        if path is not None:
            digest = digest_of(path)
            if isinstance(digest, UsageError):
                sheet.fault(row.number, sheet.columns["evidence"], digest.what, digest.hint)
                continue
            fields |= {"evidence_name": path.name, "evidence_sha256": digest}
        fields.setdefault("origin", Origin.IMPORT.value)
        if defaults.kind:
            fields.setdefault("kind", defaults.kind)
        if defaults.author:
            fields.setdefault("author", defaults.author)
        rows.append(SheetRow(number=row.number, fields=fields))
    return rows, files


def find_cell(sheet: Sheet, row: int, field: str) -> str:
    """The cell of a field, or the row and the field's name if no column holds it."""
    columns = {**sheet.columns, "evidence_sha256": sheet.columns.get("evidence", "")}
    column = columns.get(field, "")
    return f"{sheet.name}!{column}{row}" if column else f"{sheet.name}!{row} {field}"
