"""What the driver owes to the rest of the house."""

from __future__ import annotations

import subprocess
import sys

from opcua_plant import bus_of, driver_of, point

from agent.core.ports import BusStatistics, SubscribedDriver


def test_the_client_library_is_imported_only_for_a_bus_that_needs_it() -> None:
    code = "import sys, drivers.opcua; sys.exit('asyncua' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_driver_satisfies_its_port() -> None:
    driver: SubscribedDriver = driver_of(bus_of(4840), point("load"))
    statistics: BusStatistics = driver.statistics
    assert statistics.exchanges == 0
