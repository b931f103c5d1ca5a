"""The alarm bench: false pages where nothing moves, delays where something does, and other tools' rules.

``make bench-alarms`` runs it. ``worlds``, ``healthy`` and ``shifts`` draw rows, ``path`` takes them through
the real code (``Summary.from_batch``, ``initial_segment_state``, ``decide``), ``oracle`` says what can be
detected at all, ``rivals`` are other rules on the same windows, ``nulls`` and ``delays`` are one piece of
work each, ``report`` makes the tables. ``late``, ``late_worlds``, ``late_report``: where rows come late.
``sequences``, ``sequence_worlds``, ``sequence_report``: what follows a page that nobody acknowledges, by
``Evaluator.evaluate`` (``watch``, counted by ``tally``); ``accepting`` goes through files and
``ack``. ``rare_worlds`` are null worlds in which something happens on few days.
"""
