"""The command line called as its entry point is, in this process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from agent.cli.main import main


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    code: int
    out: str
    err: str


Tanshu = Callable[..., Done]


@pytest.fixture
def tanshu(capsys: pytest.CaptureFixture[str]) -> Tanshu:
    def call(*words: object) -> Done:
        with pytest.raises(SystemExit) as end:
            main([str(word) for word in words])
        said = capsys.readouterr()
        assert isinstance(end.value.code, int)
        return Done(code=end.value.code, out=said.out, err=said.err)

    return call
