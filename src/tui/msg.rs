//! What goes into the update and what comes out of it.
//!
//! Owns [`Msg`] and [`Effect`]. Invariant: between them they are all that the terminal client has
//! to do with the world; the shell acts on each effect and decides nothing.

use super::Login;
use super::link::{LinkId, Wait};
use crate::client::ClientError;
use crate::domain::{SessionId, Timestamp, UserId};
use crate::wire::insight::FlowBody;
use crate::wire::rest::{Secret, SessionBody, StepBody};
use crate::wire::ws::{ClientFrame, ServerFrame};
use crossterm::event::KeyEvent;

/// Something that happened.
#[derive(Debug)]
pub(super) enum Msg {
    /// It is this late now. Comes before every other message, and once a second.
    Clock(Timestamp),
    /// The terminal has this many columns and rows.
    Resize(u16, u16),
    /// A key was pressed.
    Key(KeyEvent),
    /// A text was pasted.
    Paste(String),
    /// The mouse wheel was turned by so many rows; up is negative.
    Wheel(i32),
    /// A name for a message that is to be sent.
    Named {
        /// The words.
        words: String,
        /// Their name.
        message_id: String,
    },
    /// A login or registration was answered.
    LoggedIn(Result<Login, ClientError>),
    /// A renewal of the login was answered.
    Renewed(Result<Login, ClientError>),
    /// The list of sessions was answered.
    Sessions(Result<Vec<SessionBody>, ClientError>),
    /// The steps of a session were answered.
    Steps(SessionId, Result<Vec<StepBody>, ClientError>),
    /// The flow of a session was answered.
    Flow(SessionId, Result<FlowBody, ClientError>),
    /// The end of a session was answered.
    Ended(SessionId, Result<SessionBody, ClientError>),
    /// Something came of a connection.
    Link(LinkId, LinkEvent),
    /// The process is asked to end.
    Terminate,
}

/// What came of a connection.
#[derive(Debug)]
pub(super) enum LinkEvent {
    /// A frame.
    Frame(ServerFrame),
    /// Something was heard that is no frame this client knows.
    Noise,
    /// It is closed, by this code.
    Closed(u16),
    /// It could not be made.
    Refused(ClientError),
}

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Effect {
    /// Find a name for these words and say it by [`Msg::Named`], before anything else.
    Name(String),
    /// Log in.
    LogIn {
        /// The address.
        email: String,
        /// The password.
        password: Secret,
    },
    /// Make an account and log in.
    Register {
        /// What to be called.
        name: String,
        /// The address.
        email: String,
        /// The password.
        password: Secret,
    },
    /// From now on act as this person, and remember the login.
    Become(Login),
    /// From now on act by this renewed login.
    Go(Login),
    /// Renew the login.
    Renew(Login),
    /// Ask for the sessions.
    ListSessions(UserId),
    /// Ask for the steps of a session.
    LoadSteps(SessionId),
    /// Ask how a session felt.
    LoadFlow(SessionId),
    /// End a session without a socket.
    EndSession(SessionId),
    /// Make a connection in place of the one there is.
    Connect {
        /// Its name.
        link: LinkId,
        /// The session; none begins a new one.
        session_id: Option<SessionId>,
        /// What to wait for first.
        wait: Wait,
    },
    /// Send on the connection.
    Send(ClientFrame),
    /// Close the connection.
    Disconnect,
}
