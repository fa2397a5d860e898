-- Tokens that a person's turns and summaries have cost, by day (days since 1970-01-01, UTC).
CREATE TABLE usage (
    user_id       uuid   NOT NULL REFERENCES users (user_id) ON DELETE CASCADE,
    day           bigint NOT NULL,
    input_tokens  bigint NOT NULL,
    output_tokens bigint NOT NULL,
    PRIMARY KEY (user_id, day)
)
-- Each turn of a person rewrites the row of the day; see steps.
WITH (fillfactor = 80);

-- What the model read for the step, once that was charged to its person.
ALTER TABLE steps ADD COLUMN input_tokens bigint;

-- What is left of the steps up to this place for the model, when they no longer fit.
ALTER TABLE sessions ADD COLUMN summary text;
ALTER TABLE sessions ADD COLUMN summary_until bigint NOT NULL DEFAULT 0;
