-- Times are microseconds since the epoch, UTC. Ids are UUIDs as 16 bytes.

CREATE TABLE users (
    user_id       BLOB    NOT NULL PRIMARY KEY CHECK (length(user_id) = 16),
    name          TEXT    NOT NULL,
    -- In its comparable form, so that UNIQUE ignores case.
    email         TEXT    NOT NULL UNIQUE,
    password_hash TEXT    NOT NULL,
    token_epoch   INTEGER NOT NULL DEFAULT 0,
    disabled_at   INTEGER,
    created_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX users_by_creation ON users (created_at, user_id);

CREATE TABLE sessions (
    session_id      BLOB    NOT NULL PRIMARY KEY CHECK (length(session_id) = 16),
    user_id         BLOB    NOT NULL REFERENCES users (user_id) ON DELETE CASCADE,
    emotion_label   TEXT,
    topic           TEXT,
    trigger_summary TEXT,
    insight_summary TEXT,
    insight_tag     TEXT,
    started_at      INTEGER NOT NULL,
    ended_at        INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_by_user ON sessions (user_id, started_at, session_id);

CREATE TABLE steps (
    step_id        BLOB    NOT NULL PRIMARY KEY CHECK (length(step_id) = 16),
    session_id     BLOB    NOT NULL REFERENCES sessions (session_id) ON DELETE CASCADE,
    step_order     INTEGER NOT NULL CHECK (step_order > 0),
    step_type      TEXT    NOT NULL,
    user_input     TEXT    NOT NULL,
    gpt_response   TEXT    NOT NULL DEFAULT '',
    status         TEXT    NOT NULL CHECK (status IN ('pending', 'complete', 'cancelled', 'interrupted', 'failed')),
    finish_reason  TEXT    CHECK (finish_reason IN ('stop', 'length', 'content_filter')),
    message_id     TEXT,
    model          TEXT,
    prompt_version TEXT,
    output_tokens  INTEGER,
    -- While pending: until when the turn counts as running if nobody extends it.
    lease_until    INTEGER,
    created_at     INTEGER NOT NULL,
    finished_at    INTEGER,
    UNIQUE (session_id, step_order),
    CHECK ((status = 'pending') = (lease_until IS NOT NULL)),
    CHECK ((status = 'pending') = (finished_at IS NULL))
) STRICT;

CREATE UNIQUE INDEX steps_by_message ON steps (session_id, message_id) WHERE message_id IS NOT NULL;
CREATE UNIQUE INDEX one_active_turn ON steps (session_id) WHERE status = 'pending';

CREATE TABLE prompts (
    -- 'ko', 'en' or 'user:<uuid>'.
    name       TEXT    NOT NULL,
    version    INTEGER NOT NULL CHECK (version > 0),
    user_id    BLOB    REFERENCES users (user_id) ON DELETE CASCADE,
    body       TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (name, version)
) STRICT, WITHOUT ROWID;

CREATE INDEX prompts_by_user ON prompts (user_id) WHERE user_id IS NOT NULL;
