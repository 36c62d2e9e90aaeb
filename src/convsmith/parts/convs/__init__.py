"""How a network's convolutions are made."""
