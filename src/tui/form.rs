//! The form to log in or to make an account.
//!
//! Owns [`Form`]. Called by the update with keys and by the view. Invariant: a password leaves this
//! form only in an [`Effect`], redacted, and is forgotten with the form.

use super::editor::Editor;
use super::msg::Effect;
use super::texts::Texts;
use crate::client::ClientError;
use crate::wire::rest::Secret;

/// What the form is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    LogIn,
    Register,
}

/// A line of the form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Name,
    Email,
    Password,
}

impl Kind {
    /// The fields from top to bottom.
    pub(super) const fn fields(self) -> &'static [Field] {
        match self {
            Self::LogIn => &[Field::Email, Field::Password],
            Self::Register => &[Field::Name, Field::Email, Field::Password],
        }
    }
}

/// The form.
#[derive(Debug)]
pub(super) struct Form {
    pub(super) kind: Kind,
    pub(super) focus: Field,
    name: Editor,
    email: Editor,
    password: Editor,
    /// What is wrong, and where if that is known.
    pub(super) wrong: Option<(Option<Field>, String)>,
    /// Why the person is here, if not from the start.
    pub(super) why: Option<&'static str>,
    /// Whether an answer is awaited.
    pub(super) busy: bool,
}

impl Form {
    pub(super) fn new(why: Option<&'static str>) -> Self {
        Self {
            kind: Kind::LogIn,
            focus: Field::Email,
            name: Editor::default(),
            email: Editor::default(),
            password: Editor::default(),
            wrong: None,
            why,
            busy: false,
        }
    }

    pub(super) const fn field(&self, field: Field) -> &Editor {
        match field {
            Field::Name => &self.name,
            Field::Email => &self.email,
            Field::Password => &self.password,
        }
    }

    /// The field that is typed into.
    pub(super) const fn focused(&mut self) -> &mut Editor {
        match self.focus {
            Field::Name => &mut self.name,
            Field::Email => &mut self.email,
            Field::Password => &mut self.password,
        }
    }

    /// Moves to the field `by` places below, round and round.
    pub(super) fn step(&mut self, by: isize) {
        let fields = self.kind.fields();
        let at = fields.iter().position(|f| *f == self.focus).unwrap_or(0);
        let next = at.cast_signed() + by;
        let count = fields.len().cast_signed();
        let next = next.rem_euclid(count).cast_unsigned();
        self.focus = fields.get(next).copied().unwrap_or(Field::Email);
    }

    /// Changes between logging in and making an account; what is typed stays.
    pub(super) fn switch(&mut self) {
        self.kind = match self.kind {
            Kind::LogIn => Kind::Register,
            Kind::Register => Kind::LogIn,
        };
        self.wrong = None;
        let empty = |field: &&Field| self.field(**field).is_empty();
        let fields = self.kind.fields();
        self.focus = fields
            .iter()
            .find(empty)
            .copied()
            .unwrap_or(Field::Password);
    }

    /// Sends the form off, or shows which field is empty.
    pub(super) fn submit(&mut self, texts: &Texts) -> Option<Effect> {
        if self.busy {
            return None;
        }
        let empty = |field: &&Field| self.field(**field).text().trim().is_empty();
        if let Some(field) = self.kind.fields().iter().find(empty).copied() {
            // Enter on the way down is not an error yet.
            if self.field(self.focus).text().trim().is_empty() || field == self.focus {
                self.wrong = Some((Some(field), texts.fill_in.to_owned()));
            }
            self.focus = field;
            return None;
        }
        self.busy = true;
        self.wrong = None;
        let email = self.email.text().trim().to_owned();
        let password = Secret::from(self.password.text());
        Some(match self.kind {
            Kind::LogIn => Effect::LogIn { email, password },
            Kind::Register => {
                let name = self.name.text().trim().to_owned();
                Effect::Register {
                    name,
                    email,
                    password,
                }
            }
        })
    }

    /// The server did not agree.
    pub(super) fn refused(&mut self, error: &ClientError, texts: &Texts) {
        self.busy = false;
        let field = match error {
            ClientError::Problem(problem) => match (problem.field.as_deref(), &*problem.code) {
                (Some("name"), _) => Some(Field::Name),
                (Some("email"), _) | (_, "email_taken") => Some(Field::Email),
                (Some("password"), _) | (_, "wrong_credentials") => Some(Field::Password),
                _ => None,
            },
            _ => None,
        };
        if let Some(field) = field.filter(|field| self.kind.fields().contains(field)) {
            self.focus = field;
        }
        // The field is named by where the text stands.
        let said = match error {
            ClientError::Problem(problem) => {
                texts.error(&problem.code, problem.field.as_deref(), &problem.detail)
            }
            other => texts.call(other),
        };
        self.wrong = Some((field, said));
    }
}
