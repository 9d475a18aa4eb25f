// Signing in and out: the form, and beside it what everybody may see.
import { getJson, send, setCsrf, type Me } from "./api";
import { el, setText } from "./dom";
import { Player } from "./player";

interface Login {
  csrf_token: string;
  user: { name: string; role: string };
}

export class Door {
  /** Whether the daemon answers questions of whoever sits here. */
  inside = false;
  private readonly name = el("input", { type: "text", name: "username", autocomplete: "username", required: true });
  private readonly password = el("input", { type: "password", name: "password", autocomplete: "current-password", required: true });
  private readonly button = el("button", { type: "submit" }, "Sign in");
  private readonly wrong = el("p", { className: "reason", hidden: true });
  private readonly form: HTMLFormElement;
  private readonly open = el("div", { className: "public" });
  private readonly element: HTMLElement;

  constructor(
    place: HTMLElement,
    private readonly leave: HTMLElement,
    private readonly turned: (inside: boolean) => void,
  ) {
    this.wrong.setAttribute("role", "alert");
    const label = (text: string, input: HTMLInputElement) => el("label", {}, text, input);
    this.form = el("form", { className: "door" }, el("h2", {}, "Sign in"), label("Name", this.name), label("Password", this.password), this.wrong, this.button);
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.enter();
    });
    this.element = el("section", { className: "entrance", hidden: true }, this.form, this.open);
    place.before(this.element);
    leave.addEventListener("click", () => void this.exit());
  }

  /** Asks who sits here. */
  async look(): Promise<void> {
    const me = await getJson<Me>("/api/auth/me");
    setCsrf(me.csrf_token ?? "");
    this.leave.hidden = !me.auth || me.user === null;
    if (me.user) setText(this.leave, `Sign out ${me.user.name}`);
    this.show(!me.auth || me.user !== null, me);
  }

  private show(inside: boolean, me: Me): void {
    this.inside = inside;
    this.element.hidden = inside;
    this.open.replaceChildren();
    if (!inside) {
      for (const camera of me.live) {
        const player = new Player(camera.playlist_url, `Picture of ${camera.name}`);
        player.setReady(true, "");
        const title = el("div", { className: "body" }, el("h2", {}, camera.name), el("span", { className: "place" }, camera.area));
        this.open.append(el("section", { className: "device" }, player.element, title));
      }
      this.name.focus();
    }
    this.turned(inside);
  }

  private async enter(): Promise<void> {
    this.button.disabled = true;
    this.wrong.hidden = true;
    try {
      const login = await send<Login>("POST", "/api/auth/login", { username: this.name.value, password: this.password.value });
      setCsrf(login.csrf_token);
      this.password.value = "";
      await this.look();
    } catch (error) {
      setText(this.wrong, error instanceof Error ? `Not signed in: ${error.message}.` : "Not signed in.");
      this.wrong.hidden = false;
      this.password.select();
    } finally {
      this.button.disabled = false;
    }
  }

  private async exit(): Promise<void> {
    // Before the session ends: what still asks would only be refused.
    this.turned(false);
    try {
      await send("POST", "/api/auth/logout", {});
    } finally {
      await this.look();
    }
  }
}
