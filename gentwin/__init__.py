"""Generative twins of networks.

```python
import gentwin

twin = gentwin.from_pretrained("gentwin/slice-lstm-dynamic")
```

Names load on first use: `import gentwin` imports neither torch nor transformers. It makes the environments known to
`gymnasium.make`, whichever of the two is imported first.
"""

from importlib import import_module
from typing import Any

from gentwin.gymnasium_hook import register_on_import

__version__ = "0.1.0"

_HOME = {
    "Field": "gentwin.schema",
    "PolicyTwinConfig": "gentwin.models",
    "PolicyTwinModel": "gentwin.models",
    "QNetworkConfig": "gentwin.models",
    "QNetworkModel": "gentwin.models",
    "SignalingLstmTwinConfig": "gentwin.models",
    "SignalingLstmTwinForCausalLM": "gentwin.models",
    "SignalingTokenizer": "gentwin.models",
    "SignalingTwinConfig": "gentwin.models",
    "SignalingTwinForCausalLM": "gentwin.models",
    "SliceLstmTwinConfig": "gentwin.models",
    "SliceLstmTwinModel": "gentwin.models",
    "SliceMeanTwinConfig": "gentwin.models",
    "SliceMeanTwinModel": "gentwin.models",
    "SliceTransformerTwinConfig": "gentwin.models",
    "SliceTransformerTwinModel": "gentwin.models",
    "TransitionSchema": "gentwin.schema",
    "TwinConfig": "gentwin.models",
    "TwinModel": "gentwin.models",
    "checkpoint_path": "gentwin.hub",
    "from_pretrained": "gentwin.models",
    "list_checkpoints": "gentwin.hub",
}
__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'gentwin' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})


register_on_import()
