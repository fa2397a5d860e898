-- What is made of a person's words, sealed like them: what the classifier read in them, what the person says
-- that they felt instead, and the tier of the safety gate. Steps from before have none.
ALTER TABLE steps ADD COLUMN emotion text;
ALTER TABLE steps ADD COLUMN correction text;
ALTER TABLE steps ADD COLUMN safety_tier text;

-- A conversation on one page.
CREATE TABLE cards (
    session_id uuid   NOT NULL PRIMARY KEY REFERENCES sessions (session_id) ON DELETE CASCADE,
    -- Sealed, as are the quotes, which are the person's words and are forgotten with them.
    body       text   NOT NULL,
    quotes     text,
    -- Which labels of the session it has filled: bit 0 is emotion_label, then in the order of the columns.
    filled     bigint NOT NULL,
    made_at    bigint NOT NULL
);
