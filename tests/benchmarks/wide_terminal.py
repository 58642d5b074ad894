"""The simulated terminal with fifty symbols, for the window's heaviest load: the usual ones under further names.

Run as a module with the options of `medulla sim`.
"""

from __future__ import annotations

import sys
from dataclasses import replace

from app.domain.values import Symbol
from app.sim import instruments

SYMBOLS = 50
_TRADED = 6
"""The first six of the catalogue are open and may be traded both ways."""


def wide() -> tuple[instruments.Instrument, ...]:
    """The catalogue's traded symbols first, then the same under numbered names, fifty in all."""
    traded = instruments.CATALOGUE[:_TRADED]
    return tuple(
        replace(
            item, symbol=Symbol(f"{item.symbol}.{place // _TRADED}" if place >= _TRADED else str(item.symbol))
        )
        for place in range(SYMBOLS)
        for item in (traded[place % _TRADED],)
    )


def main() -> None:
    instruments.CATALOGUE = wide()
    sys.argv = [sys.argv[0], "sim", *sys.argv[1:]]
    from app.__main__ import main as medulla

    medulla()


if __name__ == "__main__":
    main()
