"""The sliced radio access network: a stand-in for the physical network of Zhang et al. and Hua et al."""

from gentwin.networks.slicing.network import SlicingNetwork, allocation_grid, slicing_schema
from gentwin.networks.slicing.parameters import PRESETS, SliceParameters, SlicingParameters, slicing_parameters

__all__ = [
    "PRESETS",
    "SliceParameters",
    "SlicingNetwork",
    "SlicingParameters",
    "allocation_grid",
    "slicing_parameters",
    "slicing_schema",
]
