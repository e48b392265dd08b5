/** Sees errors that no code holds: what ends a process of Deno, Node or Bun. @module */
import process from "node:process";

/** Collects unhandled rejections and uncaught errors. */
export class Strays {
  #errors: unknown[] = [];
  readonly #onRejection = (error: unknown) => void this.#errors.push(error);
  readonly #onEvent = (event: PromiseRejectionEvent | ErrorEvent) => {
    event.preventDefault();
    this.#errors.push(event instanceof ErrorEvent ? event.error : event.reason);
  };
  readonly #isDeno = "Deno" in globalThis;

  /** Begins to listen. */
  listen(): void {
    if (this.#isDeno) {
      globalThis.addEventListener("unhandledrejection", this.#onEvent);
      globalThis.addEventListener("error", this.#onEvent);
      return;
    }
    process.on("unhandledRejection", this.#onRejection);
    process.on("uncaughtException", this.#onRejection);
  }

  /** Stops listening. */
  [Symbol.dispose](): void {
    if (this.#isDeno) {
      globalThis.removeEventListener("unhandledrejection", this.#onEvent);
      globalThis.removeEventListener("error", this.#onEvent);
      return;
    }
    process.off("unhandledRejection", this.#onRejection);
    process.off("uncaughtException", this.#onRejection);
  }

  /** Returns what has come since the last call. */
  take(): unknown[] {
    return this.#errors.splice(0);
  }
}
