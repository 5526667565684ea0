// Asks again and again for as long as somebody looks: every five seconds, later after errors, not in a hidden tab.

export const USUAL = 5_000;
const MOST = 60_000;

export class Pulse {
  #timer = 0;
  #failures = 0;
  #controller = null;
  #running = false;
  #paused = false;

  /**
   * `turn(signal)` asks for everything once and throws where something failed; `told({state, next, error})` hears how it
   * stands: waiting, live, failing (`next`: epoch milliseconds of the next try), paused or hidden.
   */
  constructor(turn, told) {
    this.turn = turn;
    this.told = told;
    document.addEventListener("visibilitychange", () => this.#looked());
    addEventListener("online", () => this.#running && this.#failures && this.now());
  }

  get paused() {
    return this.#paused;
  }

  start() {
    this.#running = true;
    this.#failures = 0;
    this.#looked();
  }

  stop() {
    this.#running = false;
    this.#halt();
  }

  pause(paused) {
    this.#paused = paused;
    this.#looked();
  }

  /** Ask now, in place of whatever is under way; also in a pause, once. */
  async now() {
    this.#halt();
    const controller = (this.#controller = new AbortController());
    try {
      await this.turn(controller.signal);
      if (controller.signal.aborted) return;
      this.#failures = 0;
      this.#later(USUAL, { state: "live" });
    } catch (error) {
      if (controller.signal.aborted) return;
      this.#failures += 1;
      const usual = Math.min(MOST, USUAL * 2 ** (this.#failures - 1));
      const asked = (error.retryAfter ?? 0) * 1000;
      // Not all tabs at the same moment, when a gateway comes back.
      this.#later(Math.max(asked, usual * (0.9 + 0.2 * Math.random())), { state: "failing", error });
    }
  }

  #later(delay, told) {
    if (!this.#running) return;
    if (this.#paused && told.state === "live") return this.told({ state: "paused" });
    if (this.#paused) return this.told({ ...told, next: null });
    this.#timer = setTimeout(() => this.now(), delay);
    this.told({ ...told, next: Date.now() + delay });
  }

  #looked() {
    this.#halt();
    if (!this.#running) return;
    if (document.hidden) this.told({ state: "hidden" });
    else if (this.#paused) this.told({ state: "paused" });
    else this.now();
  }

  #halt() {
    clearTimeout(this.#timer);
    this.#controller?.abort();
    this.#controller = null;
  }
}
