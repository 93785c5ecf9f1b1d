"""``python -m seisei`` is ``seisei``."""

from __future__ import annotations

from seisei.cli.main import main

if __name__ == "__main__":
    main()
