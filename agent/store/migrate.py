"""`python -m agent.store.migrate FILE`: builds or renews a gateway's schema and ends.

In a process of its own, so that what sqlite-utils loads for it does not stay in the gateway.
"""

from __future__ import annotations

import sys

from agent.core.errors import StoreError
from agent.store.database import open_store

if __name__ == "__main__":
    try:
        open_store(sys.argv[1]).close()
    except StoreError as error:
        sys.exit(str(error))
