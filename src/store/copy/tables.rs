//! What is copied: every table of the schema and every column of it.
//!
//! Owns [`TABLES`]. Called by the engine and by both backends, which build their statements from it.
//! Invariants: a table stands after those it refers to; the key of a table is its first columns, and
//! both backends sort it by its bytes, or by its number. A test compares the list with what the
//! migrations of both backends make.

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A UUID.
    Id,
    /// A whole number of 64 bits; also a time.
    Integer,
    /// UTF-8.
    Text,
}

/// A column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
}

/// A table.
#[derive(Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// How many of the columns, from the first, are the key.
    pub key: usize,
    /// All of its columns.
    pub columns: &'static [Column],
}

const fn id(name: &'static str) -> Column {
    Column {
        name,
        kind: Kind::Id,
    }
}

const fn integer(name: &'static str) -> Column {
    Column {
        name,
        kind: Kind::Integer,
    }
}

const fn text(name: &'static str) -> Column {
    Column {
        name,
        kind: Kind::Text,
    }
}

/// The table of this name.
pub fn named(name: &str) -> Option<&'static Table> {
    TABLES.iter().find(|table| table.name == name)
}

/// The columns of `steps`; later versions have added theirs at the end.
pub(super) const STEPS: &[Column] = &[
    id("step_id"),
    id("session_id"),
    integer("step_order"),
    text("step_type"),
    text("user_input"),
    text("gpt_response"),
    text("status"),
    text("finish_reason"),
    text("message_id"),
    text("model"),
    text("prompt_version"),
    integer("output_tokens"),
    integer("lease_until"),
    integer("created_at"),
    integer("finished_at"),
    integer("input_tokens"),
    text("emotion"),
    text("correction"),
    text("safety_tier"),
];

/// All tables, in an order in which they can be filled.
pub const TABLES: &[Table] = &[
    Table {
        name: "meta",
        key: 1,
        columns: &[text("name"), text("value")],
    },
    Table {
        name: "users",
        key: 1,
        columns: &[
            id("user_id"),
            text("name"),
            text("email"),
            text("password_hash"),
            integer("token_epoch"),
            integer("disabled_at"),
            integer("created_at"),
            text("role"),
        ],
    },
    Table {
        name: "keyring",
        key: 1,
        columns: &[id("user_id"), text("master"), text("wrapped")],
    },
    Table {
        name: "logins",
        key: 1,
        columns: &[
            id("login_id"),
            id("user_id"),
            integer("epoch"),
            text("refresh_hash"),
            text("previous_hash"),
            integer("rotated_at"),
            integer("created_at"),
            integer("expires_at"),
            integer("revoked_at"),
        ],
    },
    Table {
        name: "tickets",
        key: 1,
        columns: &[
            text("ticket_hash"),
            id("user_id"),
            id("login_id"),
            integer("epoch"),
            text("origin"),
            integer("token_expires_at"),
            integer("expires_at"),
        ],
    },
    Table {
        name: "recoveries",
        key: 1,
        columns: &[id("user_id"), text("code_hash"), integer("expires_at")],
    },
    Table {
        name: "invites",
        key: 1,
        columns: &[
            text("code_hash"),
            integer("created_at"),
            integer("expires_at"),
        ],
    },
    Table {
        name: "revocations",
        key: 1,
        columns: &[id("user_id"), integer("revoked_at")],
    },
    Table {
        name: "sessions",
        key: 1,
        columns: &[
            id("session_id"),
            id("user_id"),
            text("emotion_label"),
            text("topic"),
            text("trigger_summary"),
            text("insight_summary"),
            text("insight_tag"),
            integer("started_at"),
            integer("ended_at"),
            text("summary"),
            integer("summary_until"),
            integer("forgotten_at"),
        ],
    },
    Table {
        name: "steps",
        key: 1,
        columns: STEPS,
    },
    Table {
        name: "cards",
        key: 1,
        columns: &[
            id("session_id"),
            text("body"),
            text("quotes"),
            integer("filled"),
            integer("made_at"),
        ],
    },
    Table {
        name: "usage",
        key: 2,
        columns: &[
            id("user_id"),
            integer("day"),
            integer("input_tokens"),
            integer("output_tokens"),
        ],
    },
    Table {
        name: "accesses",
        key: 1,
        columns: &[
            id("access_id"),
            id("user_id"),
            id("session_id"),
            text("read_by"),
            text("reason"),
            integer("at"),
        ],
    },
    Table {
        name: "prompts",
        key: 2,
        columns: &[
            text("name"),
            integer("version"),
            id("user_id"),
            text("body"),
            integer("created_at"),
        ],
    },
];

impl Table {
    /// The place of a column.
    pub fn index(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// The columns that are not the key.
    pub(in crate::store) fn other_columns(&self) -> &'static [Column] {
        self.columns.get(self.key..).unwrap_or_default()
    }

    /// The names of all columns, with commas between them.
    pub fn names(&self) -> String {
        names(self.columns)
    }

    /// The names of the key's columns, with commas between them.
    pub(in crate::store) fn key_names(&self) -> String {
        names(self.key_columns())
    }

    /// The columns of the key.
    pub(in crate::store) fn key_columns(&self) -> &'static [Column] {
        self.columns.get(..self.key).unwrap_or(self.columns)
    }

    /// A statement that gives at most `limit` rows by key, those after the key that is its parameters,
    /// which `mark` and a number name (`?1`, `$1`).
    pub(in crate::store) fn page(&self, mark: char, after: bool, limit: u32) -> String {
        let (columns, key, table) = (self.names(), self.key_names(), self.name);
        let after = if after {
            let marks: Vec<String> = (1..=self.key).map(|n| format!("{mark}{n}")).collect();
            format!("WHERE ({key}) > ({})", marks.join(", "))
        } else {
            String::new()
        };
        format!("SELECT {columns} FROM {table} {after} ORDER BY {key} LIMIT {limit}")
    }

    /// A statement that counts its rows.
    pub(in crate::store) fn count(&self) -> String {
        format!("SELECT count(*) FROM {}", self.name)
    }

    /// A statement that tells whether it has a row.
    pub(in crate::store) fn filled(&self) -> String {
        format!("SELECT EXISTS (SELECT 1 FROM {})", self.name)
    }
}

fn names(columns: &[Column]) -> String {
    let names: Vec<&str> = columns.iter().map(|column| column.name).collect();
    names.join(", ")
}
