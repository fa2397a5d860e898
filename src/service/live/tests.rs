//! Readers that come, go and come back.

use super::*;
use crate::wire::ws::Notice;
use proptest::prelude::*;

fn turn() -> Arc<LiveTurn> {
    Arc::new(LiveTurn::new(
        Started {
            step_id: StepId(uuid::Uuid::nil()),
            session_id: SessionId(uuid::Uuid::nil()),
            user_id: UserId(uuid::Uuid::nil()),
            step_order: 1,
            message_id: None,
            user_input: "u".into(),
            created_at: Timestamp::from_micros(0),
        },
        false,
    ))
}

fn notice(code: &str) -> ServerFrame {
    ServerFrame::Notice {
        notice: Notice {
            code: code.into(),
            message: String::new(),
        },
    }
}

fn drain(cursor: &mut Cursor, text: &mut String) -> Vec<ServerFrame> {
    let mut frames = Vec::new();
    while let Some(next) = cursor.read() {
        match next {
            Next::Token(json) => match ServerFrame::parse(&json) {
                Some(ServerFrame::Token { token }) => text.push_str(&token),
                other => panic!("{other:?}"),
            },
            Next::Frame(frame) | Next::End(frame) => frames.push(frame),
        }
    }
    frames
}

#[test]
fn frames_keep_their_place_between_tokens() {
    let turn = turn();
    turn.tell(notice("first"));
    turn.say("가");
    turn.say("나");
    turn.tell(notice("middle"));
    turn.say("다");
    turn.end(notice("end"));
    turn.end(notice("second end"));
    let mut cursor = Cursor::new(turn);
    let mut seen = Vec::new();
    while let Some(next) = cursor.read() {
        seen.push(next);
    }
    assert_eq!(
        seen,
        [
            Next::Frame(notice("first")),
            Next::Token(r#"{"token":"가나"}"#.into()),
            Next::Frame(notice("middle")),
            Next::Token(r#"{"token":"다"}"#.into()),
            Next::End(notice("end")),
        ]
    );
}

proptest! {
    /// For every way of coming piece by piece, every place to leave and every place to come
    /// back to, the reader's text is the stored text.
    #[test]
    fn a_reader_that_leaves_and_comes_back_has_the_whole_text(
        pieces in prop::collection::vec("[a가ㅋ👩‍👩‍👧 \"\\n]{0,5}", 0..12),
        reads in prop::collection::vec(any::<bool>(), 12),
        leave in 0usize..13,
    ) {
        let turn = turn();
        let mut text = String::new();
        let mut cursor = Cursor::new(Arc::clone(&turn));
        for (n, piece) in pieces.iter().enumerate() {
            if n == leave {
                let (again, from) = Cursor::after(Arc::clone(&turn), text.chars().count() as u64);
                prop_assert_eq!(from, text.chars().count() as u64);
                cursor = again;
            }
            turn.say(piece);
            if reads[n] {
                drain(&mut cursor, &mut text);
            }
        }
        turn.end(notice("end"));
        let frames = drain(&mut cursor, &mut text);
        prop_assert_eq!(frames, vec![notice("end")]);
        prop_assert_eq!(text, pieces.concat());
    }

    #[test]
    fn a_reader_that_claims_too_much_starts_again(pieces in "[가a]{0,8}", more in 1u64..9) {
        let turn = turn();
        turn.say(&pieces);
        let (mut cursor, from) = Cursor::after(Arc::clone(&turn), pieces.chars().count() as u64 + more);
        let mut text = String::new();
        drain(&mut cursor, &mut text);
        prop_assert_eq!((from, text), (0, pieces));
    }
}

fn placed(step_order: i64) -> Started {
    Started {
        step_id: StepId(uuid::Uuid::from_u128(step_order.unsigned_abs().into())),
        session_id: SessionId(uuid::Uuid::nil()),
        user_id: UserId(uuid::Uuid::nil()),
        step_order,
        message_id: None,
        user_input: "u".into(),
        created_at: Timestamp::from_micros(0),
    }
}

/// Who looks into the database may come back with what is over by then.
#[test]
fn a_copy_of_an_older_turn_replaces_nothing() {
    let sessions = sessions::Sessions::default();
    let here = sessions.start(placed(5));
    let (older, new) = sessions.copy(placed(4), "그랬", None, false).unwrap();
    assert!(new && older.elsewhere && older.text() == "그랬");
    let running = sessions.running(here.session_id).unwrap();
    assert!(Arc::ptr_eq(&running, &here));
    assert!(sessions.copy(placed(3), "", None, true).is_none());
    sessions.finish(&older, notice("end"));
    let running = sessions.running(here.session_id).unwrap();
    assert!(Arc::ptr_eq(&running, &here));
}

/// A copy that was made for one reader is the others' turn, too, whether its news come or not.
#[test]
fn a_copy_is_told_to_everybody_once() {
    for news_come in [true, false] {
        let sessions = sessions::Sessions::default();
        let session_id = placed(1).session_id;
        let mut idle = sessions.subscribe(UserId(uuid::Uuid::nil()), session_id);
        let (copy, _) = sessions.copy(placed(1), "", None, false).unwrap();
        assert!(idle.try_recv().is_err());
        if news_come {
            assert!(!sessions.copy(placed(1), "", None, true).unwrap().1);
        }
        sessions.finish(&copy, notice("end"));
        assert!(Arc::ptr_eq(&idle.try_recv().unwrap(), &copy));
        assert!(sessions.copy(placed(1), "", None, true).is_none());
        assert!(idle.try_recv().is_err());
    }
}
