"""Mirror's own memory: which runs there were, what they wrote where, and who is writing now."""

from mirror.catalog.catalog import Booking, Catalog, location
from mirror.catalog.records import BusyError, Outcome, RunRecord, RunSource, RunTarget

__all__ = ["Booking", "BusyError", "Catalog", "Outcome", "RunRecord", "RunSource", "RunTarget", "location"]
