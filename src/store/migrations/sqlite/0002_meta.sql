-- What is known of the database as a whole. 'keys': the fingerprint of the keys that its servers share.
CREATE TABLE meta (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
