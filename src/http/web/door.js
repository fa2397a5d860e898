// The way in: log in, make an account, come as a guest, set a new password with a code.
//
// One form; what it is for decides which fields there are. What this server allows (who may register, whether there
// are guests) is in the page itself, see page.js.

import { explain, t } from "./words.js";

const ENTRY = document.getElementById("entry");
const WAYS = document.getElementById("ways");
const TROUBLE = document.getElementById("entry-trouble");

export class Door {
  #api;
  #server;
  #entered;
  #way = "login";

  /** @param entered is called once somebody is logged in */
  constructor(api, server, entered) {
    this.#api = api;
    this.#server = server;
    this.#entered = entered;
    ENTRY.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    for (const button of WAYS.querySelectorAll("button")) {
      button.addEventListener("click", () => {
        if (button.dataset.way === "guest") this.#enter(() => this.#api.registerGuest());
        else {
          this.show(button.dataset.way);
          ENTRY.querySelector("label:not([hidden]) input").focus();
        }
      });
    }
  }

  /** Shows the form for a way in; `message` says why one is here. */
  show(way = this.#way, message = "") {
    this.#way = way;
    for (const part of ENTRY.querySelectorAll("[data-in]")) {
      part.hidden = !part.dataset.in.split(" ").includes(way);
    }
    const { registration, guests } = this.#server;
    document.getElementById("invite").hidden = way !== "register" || registration !== "invite";
    const offered = {
      guest: guests && way !== "reset",
      register: registration !== "closed" && way === "login",
      closed: registration === "closed" && way === "login",
      login: way !== "login",
      reset: way === "login",
    };
    for (const part of WAYS.children) part.hidden = !offered[part.dataset.way];
    const title = { login: "log_in", register: "register", reset: "reset" }[way];
    for (const part of [ENTRY.querySelector("h2"), ENTRY.querySelector("[type=submit]")]) {
      part.dataset.t = title;
      part.textContent = t(title);
    }
    // The button says it.
    ENTRY.querySelector("h2").classList.toggle("unseen", way === "login");
    const { password } = ENTRY.elements;
    password.autocomplete = way === "login" ? "current-password" : "new-password";
    this.#say(message);
  }

  #say(message, field) {
    TROUBLE.textContent = message;
    for (const input of ENTRY.querySelectorAll("input")) {
      const wrong = input.name === field;
      input.toggleAttribute("aria-invalid", wrong);
      if (wrong) input.setAttribute("aria-describedby", TROUBLE.id);
      else input.removeAttribute("aria-describedby");
    }
    if (field) ENTRY.elements[field]?.focus();
  }

  async #submit() {
    const fields = Object.fromEntries(new FormData(ENTRY));
    const work = {
      login: () => this.#api.logIn(fields.email, fields.password),
      register: () => this.#api.register(fields),
      reset: () => this.#api.resetPassword(fields),
    }[this.#way];
    await this.#enter(work);
  }

  async #enter(work) {
    const buttons = [...ENTRY.querySelectorAll("button"), ...WAYS.querySelectorAll("button")];
    for (const button of buttons) button.disabled = true;
    this.#say("");
    try {
      await work();
      ENTRY.reset();
      this.#entered();
    } catch (error) {
      // The server may have been told since the page was loaded that it wants invitations.
      if (error.code === "invite_needed") document.getElementById("invite").hidden = false;
      const field = { new_password: "password", invite_needed: "invite", wrong_credentials: "password" };
      this.#say(explain(error), field[error.code] ?? field[error.field] ?? error.field);
    } finally {
      for (const button of buttons) button.disabled = false;
    }
  }
}
