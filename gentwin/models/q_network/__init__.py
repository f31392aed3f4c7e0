"""Q-networks of agents."""

from gentwin.models.q_network.configuration_q_network import QNetworkConfig
from gentwin.models.q_network.modeling_q_network import QNetworkModel

__all__ = ["QNetworkConfig", "QNetworkModel"]
