// A client for the browser, React Native, Deno or Node.js that survives a lost connection.
//
//   const talk = await Talk.logIn("https://chat.example.com", "jiwoo@example.com", password, {
//     onText: (text) => show(text),        // the whole answer so far, ready to be shown
//     onSafety: (safety) => help(safety),  // somebody may be in danger: show it at once
//   });
//   const done = await talk.say("요즘 기분이 별로야.");
//
// It keeps one long-lived token. How tokens are refreshed shows src/http/web/api.js.

export type Safety = {
  tier: string;
  message: string;
  resources: { name: string; contact: string; note?: string }[];
};
export type Done = {
  step_id: string;
  step_order: number;
  status: "complete" | "cancelled" | "interrupted";
  finish_reason: "stop" | "length" | "content_filter" | null;
  created_at: string;
};
export type Listeners = {
  onText?: (text: string) => void;
  onSafety?: (safety: Safety) => void;
  onNotice?: (notice: { code: string; message: string }) => void;
};

/** Connecting again does not help after these. */
const FINAL = [1003, 1009, 4401, 4404];

export class Talk {
  sessionId?: string;
  private socket?: WebSocket;

  constructor(
    private base: string,
    private token: string,
    private on: Listeners = {},
  ) {}

  static async logIn(base: string, email: string, password: string, on: Listeners = {}): Promise<Talk> {
    const answer = await fetch(new URL("/login", base), {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ email, password }),
    });
    const body = await answer.json();
    if (!answer.ok) throw new Error(body.detail);
    return new Talk(base, body.access_token, on);
  }

  /** Ends the running answer; what there is of it is kept. */
  stop() {
    this.socket?.send(JSON.stringify({ stop: true }));
  }

  async say(words: string): Promise<Done> {
    const message = { user_input: words, message_id: crypto.randomUUID() };
    // Code points, as the server counts them: not UTF-16 units.
    let text: string[] = [];
    for (let pause = 500; ; pause = Math.min(pause * 2, 10_000)) {
      const socket = await this.open();
      const done = socket && (await this.connection(socket, message, text, (t) => (text = t)));
      if (done) return done;
      await new Promise((wake) => setTimeout(wake, pause));
    }
  }

  /** A socket, by a ticket of its own; nothing while the server cannot be reached. */
  private async open(): Promise<WebSocket | undefined> {
    const headers = { Authorization: `Bearer ${this.token}` };
    const answer = await fetch(new URL("/ws-ticket", this.base), { method: "POST", headers }).catch(() => undefined);
    if (answer?.status === 401) throw new Error("log in again");
    if (!answer?.ok) return undefined;
    const url = new URL("/ws/emotion", this.base);
    url.protocol = url.protocol.replace("http", "ws");
    url.searchParams.set("ticket", (await answer.json()).ticket);
    if (this.sessionId) url.searchParams.set("session_id", this.sessionId);
    return (this.socket = new WebSocket(url, ["deepme.v1"]));
  }

  /** One connection: the end of the turn, or nothing if the connection was lost before. */
  private connection(
    socket: WebSocket,
    message: { user_input: string; message_id: string },
    text: string[],
    keep: (text: string[]) => void,
  ): Promise<Done | undefined> {
    return new Promise((resolve, reject) => {
      const end = (done: Done) => {
        socket.close();
        resolve(done);
      };
      socket.onmessage = ({ data }) => {
        const frame = JSON.parse(data);
        if ("session_id" in frame) {
          this.sessionId = frame.session_id;
          socket.send(JSON.stringify({ ...message, received: text.length }));
        } else if ("resumed" in frame) {
          text = text.slice(0, frame.resumed.from);
          keep(text);
        } else if ("token" in frame) {
          text.push(...frame.token);
          keep(text);
          this.on.onText?.(text.join(""));
        } else if ("safety" in frame) this.on.onSafety?.(frame.safety);
        else if ("notice" in frame) this.on.onNotice?.(frame.notice);
        else if ("done" in frame) end(frame);
        else if ("error" in frame) {
          socket.close();
          reject(new Error(frame.error.message, { cause: frame.error }));
        }
      };
      socket.onclose = ({ code, reason }) => {
        if (FINAL.includes(code)) reject(new Error(reason || "log in again"));
        else resolve(undefined);
      };
    });
  }
}
