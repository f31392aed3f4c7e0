"""The card of a message twin: what core it twins, on what dialogues, how good it is, and where it ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gentwin.models.modeling_twin import TwinModel
from gentwin.models.signaling.configuration_signaling import SEPARATE
from gentwin.training.model_card import figures_table, front_matter, listed, markdown_table, training_section
from gentwin.training.report import portable_path
from gentwin.training.signaling.arguments import DialogueArguments
from gentwin.training.signaling.corpus import Corpus
from gentwin.training.signaling.evaluation import ALL, Agreement, as_rows

USE = """```python
import gentwin

twin = gentwin.from_pretrained("{name}")
tokenizer = gentwin.SignalingTokenizer.from_pretrained("{name}")
```"""
USE_AS_CORE = """As a core, which takes bytes and gives bytes:

```python
import time

from gentwin.pipelines import CoreTwin, Packet

core = CoreTwin.from_pretrained("{name}", subscribers="subscribers.yaml")
packets = core.start(time.time())  # to the user plane
packets += core.hear([Packet("ngap", "127.0.2.1:41621", data)], time.time())  # data: what a base station sent
```

```bash
gentwin talk {name}          # play base station and UE
gentwin serve-core {name}    # for base stations and UEs over SCTP or TCP
```"""
LIMITATIONS = (
    "It says what the core of its dialogues says. Another core, or another configuration of this one, says other "
    "things; adapt it with `recipes/signaling_transfer.yaml`.",
    "It chooses messages and elements; identifiers, keys and counts are filled in by the resolver, which needs the"
    " subscribers and the configuration of the network.",
    "What is seldom in the dialogues is seldom right: see the table of messages.",
    "It is no core for subscribers: nothing of it is certified, and its keys are those of tests.",
)
HEADER = ("", "messages", "exact (%)", "tokens right (%)")


def write_signaling_card(
    folder: str | Path,
    twin: TwinModel,
    corpus: Corpus,
    data: DialogueArguments,
    scores: Mapping[str, Agreement],
    figures: Mapping[str, float],
    siblings: Sequence[Mapping[str, float]],
    run: Mapping[str, Any],
    captions: Mapping[str, str],
    warnings: Sequence[str] = (),
) -> Path:
    """Writes `README.md` beside the checkpoint.

    Args:
        folder: Output folder.
        twin: The trained twin.
        corpus: The dialogues.
        data: Which dialogues.
        scores: Agreement by part of the dialogues.
        figures: Headline numbers.
        siblings: Headline numbers of runs that differ in the seed only.
        run: `command`, `training_s`, `hardware`, `versions` and `seed`.
        captions: Of the plots, by path relative to the folder.
        warnings: What a user must be warned of.

    Returns:
        The path of the card.
    """
    name = Path(folder).resolve().name.replace("_", "-")
    sections = (
        front_matter("5g-core", "signaling", twin.config.model_type),
        f"# {name}\n\n{_summary(twin)}",
        *([f"> **Warning.** {' '.join(warnings)}"] if warnings else []),
        f"## Use\n\n{_usage(twin, corpus, portable_path(folder))}",
        f"## Data\n\n{_data(corpus, data)}",
        f"## Training\n\n{training_section(run)}",
        f"## Results\n\n{_results(scores, figures, siblings)}",
        "\n\n".join(f"![{caption}]({path})\n\n*{caption}*" for path, caption in captions.items()),
        "## Limitations\n\n" + "\n".join(f"- {text}" for text in LIMITATIONS),
    )
    path = Path(folder) / "README.md"
    path.write_text("\n\n".join(sections) + "\n", encoding="utf-8")
    return path


def _usage(twin: TwinModel, corpus: Corpus, name: str) -> str:
    """Returns how a twin is loaded, and, if it speaks messages in a context for each UE, how it serves as a core."""
    is_core = twin.config.view == SEPARATE and corpus.pairs is None
    parts = (USE, USE_AS_CORE) if is_core else (USE,)
    return "\n\n".join(part.format(name=name) for part in parts)


def _summary(twin: TwinModel) -> str:
    size = sum(parameter.numel() for parameter in twin.parameters())
    protocols = ", ".join(name.upper() for name in twin.config.protocols)
    return (
        f"A generative twin of the control plane of a 5G core: after what a base station, a UE or a user plane says "
        f"({protocols}), it says what the core says. `{type(twin).__name__}`, {size:,} parameters, "
        f"{twin.config.vocab_size:,} tokens, vocabulary `{twin.config.vocabulary_version}`."
    )


def _data(corpus: Corpus, data: DialogueArguments) -> str:
    rows = [
        [part, f"{count['dialogues']:,}", f"{count['tokens']:,}", listed(dict.fromkeys(_of(corpus, part)))]
        for part, count in corpus.describe().items()
    ]
    captures = f"Captures below `{portable_path(data.captures)}`, and runs" if data.captures else "Runs"
    return (
        f"{captures} of the reference core, called by name and seed; fingerprint (SHA-256) "
        f"`{corpus.fingerprint}`. Validation chose the checkpoint; the test was used for nothing but the results. "
        "Of a synthesis that is in both, half of the dialogues are in each.\n\n"
        + markdown_table(["part", "dialogues", "tokens", "sources"], rows)
    )


def _of(corpus: Corpus, part: str) -> list[str]:
    dialogues = getattr(corpus, part)
    return [dialogues.sources[place] for place in sorted(set(dialogues.source.tolist()))]


def _results(
    scores: Mapping[str, Agreement], figures: Mapping[str, float], siblings: Sequence[Mapping[str, float]]
) -> str:
    test = scores["test"]
    sources = {name: tally for name, tally in test.sources.items() if name != ALL}
    by_count = dict(sorted(test.messages.items(), key=lambda entry: -entry[1].messages))
    return (
        "What the twin would say beside what was said, each token after the true ones before it, without a grammar. A "
        "message is exact if all its tokens are; `<wait>` is silence at the end of a turn.\n\n"
        f"{figures_table(figures, siblings)}\n\n"
        f"{markdown_table(('test', *HEADER[1:]), as_rows(sources))}\n\n"
        f"{markdown_table(('message of the test', *HEADER[1:]), as_rows(by_count))}"
    )
