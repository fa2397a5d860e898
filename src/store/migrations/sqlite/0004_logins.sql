ALTER TABLE users ADD COLUMN role TEXT NOT NULL DEFAULT 'user' CHECK (role IN ('user', 'admin'));

-- What access tokens hang on. One counts as long as it is of its account's token_epoch. Hashes are SHA-256 in
-- hex digits; what they are of is nowhere in the database.
CREATE TABLE logins (
    login_id      BLOB    NOT NULL PRIMARY KEY CHECK (length(login_id) = 16),
    user_id       BLOB    NOT NULL REFERENCES users (user_id) ON DELETE CASCADE,
    epoch         INTEGER NOT NULL,
    -- Of the refresh token; none where the login lasts as long as its access token.
    refresh_hash  TEXT,
    -- Of the one before, and when it was replaced.
    previous_hash TEXT,
    rotated_at    INTEGER,
    created_at    INTEGER NOT NULL,
    expires_at    INTEGER NOT NULL,
    revoked_at    INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX logins_by_user ON logins (user_id, created_at, login_id);
CREATE INDEX logins_by_expiry ON logins (expires_at);

-- Credentials for one handshake each. A row lives for 30 s.
CREATE TABLE tickets (
    ticket_hash      TEXT    NOT NULL PRIMARY KEY,
    user_id          BLOB    NOT NULL REFERENCES users (user_id) ON DELETE CASCADE,
    login_id         BLOB    NOT NULL,
    epoch            INTEGER NOT NULL,
    -- Of the page that asked for it; none for a client that is no browser.
    origin           TEXT,
    token_expires_at INTEGER NOT NULL,
    expires_at       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX tickets_by_expiry ON tickets (expires_at);

-- Codes by which people who forgot their password get a new one; one a person.
CREATE TABLE recoveries (
    user_id    BLOB    NOT NULL PRIMARY KEY REFERENCES users (user_id) ON DELETE CASCADE,
    code_hash  TEXT    NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Codes that let somebody make an account.
CREATE TABLE invites (
    code_hash  TEXT    NOT NULL PRIMARY KEY,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Whose tokens became void lately, for the servers that cannot be told by who did it. Also of people who are
-- deleted, so there is no reference. A row lives for minutes.
CREATE TABLE revocations (
    user_id    BLOB    NOT NULL PRIMARY KEY CHECK (length(user_id) = 16),
    revoked_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
