// REST: logging in, staying logged in, and what is asked once. docs/protocol.md, "Logging in".
//
// The access token lives here, in memory. The refresh token lives in the tab's storage, so that a reload is no logout.
// A refresh token is good for one use: it is used by one caller at a time (`#refreshing`), the next one is kept before
// anything else happens, and other tabs that hold the same (a tab that was duplicated) are told of it: an old one that
// is brought after a minute is taken for stolen and ends the login everywhere.

import { tab } from "./keep.js";

/** The server said no: `code` and `field` are for programs, `message` for people. */
export class Problem extends Error {
  constructor(status, body, retryAfter) {
    super(body.detail ?? `HTTP ${status}`);
    this.status = status;
    this.code = body.code ?? "internal";
    this.field = body.field;
    this.retryAfter = retryAfter;
  }
}

/** Milliseconds that an answer may take, from the first byte to the last. */
const PATIENCE = 15_000;
/** The same where all that a person ever said is read or erased, or a model writes at length. */
const LONG_PATIENCE = 600_000;
/** A token that ends sooner than this, in milliseconds, is renewed before it is used; one of a short life later. */
const MARGIN = 60_000;

/** One request. A network that fails is a `TypeError` or a `TimeoutError`, as `fetch` throws them. */
async function request(method, path, body, token, patience = PATIENCE) {
  const headers = {};
  if (body) headers["Content-Type"] = "application/json";
  if (token) headers.Authorization = `Bearer ${token}`;
  const answer = await fetch(path, {
    method,
    headers,
    body: body && JSON.stringify(body),
    credentials: "omit", // There are no cookies.
    signal: AbortSignal.timeout(patience),
  });
  if (answer.ok) return answer;
  const problem = await answer.json().catch(() => ({}));
  throw new Problem(answer.status, problem, Number(answer.headers.get("Retry-After")) || undefined);
}

export class Api {
  #access = null; // { token, stale }: from `stale` on it is renewed
  #refreshing = null;
  #tabs = new BroadcastChannel("deepme");

  constructor() {
    this.#tabs.onmessage = ({ data }) => {
      const login = tab.get("login");
      if (login?.refresh === data.used) tab.set("login", { ...login, refresh: data.next });
    };
  }

  /** Who is logged in in this tab: `{ user_id, name, guest }`, or null. */
  get person() {
    return tab.get("login");
  }

  async logIn(email, password) {
    const answer = await request("POST", "/login", { email, password, client: "v1" });
    await this.#enter(await answer.json());
  }

  async register({ name, email, password, invite }) {
    await request("POST", "/register", { name, email, password, ...(invite && { invite }) });
    await this.logIn(email, password);
  }

  async registerGuest() {
    const answer = await request("POST", "/register/guest", { client: "v1" });
    await this.#enter(await answer.json());
  }

  /** With a code from the admin. All logins have ended then. */
  async resetPassword({ email, code, password }) {
    await request("POST", "/password/reset", { email, code, new_password: password });
    await this.logIn(email, password);
  }

  async #enter(login) {
    this.#take(login);
    const { name, email } = await this.get("/me");
    tab.set("login", { ...tab.get("login"), name, guest: email === null });
  }

  #take(login) {
    const used = tab.get("login")?.refresh;
    tab.set("login", { ...tab.get("login"), user_id: login.user_id, refresh: login.refresh_token });
    if (used) this.#tabs.postMessage({ used, next: login.refresh_token });
    const life = login.expires_in * 1000;
    this.#access = { token: login.access_token, stale: Date.now() + life - Math.min(MARGIN, life / 2) };
  }

  /** A token that holds for a while. A `Problem` with status 401 means: log in again. */
  async token() {
    if (this.#access && Date.now() < this.#access.stale) return this.#access.token;
    // A lost answer is asked for again with the same token: within a minute that gives the same successor.
    this.#refreshing ??= this.#refresh().finally(() => (this.#refreshing = null));
    return this.#refreshing;
  }

  async #refresh() {
    const refresh_token = tab.get("login")?.refresh;
    if (!refresh_token) throw new Problem(401, { code: "unauthorized", detail: "log in" });
    this.#access = null;
    const answer = await request("POST", "/refresh", { refresh_token });
    this.#take(await answer.json());
    return this.#access.token;
  }

  /** The access token was refused: the next call gets a new one, if there is one to be had. */
  distrust() {
    this.#access = null;
  }

  async #call(method, path, body, patience) {
    try {
      return await request(method, path, body, await this.token(), patience);
    } catch (error) {
      if (error.status !== 401 || !this.#access) throw error;
      this.distrust();
      return request(method, path, body, await this.token(), patience);
    }
  }

  async get(path) {
    return (await this.#call("GET", path)).json();
  }

  /** A page of the person's conversations, newest first, and the path of the next page. */
  async sessions(path = `/emotion/sessions/user/${this.person.user_id}?limit=30`) {
    const answer = await this.#call("GET", path);
    const next = /<([^>]+)>; rel="next"/.exec(answer.headers.get("Link") ?? "");
    return { sessions: await answer.json(), next: next?.[1] };
  }

  /** Everything that was said in a conversation. */
  async steps(sessionId) {
    return this.get(`/emotion/steps/${sessionId}`);
  }

  /** Ends a conversation: it can be read from then on, and no more. One that has ended stays as it is. */
  async end(sessionId) {
    return (await this.#call("POST", `/emotion/sessions/${sessionId}/end`)).json();
  }

  /** How the moods of a conversation follow each other. */
  async flow(sessionId) {
    return this.get(`/emotion/sessions/${sessionId}/flow`);
  }

  /** The same as a picture. The token goes in a header, so this cannot be the source of an image itself. */
  async flowPicture(sessionId, language, narrow) {
    return this.#picture(`/emotion/sessions/${sessionId}/flow?`, language, narrow);
  }

  /** How the conversations since `from` felt. */
  async trend(from) {
    return this.get(`/emotion/trends/user/${this.person.user_id}?from=${from}`);
  }

  /** The same as a picture, with the days of this place. */
  async trendPicture(from, language, narrow) {
    const path = `/emotion/trends/user/${this.person.user_id}?from=${from}&utc_offset=${-new Date().getTimezoneOffset()}&`;
    return this.#picture(path, language, narrow);
  }

  async #picture(path, language, narrow) {
    return (await this.#call("GET", `${path}format=svg&lang=${language}&width=${narrow ? "narrow" : "wide"}`)).blob();
  }

  /** The card of a conversation; null while there is none. */
  async card(sessionId) {
    try {
      return await this.get(`/emotion/sessions/${sessionId}/card`);
    } catch (error) {
      if (error.status === 404) return null;
      throw error;
    }
  }

  /** Makes the card, in place of the one there is. 503: it cannot be written now, and the one there is stays. */
  async makeCard(sessionId) {
    return (await this.#call("POST", `/emotion/sessions/${sessionId}/card`, undefined, LONG_PATIENCE)).json();
  }

  /** The person's own word on what they felt in a step. @returns `{ step_id, emotion }` as it then is */
  async correct(stepId, label) {
    return (await this.#call("PUT", `/emotion/steps/${stepId}/emotion`, { emotion_label: label })).json();
  }

  /** Their word is taken back: the guess is there again. */
  async takeBack(stepId) {
    return (await this.#call("DELETE", `/emotion/steps/${stepId}/emotion`)).json();
  }

  /** Opens one socket within 30 seconds: a browser cannot send the token in a header, and a URL is no place for it. */
  async ticket() {
    return (await (await this.#call("POST", "/ws-ticket")).json()).ticket;
  }

  /** Everything that is stored of the person, as a file. */
  async export() {
    return (await this.#call("GET", "/me/export", undefined, LONG_PATIENCE)).blob();
  }

  /** Erases the account and everything that was said. */
  async erase() {
    await this.#call("DELETE", "/me", undefined, LONG_PATIENCE);
    this.forget();
  }

  async logOut() {
    await this.#call("POST", "/logout");
    this.forget();
  }

  /** What this tab knows of the person is gone. */
  forget() {
    this.#access = null;
    for (const name of ["login", "session", "unsent", "draft"]) tab.drop(name);
  }
}
