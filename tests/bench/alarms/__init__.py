"""The alarm bench: false pages where nothing moved, delays where something did, other tools' rules beside.

``make bench-alarms`` runs it. ``worlds``, ``healthy`` and ``shifts`` draw rows, ``path`` takes them through
the real code (``Summary.of``, ``fresh_track``, ``decide``), ``oracle`` says what could be found at all,
``rivals`` are other rules on the same windows, ``nulls`` and ``delays`` are one piece of work each,
``report`` makes the tables.
"""
