"""One engine for every search by mutation, what it may aim at, and what is best where there are several aims."""

from .evolve import Generation, Scored, Select, best, evolve, nsga2
from .pareto import crowding, dominates, front, ranks
from .reward import reward

__all__ = [
    "Generation",
    "Scored",
    "Select",
    "best",
    "crowding",
    "dominates",
    "evolve",
    "front",
    "nsga2",
    "ranks",
    "reward",
]
