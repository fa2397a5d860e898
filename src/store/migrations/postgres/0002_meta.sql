-- What is known of the database as a whole. 'keys': the fingerprint of the keys that its servers share.
CREATE TABLE meta (
    name  text COLLATE "C" NOT NULL PRIMARY KEY,
    value text NOT NULL
);
