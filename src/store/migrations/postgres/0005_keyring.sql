-- The key that seals what a person says and hears, itself sealed by a master key, which is never in here.
-- Without its row nothing of what they said can be read, in no copy of the database either.
CREATE TABLE keyring (
    user_id    uuid NOT NULL PRIMARY KEY REFERENCES users (user_id) ON DELETE CASCADE,
    master     text COLLATE "C" NOT NULL,
    wrapped    text NOT NULL
);

-- From here on the words in sessions, steps and personal prompts are sealed. Those of before are sealed
-- next ('words'), then what is left of them in the files is given back ('traces'), then the row goes.
INSERT INTO meta (name, value) SELECT 'unsealed', 'words' WHERE EXISTS (SELECT 1 FROM users);
