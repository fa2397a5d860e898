// One conversation over /ws/emotion that outlives its connections. docs/protocol.md teaches the frames; this is how a
// client keeps the two promises: no word of the person's is lost, no word of the answer is doubled or missing.
//
// The whole trick: every message has a `message_id` of ours, and we count the code points of its answer. After a loss
// the same message is sent again with `received`: the server stores nothing twice, and goes on at that code point.
// Whatever is uncertain is therefore settled in one way: drop the connection, wait, connect, send it again.

import { count, turn } from "./turn.js"; // What a `Turn` is stands there, too.

/** Milliseconds. */
const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 15_000;
const HANDSHAKE = 10_000;
/** Without a frame for so long we ask whether anybody is there; without an answer for `PONG` nobody is. */
const QUIET = 25_000;
const PONG = 10_000;

/** Close codes that are told apart; after every other one we just connect again. */
const EXPIRED = 4401;
const UNKNOWN_SESSION = 4404;
const TOO_BIG = 1009;
const PLEASE_WAIT = [1013, 4429];

export class Talk {
  /** Our message, from when it is said until its end is known. @type {?Turn} */
  #said;
  /** The turn whose answer is streaming: ours, or one of another device's. @type {?Turn} */
  #heard = null;
  #api;
  #on;
  #socket = null;
  /** Whether the session frame was there: before it nothing is said. */
  #ready = false;
  #over = false;
  #tries = 0;
  #retry = 0;
  #token = null;
  #lastFrame = 0;
  #pinged = 0;
  #beat;
  #away = new AbortController();

  /**
   * @param api      gives tickets and tokens
   * @param on       what is told: `opened(sessionId)`, `lost(turn)` (ours, if it is not stored), `accepted(turn)`, `text(turn)`, `safety(safety)`,
   *                 `notice(notice)`, `ended(turn, done)`, `failed(turn, error)` (stored, no answer),
   *                 `refused(turn, error)` (not stored: give the words back), `over(why)` ("login", "session")
   * @param sessionId continues a conversation; null begins one
   * @param unsent   `{ messageId, words }` that may not have arrived, from before a reload
   */
  constructor(api, on, { sessionId = null, unsent = null } = {}) {
    this.#api = api;
    this.#on = on;
    this.sessionId = sessionId;
    this.#said = unsent && turn(unsent.messageId, unsent.words);
    const { signal } = this.#away;
    addEventListener("online", () => this.#now(), { signal });
    addEventListener("offline", () => this.#lose(), { signal });
    // A phone that wakes up does not know yet that its connection died in its sleep.
    document.addEventListener("visibilitychange", () => document.hidden || this.#now(), { signal });
    this.#beat = setInterval(() => this.#watch(), 5000);
    this.#connect();
  }

  /** Whether a message waits for its answer, or an answer is streaming. */
  get busy() {
    return Boolean(this.#said || this.#heard);
  }

  /** Whether what is said now goes out now. */
  get connected() {
    return this.#ready;
  }

  /** Our message, as long as it is not known to be stored. */
  get unsaid() {
    return this.#said?.stored === false ? this.#said : null;
  }

  /** The person speaks. Only when not `busy`: a conversation has one turn at a time. */
  say(words) {
    this.#said = turn(crypto.randomUUID(), words);
    this.#sendSaid();
    return this.#said;
  }

  /** Ends the running answer; what there is of it is kept. */
  stop() {
    if (this.#heard) this.#send({ stop: true });
  }

  /** No more of this conversation, in this tab. */
  leave() {
    this.#over = true;
    this.#away.abort();
    clearInterval(this.#beat);
    clearTimeout(this.#retry);
    this.#drop();
  }

  #send(frame) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(frame));
  }

  #sendSaid() {
    if (!this.#ready) return; // It goes out as soon as we are connected.
    const { messageId, words, count } = this.#said;
    this.#send({ user_input: words, message_id: messageId, received: count });
  }

  // Connections ------------------------------------------------------------------------------------------------------

  async #connect() {
    clearTimeout(this.#retry);
    this.#retry = 0;
    let socket;
    try {
      // Each connection wants a ticket of its own, and it holds for 30 seconds only: never keep one.
      const ticket = await this.#api.ticket();
      this.#token = await this.#api.token();
      if (this.#over || this.#socket) return;
      const url = new URL("/ws/emotion", location.href);
      url.protocol = url.protocol.replace("http", "ws");
      url.searchParams.set("ticket", ticket);
      if (this.sessionId) url.searchParams.set("session_id", this.sessionId);
      socket = new WebSocket(url, ["deepme.v1"]);
    } catch (error) {
      if (error.status === 401) this.#finish("login");
      else this.#lose(error.retryAfter);
      return;
    }
    this.#socket = socket;
    this.#ready = false;
    // Frames, closes and delays of a socket that was given up are nobody's business any more.
    const current = (handle) => (event) => {
      if (this.#socket === socket) handle(event);
    };
    const tooLong = setTimeout(current(() => this.#lose()), HANDSHAKE);
    socket.onmessage = current(({ data }) => {
      clearTimeout(tooLong);
      this.#lastFrame = Date.now();
      this.#pinged = 0;
      this.#read(JSON.parse(data));
    });
    socket.onclose = current(({ code }) => {
      clearTimeout(tooLong);
      this.#closed(code);
    });
  }

  /** Gives the socket up without waiting for a goodbye, which a dead network never says. */
  #drop() {
    const socket = this.#socket;
    this.#socket = null;
    this.#ready = false;
    socket?.close();
  }

  #closed(code) {
    if (code === UNKNOWN_SESSION) return this.#finish("session");
    if (code === EXPIRED) this.#api.distrust();
    if (code === TOO_BIG) this.#giveBack({ code: "too_large" });
    this.#lose(PLEASE_WAIT.includes(code) ? 10 : undefined);
  }

  /** The connection is gone: another one after a pause, longer each time, and never at the same moment as everybody. */
  #lose(seconds) {
    this.#drop();
    if (this.#over) return;
    this.#on.lost(this.unsaid);
    const pause = Math.min(FIRST_PAUSE * 2 ** this.#tries, LONGEST_PAUSE);
    this.#tries += 1;
    clearTimeout(this.#retry);
    const wait = Math.max(pause * (0.5 + Math.random() / 2), (seconds ?? 0) * 1000);
    this.#retry = setTimeout(() => this.#connect(), wait);
  }

  /** There is reason to think that it works now. */
  #now() {
    if (this.#retry) this.#connect();
    else this.#ping();
  }

  #finish(why) {
    this.leave();
    this.#on.over(why, this.unsaid);
  }

  #ping() {
    if (this.#pinged || this.#socket?.readyState !== WebSocket.OPEN) return;
    this.#pinged = Date.now();
    this.#send({ ping: this.#pinged });
  }

  /** Every few seconds: is anybody there, and does our token still hold? */
  async #watch() {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    if (this.#pinged && Date.now() - this.#pinged > PONG) return this.#lose();
    if (Date.now() - this.#lastFrame > QUIET) this.#ping();
    // A socket of `deepme.v1` is closed when its token expires, unless it hears of the next one.
    const token = await this.#api.token().catch(() => this.#token);
    if (token !== this.#token) {
      this.#token = token;
      this.#send({ auth: { access_token: token } });
    }
  }

  // Frames -----------------------------------------------------------------------------------------------------------

  /** Told apart by which key is there; what is not known is ignored. */
  #read(frame) {
    if ("token" in frame) this.#append(frame.token);
    else if ("done" in frame) this.#ended(frame);
    else if ("error" in frame) this.#refused(frame.error);
    else if ("session_id" in frame) this.#opened(frame);
    else if ("accepted" in frame) this.#accepted(frame.accepted);
    else if ("resumed" in frame) this.#resumed(frame.resumed);
    else if ("safety" in frame) this.#on.safety(frame.safety, this.#heard);
    else if ("notice" in frame) this.#on.notice(frame.notice);
  }

  #opened(frame) {
    const again = this.#tries > 0;
    this.#tries = 0;
    this.#ready = true;
    this.sessionId = frame.session_id;
    if (this.#said) {
      this.#heard = null;
      this.#sendSaid();
    } else {
      // Another device's answer, or one from before a reload: from where we have it on.
      if (frame.turn && this.#heard?.stepId !== frame.turn.step_id) {
        this.#heard = { ...turn(frame.turn.message_id ?? null, null), stepId: frame.turn.step_id, stored: true };
      }
      if (this.#heard) this.#send({ resume: { step_id: this.#heard.stepId, received: this.#heard.count } });
    }
    this.#on.opened(this.sessionId, again);
  }

  #accepted(accepted) {
    const mine = this.#said?.messageId === accepted.message_id;
    const heard = mine ? this.#said : turn(accepted.message_id ?? null, accepted.user_input);
    heard.stepId = accepted.step_id;
    heard.stored = true;
    this.#heard = heard;
    this.#on.accepted(heard, mine);
  }

  /** The server goes on at `from`. What we have beyond it (it may have crashed) will be said again. */
  #resumed({ step_id, from }) {
    const heard = this.#heard;
    if (heard?.stepId !== step_id || from >= heard.count) return;
    heard.text = Array.from(heard.text).slice(0, from).join("");
    heard.count = from;
    this.#on.text(heard);
  }

  #append(piece) {
    if (!this.#heard) return;
    this.#heard.text += piece;
    this.#heard.count += count(piece);
    this.#on.text(this.#heard);
  }

  /** Forgets the turn that is over, and tells which it was. */
  #settle() {
    const over = this.#heard;
    if (over === this.#said) this.#said = null;
    this.#heard = null;
    return over;
  }

  #ended(done) {
    if (this.#heard) this.#on.ended(this.#settle(), done);
  }

  #refused(error) {
    // Stored, but nobody could answer.
    if (error.step_id && this.#heard) return this.#on.failed(this.#settle(), error);
    const waiting = this.unsaid !== null;
    if (waiting && (error.stored === false || error.code === "bad_frame")) return this.#giveBack(error);
    // Whether the words were stored is not known, or another turn has to end first: the same once more, later.
    if (waiting || error.code === "turn_in_progress") return this.#lose(error.retry_after);
    // We asked for the rest of a turn that is no longer there.
    if (error.code === "not_found" && this.#heard?.words === null) this.#on.ended(this.#settle(), { status: "interrupted" });
  }

  /** The words were not taken. */
  #giveBack(error) {
    const said = this.#said;
    if (!said) return;
    this.#said = null;
    this.#on.refused(said, error);
  }
}
