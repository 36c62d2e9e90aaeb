"""One engine for every search by mutation, what it may aim at, and what is best where there are several aims."""

from .evolve import Generation, Parent, Scored, Select, best, evolve, nsga2, tournament, uniform, youngest
from .pareto import crowding, dominates, front, ranks
from .reward import reward

__all__ = [
    "Generation",
    "Parent",
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
    "tournament",
    "uniform",
    "youngest",
]
