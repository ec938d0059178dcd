"""The words people write in activity sheets, Chinese and English, to the words of the records."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping

from agent.core.activity import ActivityKind, Origin
from agent.core.units import UNITS

KIND_WORDS: Mapping[str, ActivityKind] = {
    **{kind.value: kind for kind in ActivityKind},
    "原料": ActivityKind.RAW_MATERIAL,
    "原材料": ActivityKind.RAW_MATERIAL,
    "燃料": ActivityKind.RAW_MATERIAL,
    "产品": ActivityKind.PRODUCT,
    "中间品库存": ActivityKind.INTERMEDIATE_STOCK,
    "中间产品库存": ActivityKind.INTERMEDIATE_STOCK,
    "库存": ActivityKind.INTERMEDIATE_STOCK,
    "含碳量": ActivityKind.CARBON_CONTENT,
    "化验": ActivityKind.CARBON_CONTENT,
    "废物": ActivityKind.WASTE,
    "废弃物": ActivityKind.WASTE,
    "运输": ActivityKind.TRANSPORT,
    "账单": ActivityKind.BILL,
    "发票": ActivityKind.BILL,
}

ORIGIN_WORDS: Mapping[str, Origin] = {
    **{origin.value: origin for origin in Origin},
    "人工": Origin.MANUAL,
    "导入": Origin.IMPORT,
    "账单": Origin.BILL,
    "化验室": Origin.LABORATORY,
    "接口": Origin.API,
}

BASIS_WORDS: Mapping[str, str] = {
    "as-received": "as-received",
    "air-dried": "air-dried",
    "dry": "dry",
    "收到基": "as-received",
    "空气干燥基": "air-dried",
    "空干基": "air-dried",
    "干燥基": "dry",
    "干基": "dry",
}

TREATMENT_WORDS: Mapping[str, str] = {
    "landfill": "landfill",
    "incineration": "incineration",
    "co-processing": "co-processing",
    "recycling": "recycling",
    "wastewater-treatment": "wastewater-treatment",
    "storage": "storage",
    "other": "other",
    "填埋": "landfill",
    "焚烧": "incineration",
    "协同处置": "co-processing",
    "水泥窑协同处置": "co-processing",
    "综合利用": "recycling",
    "回收利用": "recycling",
    "废水处理": "wastewater-treatment",
    "污水处理": "wastewater-treatment",
    "贮存": "storage",
    "其他": "other",
}

RETIRE_WORDS = frozenset({"retire", "retired", "作废", "撤销"})

# The Chinese heading of each field first, as a template shows it.
HEADINGS: Mapping[str, tuple[str, ...]] = {
    "kind": ("类别", "kind"),
    "item": ("名称", "item", "物料", "品名"),
    "amount": ("数量", "amount", "数值", "用量"),
    "unit": ("计量单位", "unit", "单位"),
    "period": ("核算期间", "period", "期间", "月份", "日期", "month", "date"),
    "batch": ("批次号", "batch", "生产批次", "运单号", "发票号", "waybill", "invoice"),
    "place": ("归属", "place", "装置", "设备", "排放源", "device", "source"),
    "carbon_content": ("含碳量", "carbon_content", "单位含碳量"),
    "carbon_basis": ("含碳量基准", "carbon_basis", "基准"),
    "purity": ("纯度", "purity"),
    "treatment": ("处置方式", "treatment", "处理方式"),
    "distance_km": ("运距", "distance_km", "运输距离", "distance"),
    "mode": ("运输方式", "mode", "车型", "vehicle"),
    "price_cny": ("金额", "price_cny", "金额元", "price"),
    "origin": ("来源", "origin"),
    "author": ("录入人", "author", "填报人"),
    "note": ("备注", "note", "说明"),
    "evidence": ("凭证文件", "evidence", "附件"),
}

IGNORED_HEADINGS = frozenset({"序号", "no", "no.", "#"})

_UNIT_WORDS: tuple[tuple[str, str], ...] = (
    ("标准立方米", "Nm3"),
    ("标立方米", "Nm3"),
    ("标方", "Nm3"),
    ("立方米", "m3"),
    ("千瓦时", "kWh"),
    ("兆瓦时", "MWh"),
    ("吉焦", "GJ"),
    ("兆焦", "MJ"),
    ("吨公里", "t·km"),
    ("吨·公里", "t·km"),
    ("公斤", "kg"),
    ("千克", "kg"),
    ("吨", "t"),
    ("元", "CNY"),
    ("度", "kWh"),
    ("万", "10^4"),
)
_SPELLINGS = {"tkm": "t·km", "t.km": "t·km", "t*km": "t·km", "rmb": "CNY"}
_BRACKETED = re.compile(r"\([^()]*\)")
_SEPARATORS = re.compile(r"[\s_-]+")


def plain(text: str) -> str:
    """Text in one width and without space around it."""
    return unicodedata.normalize("NFKC", text).strip()


def unit_symbol(text: str) -> str:
    """The symbol of a unit as a person writes it; what is not known comes back tidied only.

    >>> [unit_symbol(text) for text in ("万标立方米", "10⁴ Nm³", "吨·公里", "mwh")]
    ['10^4Nm3', '10^4Nm3', 't·km', 'MWh']
    """
    tidy = "".join(plain(text.replace("⁴", "^4")).split()).replace("×", "")
    tidy = tidy.replace("⋅", "·").replace("・", "·")
    for word, symbol in _UNIT_WORDS:
        tidy = tidy.replace(word, symbol)
    tidy = _SPELLINGS.get(tidy.casefold(), tidy)
    if tidy in UNITS:
        return tidy
    alike = [symbol for symbol in UNITS if symbol.casefold() == tidy.casefold()]
    return alike[0] if len(alike) == 1 else tidy


def heading_field(text: str) -> str | None:
    """The field that a column heading names; None if none is known.

    >>> heading_field("运距（km）"), heading_field("Carbon content"), heading_field("颜色")
    ('distance_km', 'carbon_content', None)
    """
    return _HEADINGS.get(heading_key(text))


def is_ignored_heading(text: str) -> bool:
    """Whether a column only numbers the rows."""
    return plain(text).casefold() in IGNORED_HEADINGS


def known_headings() -> Iterable[str]:
    """The first Chinese and the English heading of each field."""
    return [word for words in HEADINGS.values() for word in words[:2]]


def heading_key(text: str) -> str:
    """A heading without case, spaces and what stands in brackets."""
    return _SEPARATORS.sub("", _BRACKETED.sub("", plain(text).casefold()))


_HEADINGS = {heading_key(word): field for field, words in HEADINGS.items() for word in words}
