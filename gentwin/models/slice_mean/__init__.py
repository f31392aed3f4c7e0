"""Twin of slice dynamics that predicts means, as published."""

from gentwin.models.slice_mean.configuration_slice_mean import SliceMeanTwinConfig
from gentwin.models.slice_mean.modeling_slice_mean import SliceMeanTwinModel

__all__ = ["SliceMeanTwinConfig", "SliceMeanTwinModel"]
