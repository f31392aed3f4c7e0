"""Q-networks of agents."""

from gentwin.models.q_network.configuration_q_network import QNetworkConfig
from gentwin.models.q_network.modeling_q_network import QNetworkModel, allowed_values

__all__ = ["QNetworkConfig", "QNetworkModel", "allowed_values"]
