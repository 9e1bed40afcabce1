"""Serves the web side over the store in a directory until it is killed; prints its port and a key's secret."""

import asyncio
import sys
from pathlib import Path

from website import serving


async def main(directory: Path, name: str) -> None:
    async with serving(directory, settle=False) as site:
        print(site.port, site.key("report", name=name), flush=True)
        await asyncio.Event().wait()


asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
