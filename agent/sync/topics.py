"""Topic names under ``tanshu/v1/{site}/{gateway}/``."""

from __future__ import annotations

from dataclasses import dataclass

PREFIX = "tanshu/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Topics:
    """The topics of one gateway."""

    site: str
    gateway: str

    def __getitem__(self, name: str) -> str:
        """Full topic of ``batch``, ``receipt``, ``status``, ``birth``, ``factors`` and the like."""
        return f"{PREFIX}/{self.site}/{self.gateway}/{name}"


def parse_topic(topic: str) -> tuple[Topics, str] | None:
    """Gateway and last word of a topic, or ``None`` if it is not of this contract.

    Example:
        >>> parse_topic("tanshu/v1/plant-1/gw-01/batch")
        (Topics(site='plant-1', gateway='gw-01'), 'batch')
    """
    words = topic.split("/")
    if len(words) != 5 or words[:2] != PREFIX.split("/"):
        return None
    return Topics(site=words[2], gateway=words[3]), words[4]
