-- Who read a person's words past their login, and why: theirs to see.
CREATE TABLE accesses (
    access_id  BLOB    NOT NULL PRIMARY KEY CHECK (length(access_id) = 16),
    user_id    BLOB    NOT NULL REFERENCES users (user_id) ON DELETE CASCADE,
    -- None for everything there is. The session may be gone by now.
    session_id BLOB,
    -- The name of an account on the server's machine.
    read_by    TEXT    NOT NULL,
    -- Sealed, like what was read.
    reason     TEXT    NOT NULL,
    at         INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX accesses_by_user ON accesses (user_id, at, access_id);
CREATE INDEX accesses_by_time ON accesses (at);

-- When what was said in a session was forgotten, by the configured time that it is kept.
ALTER TABLE sessions ADD COLUMN forgotten_at INTEGER;

CREATE INDEX sessions_by_start ON sessions (started_at);
CREATE INDEX sessions_with_words ON sessions (started_at) WHERE forgotten_at IS NULL;
