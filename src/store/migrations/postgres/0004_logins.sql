ALTER TABLE users ADD COLUMN role text NOT NULL DEFAULT 'user' CHECK (role IN ('user', 'admin'));

-- What access tokens hang on. One counts as long as it is of its account's token_epoch. Hashes are SHA-256 in
-- hex digits; what they are of is nowhere in the database.
CREATE TABLE logins (
    login_id      uuid   NOT NULL PRIMARY KEY,
    user_id       uuid   NOT NULL REFERENCES users (user_id) ON DELETE CASCADE,
    epoch         bigint NOT NULL,
    -- Of the refresh token; none where the login lasts as long as its access token.
    refresh_hash  text,
    -- Of the one before, and when it was replaced.
    previous_hash text,
    rotated_at    bigint,
    created_at    bigint NOT NULL,
    expires_at    bigint NOT NULL,
    revoked_at    bigint
)
-- Refreshing rewrites the row; see steps.
WITH (fillfactor = 80);

CREATE INDEX logins_by_user ON logins (user_id, created_at, login_id);
CREATE INDEX logins_by_expiry ON logins (expires_at);

-- Credentials for one handshake each. A row lives for 30 s.
CREATE TABLE tickets (
    ticket_hash      text COLLATE "C" NOT NULL PRIMARY KEY,
    user_id          uuid   NOT NULL REFERENCES users (user_id) ON DELETE CASCADE,
    login_id         uuid   NOT NULL,
    epoch            bigint NOT NULL,
    -- Of the page that asked for it; none for a client that is no browser.
    origin           text,
    token_expires_at bigint NOT NULL,
    expires_at       bigint NOT NULL
);

CREATE INDEX tickets_by_expiry ON tickets (expires_at);

-- Codes by which people who forgot their password get a new one; one a person.
CREATE TABLE recoveries (
    user_id    uuid   NOT NULL PRIMARY KEY REFERENCES users (user_id) ON DELETE CASCADE,
    code_hash  text   NOT NULL,
    expires_at bigint NOT NULL
);

-- Codes that let somebody make an account.
CREATE TABLE invites (
    code_hash  text COLLATE "C" NOT NULL PRIMARY KEY,
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL
);

-- Whose tokens became void lately, for the servers that cannot be told by who did it. Also of people who are
-- deleted, so there is no reference. A row lives for minutes.
CREATE TABLE revocations (
    user_id    uuid   NOT NULL PRIMARY KEY,
    revoked_at bigint NOT NULL
);
