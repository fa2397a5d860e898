// The drawer: past conversations, how they felt of late, the language, and the person's rights (take everything along, erase everything).

import { make } from "./log.js";
import { sure } from "./sure.js";
import { explain, moment, t } from "./words.js";

const by = (id) => document.getElementById(id);

export class Drawer {
  #api;
  #on;
  #dialog = by("drawer");
  #next = null;
  #open = null;

  /** @param on `chosen(session)`, `trend()` and `left(why)`, with the name of the text that says so */
  constructor(api, on) {
    this.#api = api;
    this.#on = on;
    this.#dialog.querySelector(".close").addEventListener("click", () => this.#dialog.close());
    // Beside the drawer is out of it.
    this.#dialog.addEventListener("click", ({ target }) => target === this.#dialog && this.#dialog.close());
    by("more").addEventListener("click", () => this.#load(this.#next));
    by("lately").addEventListener("click", () => {
      this.#dialog.close();
      this.#on.trend();
    });
    by("export").addEventListener("click", () => this.#export());
    by("out").addEventListener("click", () => this.#logOut());
    by("erase").addEventListener("click", () => {
      sure({ title: "erase_title", text: "erase_text", yes: "erase_yes" }, async () => {
        await this.#api.erase();
        this.#leave("erased");
      });
    });
  }

  /** @param sessionId the conversation that is open */
  show(sessionId) {
    const { name, guest } = this.#api.person;
    this.#open = sessionId;
    by("who").textContent = guest ? t("guest") : name;
    by("sessions").replaceChildren();
    by("none").hidden = true;
    this.#dialog.showModal();
    this.#load();
  }

  async #load(path) {
    by("more").hidden = true;
    await this.#try(async () => {
      const { sessions, next } = await this.#api.sessions(path);
      this.#next = next;
      by("sessions").append(...sessions.map((session) => this.#item(session)));
      by("none").hidden = by("sessions").childElementCount > 0;
      by("more").hidden = !next;
    });
  }

  #item(session) {
    // No words of the conversation itself: somebody may be looking over the shoulder.
    const about = [session.emotion_label, session.topic].filter(Boolean).join(" · ");
    const button = make(
      "button",
      { type: "button" },
      make("span", { text: moment(session.started_at) }),
      ...(about ? [make("small", { text: about })] : []),
    );
    if (session.session_id === this.#open) button.setAttribute("aria-current", "true");
    button.addEventListener("click", () => {
      this.#dialog.close();
      this.#on.chosen(session);
    });
    return make("li", {}, button);
  }

  async #try(work) {
    by("drawer-trouble").textContent = "";
    try {
      await work();
    } catch (error) {
      if (error.status === 401) this.#leave("login_over");
      else by("drawer-trouble").textContent = explain(error);
    }
  }

  /** The token goes in a header, so this cannot be a plain link. */
  async #export() {
    by("export").disabled = true;
    by("export").textContent = t("exporting");
    await this.#try(async () => {
      const file = URL.createObjectURL(await this.#api.export());
      make("a", { href: file, download: "deepme-export.json" }).click();
      setTimeout(() => URL.revokeObjectURL(file), 60_000);
    });
    by("export").disabled = false;
    by("export").textContent = t("export");
  }

  #logOut() {
    const out = async () => {
      // Out of here even if the server cannot be told; its login then ends by itself.
      await this.#api.logOut().catch(() => this.#api.forget());
      this.#leave("logged_out");
    };
    if (this.#api.person?.guest) sure({ title: "leave_title", text: "leave_guest", yes: "leave_yes" }, out);
    else out();
  }

  #leave(why) {
    this.#dialog.close();
    this.#on.left(why);
  }
}
