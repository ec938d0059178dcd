"""Where the data files that come with the package are: templates, factors, rules, languages."""

from __future__ import annotations

from pathlib import Path

import agent
from agent.core.errors import ConfigError, Fault

INSTALLED = "_config"
CHECKOUT = "config"


def resource_dir() -> Path:
    """The folder with ``templates/``, ``factors/`` and ``rules/``.

    ``agent/_config`` in an installed wheel, ``config`` beside the package in a checkout.
    """
    package = Path(agent.__file__).parent
    for folder in (package / INSTALLED, package.parent / CHECKOUT):
        if (folder / "templates").is_dir():
            return folder
    raise ConfigError(
        (
            Fault(
                file=str(package),
                path=INSTALLED,
                what="the data files of the package are missing",
                hint="install the package again",
            ),
        )
    )
