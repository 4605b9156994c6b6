/**
 * Leads what can be led away from machines and wires that are to be under maintenance, back when that is over, and tells
 * customers of what stays. All of it follows from the state: a process that starts again goes on where the last one was.
 */
import { v1 } from '../api/infrastructure.js';
import { type Logger } from '../api/log.js';
import { type Clock } from '../controller/clock.js';
import { type Changed, type State } from '../controller/state.js';
import { Drained, isLsp } from './drained.js';
import { type Bodies, catalogue, type Tx, type View } from './kinds.js';
import { machineOf, passes } from './ledger.js';
import { beginMove, endMove, keeps, type Moving, takeMove, wayAround } from './move.js';
import { settle } from './settle.js';

type Link = Bodies['virtualLink'];

const { MoveStage } = v1;

/** Milliseconds for what is under way by the way of before, beyond the delay that it is known for. */
const ARRIVING = 1000;
/** Before it is tried again, where the store does not answer. */
const PAUSE = 5000;
/** Links that one transaction changes: each takes labels along. */
const BATCH = 10;

/** What is to be done with a lease. `flag`: its `maintenance` turns. */
type Step = { readonly refused?: string } & (
  { readonly kind: 'flag' | 'take' | 'end' } | { readonly kind: 'begin'; readonly wires: readonly string[] }
);

export interface MoverOptions {
  readonly state: State<Bodies>;
  readonly clock: Clock;
  readonly log: Logger;
}

export class Mover {
  readonly #options: MoverOptions;
  readonly #stop: () => void;
  readonly #timers = new Map<string, () => void>();
  /** By link: the way of before, on which nothing can be under way any more. */
  readonly #empty = new Map<string, string>();
  /** By link: the way that it stays on, for a machine has refused another; until an operator changes wires. */
  readonly #refused = new Map<string, string>();
  #running: Promise<void> | undefined;
  #again = false;
  #closed = false;

  constructor(options: MoverOptions) {
    this.#options = options;
    this.#stop = options.state.onChange((changes) => {
      if (changes.some(isAsked)) this.#refused.clear();
      if (changes.some(isConcerned)) this.#kick();
    });
    this.#kick();
  }

  /** Resolves when what is under way is done. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#stop();
    for (const stop of this.#timers.values()) stop();
    await this.#running;
  }

  #kick(): void {
    this.#again = true;
    if (this.#closed) return;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
      if (this.#again) this.#kick();
    });
  }

  async #run(): Promise<void> {
    const { state, log } = this.#options;
    while (this.#again && !this.#closed) {
      this.#again = false;
      // most changes are of no concern: they cost no transaction
      if (this.#due(state).length === 0) continue;
      try {
        await state.transact((tx) => this.#round(tx));
        this.#again = true;
      } catch (error) {
        if (this.#closed) return;
        log.error('what is to be drained cannot be', { error });
        this.#after('', PAUSE, () => undefined);
      }
    }
  }

  #round(tx: Tx): void {
    const { log } = this.#options;
    for (const { name, step } of this.#due(tx).slice(0, BATCH)) {
      const node = tx.get('virtualNode', name);
      const link = tx.get('virtualLink', name);
      if (node) tx.put('virtualNode', { ...node, maintenance: !node.maintenance });
      if (!link) continue;
      if (step.kind === 'begin')
        log.info('a link is led another way', {
          link: name,
          from: link.wires.join(' '),
          to: step.wires.join(' '),
        });
      if (step.refused !== undefined) this.#refused.set(name, step.refused);
      if (step.kind === 'end') this.#empty.delete(name);
      tx.put('virtualLink', stepped(tx, link, step));
    }
    settle(tx);
  }

  /** Leases for which there is something to be done now. */
  #due(view: View): { readonly name: string; readonly step: Step }[] {
    const moving = { view, drained: new Drained(view) };
    const nodes = view
      .all('virtualNode')
      .filter((node) => node.maintenance !== moving.drained.hasMachine(machineOf(node)))
      .map(({ name }) => ({ name, step: { kind: 'flag' } as const }));
    const links = view.all('virtualLink').flatMap((link) => {
      const step = isLsp(link) && link.move ? this.#goingOn(moving, link) : this.#fresh(moving, link);
      return step ? [{ name: link.name, step }] : [];
    });
    return [...nodes, ...links];
  }

  /** Of an lsp that is being moved. */
  #goingOn({ view, drained }: Moving, link: Link): Step | undefined {
    const { move, status } = link;
    const settled = status?.reconciling === false;
    if (move?.stage !== MoveStage.MOVE_STAGE_MAKING)
      return settled && this.#isEmpty(view, link) ? { kind: 'end' } : undefined;
    if (status?.state === 'refused') return { kind: 'end', refused: link.wires.join() };
    if (!keeps({ view, drained }, link, move.wires)) return { kind: 'end' };
    return settled ? { kind: 'take' } : undefined;
  }

  #fresh(moving: Moving, link: Link): Step | undefined {
    const on = moving.drained.isOn(link);
    const mayMove =
      isLsp(link) &&
      passes(link.lease) &&
      link.status?.reconciling === false &&
      this.#refused.get(link.name) !== link.wires.join();
    const wires = mayMove ? this.#wayOf(moving, link, on) : undefined;
    if (wires) return { kind: 'begin', wires };
    return link.maintenance === on ? undefined : { kind: 'flag' };
  }

  #wayOf(moving: Moving, link: Link, on: boolean): readonly string[] | undefined {
    if (on) return wayAround(moving, link);
    return link.home.length > 0 && keeps(moving, link, link.home) ? link.home : undefined;
  }

  /** What was sent by the way of before has had the time to arrive, since its ends were first seen to have left it. */
  #isEmpty(view: View, { name, move }: Link): boolean {
    const text = move?.wires.join() ?? '';
    if (this.#empty.get(name) === text) return true;
    const delayUs = (move?.wires ?? []).reduce(
      (sum, wire) => sum + (view.get('wire', wire)?.delayUs ?? 0),
      0,
    );
    this.#after(name, ARRIVING + Math.ceil(delayUs / 1000), () => this.#empty.set(name, text));
    return false;
  }

  #after(name: string, ms: number, work: () => void): void {
    if (this.#closed || this.#timers.has(name)) return;
    const stop = this.#options.clock.after(ms, () => {
      this.#timers.delete(name);
      work();
      this.#kick();
    });
    this.#timers.set(name, stop);
  }
}

const CONCERNED: ReadonlySet<string> = new Set(['machine', 'wire', 'peering', 'virtualNode', 'virtualLink']);

function isConcerned({ before, after }: Changed<Bodies>): boolean {
  return CONCERNED.has((after ?? before)?.kind ?? '');
}

/** An operator has changed a wire: another way may be there. */
function isAsked({ before, after }: Changed<Bodies>): boolean {
  const [was, is] = [before, after].map((item) =>
    item?.kind === 'wire' ? (item.body as Bodies['wire']) : undefined,
  );
  if (!was || !is) return was !== is;
  return !catalogue.sameSpec('wire', was, is);
}

function stepped(tx: Tx, link: Link, step: Step): Link {
  switch (step.kind) {
    case 'flag':
      return { ...link, maintenance: !link.maintenance };
    case 'begin':
      return beginMove(tx, { ...link, maintenance: false }, step.wires);
    case 'take':
      return takeMove(tx, link);
    case 'end':
      return endMove(tx, link);
  }
}
