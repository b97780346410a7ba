-- What nodes logged of attempts that brought a picture, too.
ALTER TABLE attempts DROP CONSTRAINT attempts_outcome_check;
ALTER TABLE attempts ADD CONSTRAINT attempts_outcome_check
    CHECK (outcome IN ('done', 'failed', 'refused', 'lost', 'stuck', 'released'));

-- The trace that a grid was submitted in, as W3C has it; empty: in none.
ALTER TABLE specs ADD COLUMN trace_parent TEXT NOT NULL DEFAULT '';
