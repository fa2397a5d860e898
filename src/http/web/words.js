// Everything the page says, in Korean and English, and which of the two it speaks.
//
// Errors and notices of the server are told by their code, in the person's language; a code that is not known here
// is told in the server's own words.

import { preference } from "./keep.js";

const texts = {
  welcome: ["천천히 오셔도 괜찮아요.", "Take all the time you need."],
  opening: [
    "지금 마음이 어떤가요?\n정리되지 않은 말이어도 괜찮아요.",
    "How is it, right now?\nIt does not have to come out in order.",
  ],
  log_in: ["들어가기", "Come in"],
  register: ["계정 만들기", "Make an account"],
  reset: ["비밀번호 다시 정하기", "Set a new password"],
  name: ["어떻게 불러 드릴까요?", "What shall we call you?"],
  email: ["이메일", "Email"],
  password: ["비밀번호", "Password"],
  password_hint: [
    "열 글자 이상이면 돼요. 서로 관계없는 낱말 몇 개를 이으면 좋아요.",
    "Ten characters or more. A few words that have nothing to do with each other do well.",
  ],
  invite: ["초대 코드", "Invitation code"],
  code: ["운영하는 사람에게 받은 코드", "The code from whoever runs this server"],
  way_guest: ["이름 없이 이야기하기", "Talk without an account"],
  guest_hint: [
    "이 창을 닫으면 나눈 이야기로 다시 돌아올 수 없어요.",
    "Once you close this window there is no way back to what you said.",
  ],
  way_register: ["처음이에요", "I am new here"],
  way_login: ["계정이 있어요", "I have an account"],
  way_reset: ["비밀번호를 잊었어요", "I forgot my password"],
  closed_hint: ["이 서버의 계정은 운영하는 사람이 만들어 드려요.", "Accounts here are made by whoever runs this server."],
  no_therapist: [
    "여기서 답하는 것은 사람이 아니라 프로그램이에요. 의사나 상담사를 대신하지 못해요.",
    "What answers here is a program, not a person. It does not replace a doctor or a counsellor.",
  ],
  lines: ["지금 사람이 필요하다면", "If you need a person now"],
  menu: ["지난 대화와 설정", "Conversations and settings"],
  fresh: ["새 대화", "New conversation"],
  log: ["대화", "Conversation"],
  your_words: ["하고 싶은 말", "Your words"],
  placeholder: ["여기에 적어 주세요", "Write here"],
  send: ["보내기", "Send"],
  stop: ["답 멈추기", "Stop the answer"],
  me: ["나", "I"],
  listener: ["노아", "Noa"],
  listening: ["듣고 있어요", "Listening"],
  unsent: ["연결되면 보낼게요", "Will be sent once we are connected"],
  cancelled: ["여기서 멈췄어요", "Stopped here"],
  interrupted: ["중간에 끊긴 답이에요", "This answer was cut off"],
  failed: ["답을 받지 못했어요. 하신 말은 잘 간직했어요.", "There was no answer. Your words are kept."],
  length: ["길이 제한에 닿은 답이에요", "This answer reached its longest length"],
  content_filter: ["모델 제공자가 자른 답이에요", "The model's provider cut this answer"],
  help: ["지금 도움을 받을 수 있는 곳", "Help that is there for you now"],
  offline: [
    "연결이 끊겼어요. 다시 이어지면 그대로 계속할게요.",
    "The connection is lost. We go on where we were as soon as it is back.",
  ],
  back: ["다시 이어졌어요.", "We are connected again."],
  busy: ["답을 듣는 중이에요. 끝나면 보내 주세요.", "Still answering. Send this when it is done."],
  still_unsent: ["앞의 말이 아직 가지 못했어요. 연결을 기다려 주세요.", "Your last message is still waiting for the connection."],
  given_back: ["보내지 못해서 입력란에 그대로 두었어요.", "It was not sent; your words are back in the box."],
  ended: ["마친 대화예요. 읽을 수 있고, 이야기는 새 대화에서 이어 가요.", "This conversation has ended. You can read it; to go on, begin a new one."],
  ended_draft: [
    "마친 대화예요. 적고 있던 말은 새 대화의 입력란에 그대로 있어요.",
    "This conversation has ended. What you were writing is in the box of the new one.",
  ],
  end: ["마치기", "End"],
  end_label: ["이 대화 마치기", "End this conversation"],
  end_title: ["이 대화를 마칠까요?", "End this conversation?"],
  end_text: [
    "마치면 나눈 이야기를 모은 요약 카드가 만들어져요. 이 대화에 더 적을 수는 없지만, 다시 읽는 것은 언제든 할 수 있어요.",
    "A card that sums it up is made then. Nothing more can be written here, but you can read it again whenever you like.",
  ],
  end_text_only: [
    "이 대화에 더 적을 수는 없지만, 다시 읽는 것은 언제든 할 수 있어요.",
    "Nothing more can be written here then, but you can read it again whenever you like.",
  ],
  end_yes: ["마치기", "End it"],
  end_no: ["더 이야기하기", "Go on talking"],
  end_busy: ["답을 듣는 중이에요. 끝나면 마칠 수 있어요.", "Still answering. You can end it when it is done."],
  read: ["카드 보기", "See the card"],
  anew: ["새 대화 시작하기", "Begin a new one"],
  gone: ["없어진 대화예요.", "This conversation is no longer there."],
  conversations: ["지난 대화", "Conversations"],
  none_yet: ["아직 나눈 이야기가 없어요.", "Nothing has been said yet."],
  more: ["더 보기", "More"],
  close: ["닫기", "Close"],
  guest: ["계정 없이 이야기하고 있어요. 이 창을 닫으면 다시 돌아올 수 없어요.", "You are talking without an account. Once this window is closed there is no way back."],
  export: ["내 이야기 모두 내려받기", "Download everything I said"],
  exporting: ["모으는 중이에요…", "Gathering it…"],
  erase: ["모두 지우고 떠나기", "Erase everything and leave"],
  log_out: ["나가기", "Log out"],
  leave_title: ["나갈까요?", "Log out?"],
  leave_guest: [
    "계정이 없어서 나가면 나눈 이야기로 다시 돌아올 수 없어요. 이야기는 서버에 남아요. 없애려면 ‘모두 지우고 떠나기’를 눌러 주세요.",
    "Without an account there is no way back to what you said. It stays on the server; to have it gone, choose “Erase everything and leave”.",
  ],
  leave_yes: ["나가기", "Log out"],
  erase_title: ["모두 지울까요?", "Erase everything?"],
  erase_text: [
    "계정과 나눈 이야기가 모두 지워져요. 되돌릴 수 없고, 운영하는 사람도 되살릴 수 없어요.",
    "Your account and everything you said will be gone. There is no way back, not even for whoever runs this server.",
  ],
  erase_yes: ["모두 지우기", "Erase everything"],
  keep: ["그대로 두기", "Leave it as it is"],
  erased: ["모두 지웠어요. 잘 지내세요.", "Everything is erased. Take care."],
  logged_out: ["나왔어요.", "You are logged out."],
  login_over: ["오래 자리를 비워서 다시 들어와야 해요. 나눈 이야기는 그대로 있어요.", "Please come in again. What you said is all there."],
  look: ["이 대화 돌아보기", "Look back on this conversation"],
  look_title: ["돌아보기", "Looking back"],
  gathering: ["모으는 중이에요…", "Gathering it…"],
  flow: ["마음의 흐름", "How it went"],
  flow_alt: [
    "이 대화의 마음 흐름을 그린 그림이에요. 쓴 글에서 짐작한 것이고, 진단이 아니에요. 아래에 글로도 있어요.",
    "A picture of how this conversation felt. It is guessed from what was written and no diagnosis. Below it is in words, too.",
  ],
  flow_too: ["마음의 흐름도 보기", "See how it went, too"],
  flow_in_words: ["글로 보기", "In words"],
  older: ["더 오래된 것은 빠져 있어요.", "What is older is left out."],
  unsure: ["확실하지 않아요", "not sure"],
  unknown: ["알 수 없어요", "not known"],
  better: ["여기서부터 나아졌어요", "better from here on"],
  worse: ["여기서부터 힘들어졌어요", "harder from here on"],
  picked: ["직접 고른 마음", "your own word"],
  lately: ["지난 30일", "Last 30 days"],
  trend_title: ["그동안의 마음", "How it has been"],
  trend_days: ["며칠을 볼까요?", "How many days?"],
  days_7: ["7일", "7 days"],
  days_30: ["30일", "30 days"],
  days_90: ["90일", "90 days"],
  trend_alt: [
    "그동안 나눈 대화들의 마음 흐름을 그린 그림이에요. 쓴 글에서 짐작한 것이고, 진단이 아니에요. 아래에 글로도 있어요.",
    "A picture of how the conversations of this time felt. It is guessed from what was written and no diagnosis. Below it is in words, too.",
  ],
  trend_hint: [
    "그날의 마음은 여기 그려진 것과 달랐을 수 있어요.",
    "The days may have felt different from what is drawn here. You know best.",
  ],
  trend_none: [
    "이 동안에는 나눈 이야기가 없어요. 그래도 괜찮아요. 이야기하고 싶을 때 오시면 돼요.",
    "Nothing was said in this time, and that is fine. Come whenever you feel like talking.",
  ],
  trend_one: [
    "이 동안 나눈 대화는 하나예요. 둘부터는 그림으로도 보여요.",
    "There was one conversation in this time. From two on there is a picture, too.",
  ],
  trend_unsure: [
    "이 동안의 글만으로는 마음을 짐작하기 어려웠어요. 그럴 수 있어요.",
    "From the words of this time it was hard to guess how it felt. That happens.",
  ],
  card: ["카드", "Card"],
  no_card: [
    "이 대화를 카드 한 장으로 모아 볼 수 있어요. 언어 모델이 있으면 대화를 다시 읽고 써요.",
    "This conversation can be gathered on a card. Where there is a language model, it reads the conversation again and writes it.",
  ],
  card_coming: ["카드를 쓰고 있어요. 조금 걸려요…", "The card is being written. It takes a moment…"],
  make_card: ["카드 만들기", "Make a card"],
  make_again: ["카드 다시 만들기", "Make it anew"],
  making_card: ["쓰는 중이에요. 조금 걸려요…", "Writing. It takes a moment…"],
  card_there: ["카드를 만들었어요.", "The card is made."],
  situation: ["있었던 일", "What happened"],
  thoughts: ["떠오른 생각", "Thoughts"],
  body: ["몸의 느낌", "In the body"],
  behaviour: ["한 행동", "What you did"],
  needs: ["바라는 것", "What you want"],
  coping: ["도움이 된 것", "What helped"],
  insight: ["알게 된 것", "What you came to see"],
  quotes: ["내가 한 말", "In your words"],
  written: ["언어 모델이 대화를 읽고 쓴 카드예요. 틀릴 수 있어요.", "Written by a language model from the conversation; it can be wrong."],
  extract: [
    "언어 모델 없이, 짐작한 마음과 한 말만 모은 카드예요.",
    "Put together without a language model, of guesses and your words.",
  ],
  not_so: ["아니에요?", "Not so?"],
  own_word: ["내가 고른 마음:", "Your word:"],
  felt_title: ["그때 마음은 어땠나요?", "How did it feel?"],
  felt_text: [
    "글만 보고 짐작한 것이라 틀릴 수 있어요. 직접 고르면 그 말이 짐작보다 먼저예요.",
    "It is only guessed from the words, and can be wrong. What you choose counts before any guess.",
  ],
  felt_yes: ["이 마음이었어요", "It was this"],
  felt_back: ["고른 것 되돌리기", "Take my word back"],
  felt_hide: ["짐작을 보지 않을래요", "I do not want to see guesses"],
  felt_hidden: ["짐작을 감췄어요. 메뉴에서 다시 볼 수 있어요.", "Guesses are put away. The menu brings them back."],
  guesses: ["내 말 아래에 마음 짐작 보기", "Show what my words may have felt like"],
  no_network: ["서버에 닿지 못했어요. 연결을 확인하고 다시 해 주세요.", "The server cannot be reached. Please check the connection and try again."],
};

/** What the server calls its labels of what somebody felt, in its order: `{ label, ko, en }`. It is told in the page. */
const named = JSON.parse(document.getElementById("server").textContent).feelings;

/** How a guess of one is told in Korean; in English by its name. It is a finding in neither. */
const guesses = {
  joy: "기뻐 보였어요",
  confident: "자신 있어 보였어요",
  eager: "의욕이 있어 보였어요",
  moved: "뭉클해 보였어요",
  calm: "편안해 보였어요",
  bored: "심심해 보였어요",
  tired: "피곤해 보였어요",
  even: "담담해 보였어요",
  lonely: "외로워 보였어요",
  shame: "부끄러워 보였어요",
  sad: "슬퍼 보였어요",
  frustrated: "답답해 보였어요",
  confused: "혼란스러워 보였어요",
  anxious: "불안해 보였어요",
  angry: "화나 보였어요",
};
/** "Even" is no word for how one felt. */
const guessed = ({ label, en }) => `You may have felt ${label === "even" ? "neither good nor bad" : en}`;

/** The labels that can be told, in the server's order. */
export const feelings = named.map(({ label }) => label).filter((label) => label in guesses);

for (const one of named) {
  texts[`is_${one.label}`] = [one.ko, one.en];
  texts[`seemed_${one.label}`] = [guesses[one.label], guessed(one)];
}

/** The name of one; a server that was renewed since the page was loaded may know more of them. */
export const feeling = (label) => (`is_${label}` in texts ? t(`is_${label}`) : label);

/** By the server's code, or `code:field`. */
const errors = {
  "invalid_input:email": ["이메일을 name@example.com처럼 적어 주세요.", "Please write the email like name@example.com."],
  "invalid_input:password": ["비밀번호는 10자에서 128자까지예요.", "A password has 10 to 128 characters."],
  "invalid_input:new_password": ["비밀번호는 10자에서 128자까지예요.", "A password has 10 to 128 characters."],
  "invalid_input:name": ["이름은 1자에서 100자까지예요.", "A name has 1 to 100 characters."],
  "invalid_input:user_input": ["비어 있거나 너무 긴 말은 보낼 수 없어요.", "This is empty or too long to send."],
  weak_password: [
    "쉽게 짐작할 수 있는 비밀번호예요. 서로 관계없는 낱말 몇 개를 이어 보세요.",
    "This password is easily guessed. Try a few words that have nothing to do with each other.",
  ],
  wrong_credentials: ["이메일이나 비밀번호(코드)가 맞지 않아요.", "The email and the password (or code) do not belong together."],
  registration_closed: ["이 서버의 계정은 운영하는 사람만 만들 수 있어요.", "Only whoever runs this server makes accounts here."],
  invite_needed: ["쓸 수 있는 초대 코드가 필요해요. 운영하는 사람에게 물어봐 주세요.", "This needs an invitation code that holds. Please ask whoever runs this server."],
  email_taken: ["이미 계정이 있는 이메일이에요.", "This email has an account already."],
  session_ended: ["마친 대화예요. 새 대화를 시작해 주세요.", "This conversation has ended. Please begin a new one."],
  turn_in_progress: ["다른 기기에서 한 말에 답하는 중이에요.", "What you said on another device is being answered."],
  too_large: ["한 번에 보내기에는 너무 길어요. 나누어 보내 주세요.", "This is too long for one message. Please send it in parts."],
  quota_exceeded: [
    "오늘 나눌 수 있는 이야기를 다 했어요. 오전 9시(한국 시각) 뒤에 다시 만나요.",
    "That is all for today. You can go on after midnight UTC.",
  ],
  too_many: ["잠시 쉬었다가 다시 해 주세요.", "Please wait a moment, then try again."],
  overloaded: ["지금은 붐벼요. 잠시 뒤에 다시 해 주세요.", "It is crowded at the moment. Please try again soon."],
  "overloaded:card": [
    "지금은 새로 쓸 수 없어서 전에 쓴 카드를 그대로 두었어요. 잠시 뒤에 다시 해 주세요.",
    "No new one can be written at the moment; the one from before stays. Please try again soon.",
  ],
  not_found: ["찾을 수 없어요. 지워졌을 수 있어요.", "It cannot be found. It may have been erased."],
  unavailable: ["서버에 문제가 생겼어요. 잠시 뒤에 다시 해 주세요.", "The server has a problem. Please try again soon."],
  internal: ["서버에 문제가 생겼어요. 잠시 뒤에 다시 해 주세요.", "The server has a problem. Please try again soon."],
  model_unavailable: ["지금은 답할 수가 없어요. 하신 말은 잘 간직했어요.", "Nobody can answer at the moment. Your words are kept."],
  interrupted: ["답하기 전에 끊겼어요. 하신 말은 잘 간직했어요.", "It broke off before the answer. Your words are kept."],
};

const notices = {
  context_trimmed: ["대화가 길어서 앞부분은 빼고 답했어요.", "The conversation is long: its beginning was left out of this answer."],
  model_fallback: ["지금은 다른 모델이 답하고 있어요.", "Another model than usual is answering."],
  draining: ["서버가 곧 다시 시작돼요. 이어서 연결할게요.", "The server restarts in a moment. We will go on."],
};

const languages = ["ko", "en"];

/** Which language is spoken: what was chosen here, else the browser's. */
let language = languages.includes(preference.get("language"))
  ? preference.get("language")
  : navigator.language.toLowerCase().startsWith("ko") ? "ko" : "en";

const one = (pair) => pair[languages.indexOf(language)];

/** A text of the page by its name. */
export const t = (name) => one(texts[name]);

/** The language in force, `ko` or `en`. */
export const spoken = () => language;

/** What an error says to the person. `error` has the server's `code`, `field` and `message`, or is the browser's own. */
export function explain(error) {
  // A `TimeoutError` has a code as well: a number.
  if (typeof error.code !== "string") return t("no_network");
  const known = errors[`${error.code}:${error.field}`] ?? errors[error.code];
  return known ? one(known) : error.message;
}

/** What a notice says, or nothing where the page shows it in another way. */
export function tell(notice) {
  if (notice.code === "incomplete") return null;
  return notice.code in notices ? one(notices[notice.code]) : notice.message;
}

/** A moment as people say it: "11월 26일 목요일 오전 2:14". */
export function moment(time) {
  return new Intl.DateTimeFormat(language, {
    month: "long", day: "numeric", weekday: "long", hour: "numeric", minute: "2-digit",
  }).format(new Date(time));
}

/** The hour of it: "오전 2:14". */
export function hour(time) {
  return new Intl.DateTimeFormat(language, { hour: "numeric", minute: "2-digit" }).format(new Date(time));
}

/** Puts the texts into the elements that ask for them. */
export function speak(root = document) {
  document.documentElement.lang = language;
  for (const element of root.querySelectorAll("[data-t]")) element.textContent = t(element.dataset.t);
  for (const [attribute, name] of [["aria-label", "tLabel"], ["title", "tTitle"], ["placeholder", "tPlaceholder"]]) {
    for (const element of root.querySelectorAll(`[data-t-${name.slice(1).toLowerCase()}]`)) {
      element.setAttribute(attribute, t(element.dataset[name]));
    }
  }
  for (const button of root.querySelectorAll("button.language")) {
    button.textContent = language === "ko" ? "English" : "한국어";
    button.lang = language === "ko" ? "en" : "ko";
  }
}

/** The other language from now on. */
export function switchLanguage() {
  language = language === "ko" ? "en" : "ko";
  preference.set("language", language);
  speak();
}
