"""The job: plan, synthesize, load, compare and refresh the mirror of one or more databases."""
