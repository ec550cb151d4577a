"""All mutants of the product: each breaks one rule, and the simulation has to notice."""

from tests.simulation import mutants_cache, mutants_store

MUTANTS = (*mutants_cache.MUTANTS, *mutants_store.MUTANTS)
