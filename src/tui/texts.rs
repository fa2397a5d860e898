//! What the terminal says, in Korean and in English.
//!
//! Owns [`Texts`] and its two editions. Called by the update and the view. Invariant: both editions
//! have every text, as the compiler sees to; a server's code that has no text here is shown in the
//! server's own words.

use super::text::clean_line;
use crate::client::ClientError;
use crate::domain::prompt::Language;
use crate::domain::step::{FinishReason, StepStatus};
use crate::wire::ws::{NOTICE_DRAINING, NOTICE_TRIMMED, Notice};

macro_rules! texts {
    ($($name:ident: $korean:literal, $english:literal;)*) => {
        /// One edition.
        #[derive(Debug)]
        pub(super) struct Texts {
            pub(super) language: Language,
            $(pub(super) $name: &'static str,)*
        }

        static KOREAN: Texts = Texts { language: Language::Korean, $($name: $korean,)* };
        static ENGLISH: Texts = Texts { language: Language::English, $($name: $english,)* };
    };
}

texts! {
    log_in: "로그인", "Log in";
    register: "계정 만들기", "Create an account";
    name: "이름", "Name";
    email: "메일 주소", "E-mail";
    password: "비밀번호", "Password";
    password_rule: "비밀번호 (10자 이상)", "Password (10 characters or more)";
    form_keys: "Tab 다음 칸 · Enter 확인 · Ctrl+Q 끝내기", "Tab next · Enter submit · Ctrl+Q quit";
    to_register: "F2 처음이에요: 계정 만들기", "F2 New here: create an account";
    to_log_in: "F2 계정이 있어요: 로그인", "F2 I have an account: log in";
    fill_in: "적어 주세요", "Please fill this in";
    one_moment: "잠시만요…", "One moment…";
    logged_out: "로그인이 만료되었어요. 다시 로그인하면 이어서 할 수 있어요.", "Your login is no longer valid. Log in again to go on.";
    sessions: "대화 목록", "Conversations";
    new_session: "＋ 새 대화", "+ New conversation";
    no_sessions: "아직 대화가 없어요. Enter를 누르면 시작해요.", "No conversations yet. Press Enter to begin.";
    session_open: "진행 중", "open";
    session_ended: "마침", "ended";
    sessions_keys: "Enter 열기 · n 새 대화 · e 마치기 · r 새로 고침 · f 흐름 · l 다른 계정 · F1 도움말", "Enter open · n new · e end · r reload · f feelings · l other account · F1 help";
    session_gone: "그 대화를 찾을 수 없어요.", "That conversation does not exist.";
    ask_end: "이 대화를 마칠까요? 마친 대화는 읽을 수만 있어요.", "End this conversation? Afterwards it can only be read.";
    ask_end_keys: "Enter 마치기 · Esc 아니요", "Enter end it · Esc keep it";
    you: "나", "You";
    help: "도움말", "Help";
    help_hint: "F1 도움말 · F2 목록", "F1 help · F2 list";
    write_here: "지금 마음을 적어 보세요", "What is on your mind?";
    begin: "무슨 일이든 편하게 이야기해 주세요.", "Say whatever is on your mind.";
    read_only: "마친 대화예요. F3을 누르면 새 대화를 시작해요.", "This conversation has ended. F3 begins a new one.";
    loading: "불러오는 중…", "Loading…";
    sending: "보내는 중…", "sending…";
    send_later: "연결되면 보낼게요 · Esc 되돌리기", "will be sent when connected · Esc takes it back";
    thinking: "답을 쓰는 중", "answering";
    cut_off: "연결이 돌아오면 이어집니다", "goes on when the connection is back";
    stopped: "멈춤", "stopped";
    interrupted: "중간에 끊긴 답이에요", "cut off";
    failed: "답을 받지 못했어요", "no answer";
    length: "길이 제한에 닿은 답이에요", "reached the longest length";
    filtered: "모델 제공자가 자른 답이에요", "cut by the model's provider";
    new_below: "↓ 새 글 (End)", "↓ new below (End)";
    busy: "답을 듣는 중이에요. 끝나면 보내 주세요 (Esc 멈추기).", "Still answering: send this when it is done (Esc stops it).";
    unsent: "앞의 말이 아직 가지 못했어요. 연결을 기다려 주세요.", "Your last message is still waiting for the connection.";
    too_long: "너무 길어서 더 적을 수 없어요.", "This is too long to add.";
    given_back: "보내지 못해 입력란에 되돌렸어요", "Not sent; your words are back in the input";
    try_again_soon: "곧 다시 보낼게요", "Trying again in a moment";
    stopping: "멈추는 중…", "Stopping…";
    ended_now: "대화를 마쳤어요.", "The conversation has ended.";
    not_begun: "아직 시작하지 않은 대화예요.", "This conversation has not begun yet.";
    quit_again: "한 번 더 누르면 끝나요", "Press once more to quit";
    quit_unsent: "보내지 못한 말이 있어요. 한 번 더 누르면 끝나요", "A message is not sent yet. Press once more to quit";
    link_off: "연결 안 함", "not connected";
    link_connecting: "연결하는 중", "connecting";
    link_reconnecting: "다시 연결하는 중", "reconnecting";
    link_open: "연결됨", "connected";
    first_token: "첫 글자", "first";
    total: "전체", "total";
    tokens: "토큰", "tokens";
    chars: "자", "chars";
    safety: "지금 도움을 받을 수 있는 곳", "Help that is there for you now";
    trimmed: "대화가 길어 앞부분은 빼고 답했어요", "older messages were left out of this answer";
    draining: "서버가 곧 다시 시작돼요. 이어서 연결할게요.", "The server restarts in a moment; this will reconnect.";
    flow: "마음의 흐름", "How it felt";
    flow_none: "아직 보여 줄 것이 없어요.", "There is nothing to show yet.";
    flow_note: "쓴 글에서 짐작한 것이고, 진단이 아니에요. ○와 ?는 확실하지 않아요.", "Guessed from what you wrote; not a diagnosis. ○ and ? are not sure.";
    very_good: "아주 좋음", "very good";
    good: "좋음", "good";
    so_so: "보통", "even";
    hard: "힘듦", "hard";
    very_hard: "많이 힘듦", "very hard";
    close_hint: "Esc 닫기", "Esc close";
}

/// The keys, as the help shows them: key, Korean, English.
const KEYS: &[(&str, &str, &str)] = &[
    ("Enter", "보내기", "send"),
    ("Alt+Enter, Ctrl+J", "줄 바꾸기", "new line"),
    ("Esc", "답 멈추기", "stop the answer"),
    ("PgUp, PgDn", "지난 글 보기", "scroll"),
    ("End", "맨 아래로", "to the newest"),
    ("F2", "대화 목록", "conversations"),
    ("F3", "새 대화", "new conversation"),
    ("F4", "대화 마치기", "end the conversation"),
    ("F6", "마음의 흐름", "how it felt"),
    ("F1, ?", "도움말", "help"),
    ("Ctrl+C ×2, Ctrl+Q", "끝내기", "quit"),
];

impl Texts {
    /// The edition of a language.
    pub(super) fn of(language: Language) -> &'static Self {
        match language {
            Language::Korean => &KOREAN,
            Language::English => &ENGLISH,
        }
    }

    /// The keys and what they do.
    pub(super) fn keys(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let korean = self.language == Language::Korean;
        KEYS.iter()
            .map(move |&(key, ko, en)| (key, if korean { ko } else { en }))
    }

    /// How a date is written, for `strftime`.
    pub(super) const fn date(&self) -> &'static str {
        match self.language {
            Language::Korean => "%-m월 %-d일",
            Language::English => "%b %-d",
        }
    }

    /// An error of the server, by its code.
    pub(super) fn error(&self, code: &str, field: Option<&str>, detail: &str) -> String {
        if self.language == Language::English {
            return clean_line(detail);
        }
        let known = match (code, field) {
            ("invalid_input", Some("email")) => "메일 주소를 name@example.com처럼 적어 주세요",
            ("invalid_input", Some("password")) => "비밀번호는 10자에서 128자까지예요",
            ("invalid_input", Some("name")) => "이름은 1자에서 100자까지예요",
            ("invalid_input", Some("user_input")) => "비어 있거나 너무 긴 말은 보낼 수 없어요",
            ("weak_password", _) => {
                "쉽게 짐작할 수 있는 비밀번호예요. 서로 관계없는 낱말 몇 개를 이어 보세요"
            }
            ("unauthorized", _) => "로그인이 필요해요",
            ("wrong_credentials", _) => "메일 주소나 비밀번호가 맞지 않아요",
            ("registration_closed", _) => "이 서버에서는 관리자만 계정을 만들 수 있어요",
            ("invite_needed", _) => {
                "초대 코드가 있어야 계정을 만들 수 있는 서버예요. 관리자에게 물어보세요"
            }
            ("email_taken", _) => "이미 계정이 있는 메일 주소예요",
            ("not_found", _) => "찾을 수 없어요",
            ("session_ended", _) => "마친 대화예요. 새 대화를 시작해 주세요",
            ("turn_in_progress", _) => "앞의 말에 아직 답하는 중이에요",
            ("too_large", _) => "너무 길어요",
            ("quota_exceeded", _) => {
                "오늘 쓸 수 있는 만큼 다 이야기했어요. 오전 9시(한국 시각) 뒤에 다시 만나요"
            }
            ("too_many", _) => "잠시 쉬었다가 다시 해 주세요",
            ("overloaded", _) => "지금 서버가 붐벼요",
            ("unavailable" | "internal", _) => "서버에 문제가 생겼어요",
            ("model_unavailable", _) => "지금은 답할 모델이 없어요. 다시 보내 주세요",
            ("interrupted", _) => "답하기 전에 끊겼어요. 다시 보내 주세요",
            _ => return clean_line(detail),
        };
        known.to_owned()
    }

    /// A call that did not work.
    pub(super) fn call(&self, error: &ClientError) -> String {
        let korean = self.language == Language::Korean;
        match error {
            ClientError::Problem(problem) => {
                self.error(&problem.code, problem.field.as_deref(), &problem.detail)
            }
            ClientError::Status(status) if korean => format!("서버가 HTTP {status}로 답했어요"),
            ClientError::Network(what) if korean => {
                format!("서버에 닿을 수 없어요: {}", clean_line(what))
            }
            ClientError::Unexpected(what) if korean => {
                format!("알 수 없는 답이 왔어요: {}", clean_line(what))
            }
            _ => clean_line(&error.to_string()),
        }
    }

    /// A notice of the server, by its code.
    pub(super) fn notice(&self, notice: &Notice) -> String {
        match notice.code.as_str() {
            NOTICE_TRIMMED => self.trimmed.to_owned(),
            NOTICE_DRAINING => self.draining.to_owned(),
            _ => clean_line(&notice.message),
        }
    }

    /// What is to be said about an answer that is not whole.
    pub(super) const fn mark(
        &self,
        status: StepStatus,
        finish: Option<FinishReason>,
    ) -> Option<&'static str> {
        match (status, finish) {
            (StepStatus::Cancelled, _) => Some(self.stopped),
            (StepStatus::Interrupted, _) => Some(self.interrupted),
            (StepStatus::Failed, _) => Some(self.failed),
            (_, Some(FinishReason::Length)) => Some(self.length),
            (_, Some(FinishReason::ContentFilter)) => Some(self.filtered),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_codes_are_told_in_the_persons_language_and_others_in_the_servers_words() {
        let korean = Texts::of(Language::Korean);
        assert_eq!(
            korean.error("email_taken", Some("email"), "taken"),
            "이미 계정이 있는 메일 주소예요"
        );
        assert_eq!(
            korean.error("someday", None, "new\u{1b}[1m thing"),
            "new thing"
        );
        for refused in ["registration_closed", "invite_needed"] {
            let told = korean.error(refused, None, "in English");
            assert!(told.contains("관리자"), "{told}");
        }
        let english = Texts::of(Language::English);
        assert_eq!(english.error("email_taken", None, "taken"), "taken");
    }
}
