"""What a page says of each column and joint detector that it names.

A detector's effect is one fact. A page adds the others: the range beside the median, the column that this one
was exchanged with, the columns that a joint detector points to.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from driftwatch.decide.decision import Decision
from driftwatch.detectors.base import (
    ColumnDetector,
    JointDetector,
    WindowContext,
    built_in_detectors,
    effect_text,
    exchanged_with,
    pair_of,
)
from driftwatch.detectors.base import Detector as AnyDetector
from driftwatch.monitor.column_labels import with_joint_last
from driftwatch.results.results import NamedColumn
from driftwatch.results.streams import Streams, joint_owner

#: Characters of a column's facts that fit a telephone beside its name.
_MAX_CHARS = 110


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PageWords:
    context: WindowContext
    column_detectors: Sequence[ColumnDetector]
    joint_detectors: Mapping[str, JointDetector]

    @classmethod
    def from_detectors(
        cls, context: WindowContext, targets: Iterable[AnyDetector], order: Sequence[str]
    ) -> PageWords:
        """Facts come from all built-in detectors, whichever are configured."""
        built_in = {item.name: item for item in built_in_detectors() if isinstance(item, ColumnDetector)}
        return cls(
            context=context,
            column_detectors=[built_in[name] for name in order if name in built_in],
            joint_detectors={
                joint_owner(item.name): item for item in targets if isinstance(item, JointDetector)
            },
        )

    def named(self, decision: Decision, streams: Streams) -> tuple[NamedColumn, ...]:
        return with_joint_last(
            self._joint(item, self.joint_detectors[item.column], decision, streams)
            if item.column in self.joint_detectors
            else replace(item, effect=self.column_text(item))
            for item in decision.named
        )

    def _joint(
        self, item: NamedColumn, detector: JointDetector, decision: Decision, streams: Streams
    ) -> NamedColumn:
        effect, columns = detector.page_words(self.context, item.effect)
        return replace(
            item, effect=self._usual_text(item, detector, decision, streams) or effect, columns=columns
        )

    def _usual_text(
        self, item: NamedColumn, detector: JointDetector, decision: Decision, streams: Streams
    ) -> str:
        # What the score usually is.
        fit, keys = decision.fit, decision.segment_state.scores.keys
        scores = zip(streams.score_keys, streams.value.tolist(), strict=True)
        score = next((score for score in scores if score[0][:2] == (item.detector, None)), None)
        if fit is None or score is None:
            return ""
        usual = float(fit.location[keys.positions[score[0]]])
        return detector.change_text(self.context.reference, usual, score[1])

    def column_text(self, item: NamedColumn) -> str:
        if item.column not in self.context.reference.plan.grids:
            return item.effect
        text = item.effect
        for fact in self._facts(item.column):
            if text and any(clause in text for clause in fact.split(", ")):
                continue
            longer = f"{text}; {fact}" if text else fact
            text = longer if len(longer) <= _MAX_CHARS or not text else text
        return text

    def _facts(self, column: str) -> Iterator[str]:
        partner = exchanged_with(self.context, column)
        if partner:
            yield f"looks like {effect_text.escape(column)} and {effect_text.escape(partner)} exchanged"
        pair = pair_of(self.context, column)
        for detector in self.column_detectors:
            if not detector.applies(pair.column, self.context.reference):
                continue
            fact = "" if pair.empty_side and detector.reads_values else detector.page_fact(pair)
            if fact:
                yield fact
