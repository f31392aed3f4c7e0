"""Attention twin of slice dynamics."""

from gentwin.models.slice_transformer.configuration_slice_transformer import SliceTransformerTwinConfig
from gentwin.models.slice_transformer.modeling_slice_transformer import SliceTransformerTwinModel

__all__ = ["SliceTransformerTwinConfig", "SliceTransformerTwinModel"]
