import type { Observation } from '../../domain/convergence.ts';
import type { Asked } from '../../domain/watching.ts';
import type { Answer } from '../probe/answer.ts';

const PROBE_TIMEOUT_MS = 10_000;
const PROBE_LEAST_MS = 500;
/** After a refusal it is asked again, each time later. */
const PAUSES_MS = [100, 200, 400, 1_000];
const LONGEST_PAUSE_MS = 1_000;

export interface AskingSettings {
  /** The service that is asked. */
  service: string;
  ask: (seen: Observation, limits: { timeoutMs: number; signal: AbortSignal }) => Promise<Answer>;
  /** Ends every question. */
  signal: AbortSignal;
  /** Called once it serves. */
  onServing: () => void;
  /** Called when there is news, whatever it is. */
  onNews: () => void;
}

/** Asks an app whether it serves, beside the watching, so that an answer that takes long hides nothing from it. */
export class Asking implements Asked {
  readonly service: string;
  served: string | null = null;
  pending: string | null = null;
  refusal = 'it has not been asked yet';
  unreachable = false;
  againAt = 0;

  readonly #settings: AskingSettings;
  #underWay: AbortController | null = null;
  #refusals = 0;
  #broken: { error: unknown } | null = null;

  constructor(settings: AskingSettings) {
    this.#settings = settings;
    this.service = settings.service;
  }

  /** Asks these tasks; a question to others that is under way ends. */
  begin(tasks: string, seen: Observation, deadline: number): void {
    this.end();
    const { ask, signal, onNews } = this.#settings;
    const end = new AbortController();
    this.#underWay = end;
    this.pending = tasks;
    if (this.#refusals === 0) this.refusal = 'it was asked, and there is no answer yet';
    const timeoutMs = Math.min(PROBE_TIMEOUT_MS, Math.max(PROBE_LEAST_MS, deadline - seen.at));
    ask(seen, { timeoutMs, signal: AbortSignal.any([signal, end.signal]) })
      .then(
        (answer) => this.#hear(answer, tasks),
        (error: unknown) => {
          if (!end.signal.aborted) this.#broken = { error };
        },
      )
      .finally(() => {
        if (this.#underWay === end) this.#settle();
        onNews();
      });
  }

  /** Ends the question that is under way. */
  end(): void {
    this.#underWay?.abort();
    this.#settle();
  }

  /** Throws what broke the asking, if anything did. */
  check(): void {
    if (this.#broken !== null) throw this.#broken.error;
  }

  #settle(): void {
    this.#underWay = null;
    this.pending = null;
  }

  #hear(answer: Answer, tasks: string): void {
    if (answer.serves) {
      this.served = tasks;
      this.#settings.onServing();
      return;
    }
    this.refusal = answer.why;
    this.unreachable = answer.unreachable;
    this.againAt = Date.now() + (PAUSES_MS[this.#refusals++] ?? LONGEST_PAUSE_MS);
  }
}
