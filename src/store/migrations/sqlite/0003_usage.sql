-- Tokens that a person's turns and summaries have cost, by day (days since 1970-01-01, UTC).
CREATE TABLE usage (
    user_id       BLOB    NOT NULL REFERENCES users (user_id) ON DELETE CASCADE,
    day           INTEGER NOT NULL,
    input_tokens  INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    PRIMARY KEY (user_id, day)
) STRICT, WITHOUT ROWID;

-- What the model read for the step, once that was charged to its person.
ALTER TABLE steps ADD COLUMN input_tokens INTEGER;

-- What is left of the steps up to this place for the model, when they no longer fit.
ALTER TABLE sessions ADD COLUMN summary TEXT;
ALTER TABLE sessions ADD COLUMN summary_until INTEGER NOT NULL DEFAULT 0;
