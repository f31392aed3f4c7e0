"""Recurrent twin of slice dynamics."""

from gentwin.models.slice_lstm.configuration_slice_lstm import SliceLstmTwinConfig
from gentwin.models.slice_lstm.modeling_slice_lstm import SliceLstmTwinModel

__all__ = ["SliceLstmTwinConfig", "SliceLstmTwinModel"]
