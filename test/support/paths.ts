/** Paths as machines would tell of them, made up: each with a session that a test lets fail and come back. */
import { type Draft } from '../../src/api/message.js';
import { v1 } from '../../src/api/node.js';

type PathDraft = Draft<(typeof v1.PathState)['prototype']>;
type Measurement = NonNullable<PathDraft['measurement']>;

const { SESSION_STATE_UP, SESSION_STATE_DOWN } = v1.SessionState;

interface Session {
  readonly vif: string;
  readonly index: number;
  up: boolean;
  since: number;
  failures: number;
  lastHeard: number;
  measurement: Measurement | undefined;
}

export class MadeUpPaths {
  readonly #sessions = new Map<string, Session>();
  /** When machines were switched on, milliseconds since 1970: their clocks count from then. */
  readonly #boot: number;

  constructor(boot: number) {
    this.#boot = boot;
  }

  /** Up since the machine was switched on. */
  add(...vifs: readonly string[]): void {
    for (const vif of vifs)
      for (const index of [0, 1])
        this.#sessions.set(`${vif} ${index}`, {
          ...{ vif, index, up: true, since: this.#boot, failures: 0, lastHeard: 0, measurement: undefined },
        });
  }

  /** `at`: the last sign of life; milliseconds since 1970. `index`: which path; all, if it is left out. */
  fail(at: number, vif: string, index?: number): void {
    for (const session of this.#of(vif, index)) {
      if (!session.up) continue;
      Object.assign(session, { up: false, since: at + 150, lastHeard: at });
      session.failures++;
    }
  }

  recover(at: number, vif: string, index?: number): void {
    for (const session of this.#of(vif, index)) Object.assign(session, { up: true, since: at });
  }

  measure(vif: string, measurement: Measurement): void {
    for (const session of this.#of(vif, 0)) session.measurement = measurement;
  }

  clockNs(now: number): bigint {
    return BigInt(now - this.#boot) * 1_000_000n;
  }

  rows(now: number): PathDraft[] {
    const ns = (time: number): bigint => (time === 0 ? 0n : this.clockNs(time));
    if (now < this.#boot) return [];
    return [...this.#sessions.values()].map(
      ({ vif, index, up, since, failures, lastHeard, measurement }) => ({
        vif,
        index,
        owner: 'somebody',
        below: ['tunnels/secret', 'eth1'],
        path: { tunnel: 'tunnels/secret', label: 4242 },
        state: up ? 'up' : 'tunnels/secret: no liveness',
        inUse: index === 0,
        liveness: {
          state: up ? SESSION_STATE_UP : SESSION_STATE_DOWN,
          discriminator: 7 + index,
          sinceNs: ns(since),
          failures,
          failedNs: lastHeard === 0 ? 0n : ns(lastHeard + 150),
          lastHeardNs: ns(lastHeard),
        },
        ...(measurement && { measurement }),
      }),
    );
  }

  #of(vif: string, index: number | undefined): readonly Session[] {
    return [...this.#sessions.values()].filter(
      (one) => one.vif === vif && (index === undefined || one.index === index),
    );
  }
}
