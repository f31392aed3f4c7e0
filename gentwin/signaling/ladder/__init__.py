"""What happened in signaling, as people look at it: ladders of one UE, procedures with their outcome, a summary.

```python
>>> from gentwin.signaling.core import SynthesisConfiguration, synthesize
>>> from gentwin.signaling.contexts import dialogues
>>> records = synthesize(SynthesisConfiguration(ues=1, duration=5.0), seed=7)
>>> ue = next(dialogue for dialogue in dialogues(records) if dialogue.context.kind == "ue")
>>> [(entry.kind.name, entry.outcome) for entry in find_procedures(ue.records)][:2]
[('Initial registration', 'completed'), ('Primary authentication', 'completed')]
>>> make_ladder(ue.records).steps[0].label
'InitialUEMessage / RegistrationRequest'
```

Everything here takes records, be they of a capture or of a core that runs, and has no output of its own:
[`draw_text`][gentwin.signaling.ladder.text.draw_text] returns lines, and
[`draw_ladder`][gentwin.charts.ladder.draw_ladder] makes a picture.
"""

from gentwin.signaling.ladder.causes import Cause, causes_of, refuses
from gentwin.signaling.ladder.parts import parts
from gentwin.signaling.ladder.procedures import (
    CIPHERED,
    COMPLETED,
    KINDS,
    REJECTED,
    UNANSWERED,
    Kind,
    Procedure,
    find_procedures,
)
from gentwin.signaling.ladder.steps import TONES, Actor, Ladder, Step, make_ladder
from gentwin.signaling.ladder.summary import ContextSummary, KindSummary, Summariser, Summary, summarise
from gentwin.signaling.ladder.text import Span, draw_text

__all__ = [
    "CIPHERED",
    "COMPLETED",
    "KINDS",
    "REJECTED",
    "TONES",
    "UNANSWERED",
    "Actor",
    "Cause",
    "ContextSummary",
    "Kind",
    "KindSummary",
    "Ladder",
    "Procedure",
    "Span",
    "Step",
    "Summariser",
    "Summary",
    "causes_of",
    "draw_text",
    "find_procedures",
    "make_ladder",
    "parts",
    "refuses",
    "summarise",
]
