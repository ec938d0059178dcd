"""The demo of the README, shortened: it ends by itself, is ok, and prints what others rely on."""

from __future__ import annotations

import json

from tests.e2e.short_demo import DemoRun

KEYS = {
    "schema", "seconds", "kernels", "readings", "good_share", "windows", "batches_sent",
    "batches_receipted", "devices", "mismatches", "ok",
}  # fmt: skip
DEVICE_KEYS = {"gateway_kgco2e", "ledger_kgco2e", "truth_kgco2e", "bound_kgco2e"}


def test_a_short_demo_ends_well(demo: DemoRun) -> None:
    assert demo.done.returncode == 0, demo.done.stdout + demo.done.stderr
    summary = json.loads(demo.done.stdout.splitlines()[-1])
    assert set(summary) >= KEYS
    assert summary["schema"] == 1
    assert summary["kernels"] in {"aot", "jit", "python"}
    assert summary["ok"] is True
    assert summary["mismatches"] == 0
    assert summary["good_share"] >= 0.999
    assert summary["batches_sent"] == summary["batches_receipted"] > 0
    assert len(summary["devices"]) == 10
    for device in summary["devices"].values():
        assert set(device) == DEVICE_KEYS
        assert device["gateway_kgco2e"] == device["ledger_kgco2e"]
        apart = abs(device["gateway_kgco2e"] - device["truth_kgco2e"])
        assert 0 < apart <= device["bound_kgco2e"]
    for log in demo.folder.glob("*.log"):
        assert "Traceback" not in log.read_text(encoding="utf-8"), log.name
