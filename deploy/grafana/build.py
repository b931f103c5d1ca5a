"""Write the dashboards as JSON: ``python deploy/grafana/build.py [FOLDER]``, by default into ``dashboards/``.

Needs ``grafana-foundation-sdk`` (extra ``dev``). The JSON is committed; a test builds it again and compares.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import fleet
import monitor
from grafana_foundation_sdk.cog.encoder import JSONEncoder

HERE = Path(__file__).parent


def main(folder: Path) -> None:
    for made in (fleet.build(), monitor.build()):
        whole = made.build()
        for place, panel in enumerate(whole.panels or (), start=1):
            panel.id_val = place
            # A default of the kit that Grafana 13 no longer knows.
            options = getattr(panel, "options", None)
            if hasattr(options, "footer"):
                options.footer = None
        text = json.dumps(whole, cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False)
        (folder / f"{whole.uid}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "dashboards")
