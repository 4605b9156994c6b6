/**
 * The label table: what a label means in the context it arrives in (RFC 5331). Two-choice hashing: a label is put
 * into the emptier of its two buckets and never moved, so that the programs read without a lock (bpf/labels.h).
 */
import { type BpfMap } from '../../native/lib/index.js';
import { LabelAction, LabelBucket, LabelSlot, Limit } from '../../gen/layout.js';
import { bucketsOf } from './buckets.js';
import { DataPlaneError, wrongArgument } from './errors.js';
import { type Recyclable } from './pool.js';

const SLOTS = Limit.LIMIT_LABEL_SLOTS;
const FIRST = Limit.LIMIT_FIRST_LABEL;
const LAST = 0xfffff;
const WORDS = LabelSlot.size / 4;
const LABEL = LabelSlot.offsets.label / 4;
const CONTEXT = LabelSlot.offsets.context / 4;
const ACTION = LabelSlot.offsets.action / 4;
const TARGET = LabelSlot.offsets.target / 4;

/** bpf/tables.h: CONTEXT_TUNNEL, CONTEXT_WIRE. */
const CONTEXT_TUNNEL = 0x80000000;
const CONTEXT_WIRE = 0x40000000;

/** The context of labels that arrive by a tunnel. */
export function tunnelContext(tunnel: number): number {
  return (CONTEXT_TUNNEL | tunnel) >>> 0;
}

/** The context of labels that arrive right on a wire. */
export function wireContext(wire: number): number {
  return CONTEXT_WIRE | wire;
}

/** The context of labels that arrive at a vif. */
export function vifContext(vif: number): number {
  return vif;
}

/** By id: what frames leave by below their labels, and what gives arriving labels their meaning. */
export type Carrier = { readonly tunnel: number } | { readonly wire: number } | { readonly vif: number };

/** Which of the three a context is. */
export function contextOwner(context: number): Carrier {
  if (context >= CONTEXT_TUNNEL) return { tunnel: context - CONTEXT_TUNNEL };
  return context >= CONTEXT_WIRE ? { wire: context - CONTEXT_WIRE } : { vif: context };
}

export function contextOf(carrier: Carrier): number {
  if ('tunnel' in carrier) return tunnelContext(carrier.tunnel);
  return 'wire' in carrier ? wireContext(carrier.wire) : vifContext(carrier.vif);
}

export interface LabelKey {
  /** `tunnelContext(id)`, `wireContext(id)` or `vifContext(id)`. */
  readonly context: number;
  /** 16 to 1048575. */
  readonly label: number;
}

export type LabelVerb = 'deliver' | 'swap' | 'pop';

const ACTIONS = {
  deliver: LabelAction.LABEL_DELIVER,
  swap: LabelAction.LABEL_SWAP,
  pop: LabelAction.LABEL_POP,
} as const;

export interface Label extends LabelKey {
  /** `deliver`: has arrived at vif `target`; `swap`: goes on by path `target`; `pop`: the next label is of context `target`. */
  readonly action: LabelVerb;
  readonly target: number;
}

export interface PlacedLabel extends Label {
  /** Number of the slot, the label's id in the table of names. */
  readonly slot: number;
}

export interface LabelTableOptions {
  /** Called when a slot's label was removed. */
  readonly vacated: (slot: number) => void;
  /** Resolves when nothing removed before is in a program's hands. */
  readonly grace: () => Promise<void>;
}

export class LabelTable implements Recyclable {
  /** Slots. Of labels chosen blindly the first finds no place when about half of them are taken. */
  readonly capacity: number;
  readonly #words: Uint32Array;
  readonly #mask: number;
  readonly #options: LabelTableOptions;
  /** Slots by context and label. */
  readonly #slots = new Map<number, number>();
  /** 1: no program may be led here yet. */
  readonly #waiting: Uint8Array;
  /** Sessions that count what arrives, by context and label: they stay, whatever becomes of the label's meaning. */
  readonly #marks = new Map<number, number>();
  #removed: number[] = [];

  constructor(map: BpfMap, options: LabelTableOptions) {
    if (map.valueSize !== LabelBucket.size) throw wrongArgument('labels', map.name, 'a map of label buckets');
    this.#words = new Uint32Array(map.mmap());
    this.#mask = map.maxEntries - 1;
    this.capacity = map.maxEntries * SLOTS;
    this.#waiting = new Uint8Array(this.capacity);
    this.#options = options;
  }

  get size(): number {
    return this.#slots.size;
  }

  /** Bytes of kernel memory. */
  get bytes(): number {
    return this.#words.byteLength;
  }

  /** At adoption: takes over what is there. Half-removed slots must be cleared by `sweep`. */
  adopt(): void {
    for (let slot = 0; slot < this.capacity; slot++) {
      const label = this.#word(slot, LABEL);
      if (label === 0) continue;
      const key = keyOf(this.#word(slot, CONTEXT), label);
      const mark = this.#word(slot, ACTION) >>> Limit.LIMIT_LABEL_SESSION_SHIFT;
      if (mark !== 0) this.#marks.set(key, mark);
      // a label with two meanings was being replaced
      if (this.#slots.has(key)) this.#vacate(slot);
      else this.#slots.set(key, slot);
    }
  }

  /** At adoption, after a grace period: clears slots without a label. */
  sweep(): void {
    for (let slot = 0; slot < this.capacity; slot++) {
      if (this.#word(slot, LABEL) === 0 && this.#waiting[slot] === 0) this.#clear(slot);
    }
  }

  /**
   * Gives a label a meaning; its slot. `LABEL_IN_USE` when it has one in this context, `LABEL_SPACE` when both its
   * buckets are full: another label then fits.
   */
  insert(entry: Label): number {
    checkLabel(entry, 'labels.insert');
    const key = keyOf(entry.context, entry.label);
    if (this.#slots.has(key))
      throw labelError('LABEL_IN_USE', 'labels.insert', entry, 'has a meaning already');
    const slot = this.#place(entry);
    this.#slots.set(key, slot);
    return slot;
  }

  /** The label means nothing any more; false when it did not before. */
  remove(key: LabelKey): boolean {
    const at = keyOf(key.context, key.label);
    const slot = this.#slots.get(at);
    if (slot === undefined) return false;
    this.#slots.delete(at);
    this.#vacate(slot);
    return true;
  }

  /**
   * Gives a label another meaning without a moment in which it has none; its slot, which may be a new one.
   * `LABEL_UNKNOWN` when it has none, `LABEL_SPACE` when another action needs a slot and there is none.
   */
  async replace(entry: Label): Promise<number> {
    checkLabel(entry, 'labels.replace');
    const key = keyOf(entry.context, entry.label);
    const slot = this.#slots.get(key);
    if (slot === undefined) throw labelError('LABEL_UNKNOWN', 'labels.replace', entry, 'has no meaning yet');
    if (this.#read(slot).action === entry.action) {
      this.#store(slot, TARGET, entry.target);
      return slot;
    }
    // two words: the new meaning stands beside the old one until no program searches from before
    const second = this.#place(entry);
    this.#slots.set(key, second);
    await this.#options.grace();
    this.#vacate(slot);
    return second;
  }

  /** A session counts what arrives with the label, now or when the label has a meaning; 0: none does any more. */
  mark({ context, label }: LabelKey, session: number): void {
    const key = keyOf(context, label);
    if (session === 0) this.#marks.delete(key);
    else this.#marks.set(key, session);
    const slot = this.#slots.get(key);
    if (slot !== undefined) this.#store(slot, ACTION, this.#actionWord(key, this.#read(slot).action));
  }

  #actionWord(key: number, action: Label['action']): number {
    return (ACTIONS[action] | ((this.#marks.get(key) ?? 0) << Limit.LIMIT_LABEL_SESSION_SHIFT)) >>> 0;
  }

  get(key: LabelKey): PlacedLabel | undefined {
    const slot = this.#slots.get(keyOf(key.context, key.label));
    return slot === undefined ? undefined : this.#read(slot);
  }

  *entries(): Generator<PlacedLabel, void, undefined> {
    for (const slot of this.#slots.values()) yield this.#read(slot);
  }

  retire(): Array<() => void> {
    const slots = this.#removed;
    if (slots.length === 0) return [];
    this.#removed = [];
    const recycle = (): void => {
      for (const slot of slots) {
        this.#clear(slot);
        this.#waiting[slot] = 0;
      }
    };
    return [recycle];
  }

  #place(entry: Label): number {
    const [one, two] = bucketsOf(entry.context, entry.label, this.#mask);
    const first = this.#freeIn(one);
    const second = this.#freeIn(two);
    const slot = second.count > first.count ? second.slot : first.slot;
    if (slot < 0)
      throw labelError('LABEL_SPACE', 'labels.insert', entry, 'finds both its buckets full: choose another');
    this.#store(slot, TARGET, entry.target);
    this.#store(slot, ACTION, this.#actionWord(keyOf(entry.context, entry.label), entry.action));
    this.#store(slot, CONTEXT, entry.context);
    this.#store(slot, LABEL, entry.label);
    return slot;
  }

  #freeIn(bucket: number): { slot: number; count: number } {
    let slot = -1;
    let count = 0;
    for (let i = (bucket + 1) * SLOTS - 1; i >= bucket * SLOTS; i--) {
      if (this.#word(i, LABEL) !== 0 || this.#waiting[i] !== 0) continue;
      slot = i;
      count++;
    }
    return { slot, count };
  }

  #vacate(slot: number): void {
    this.#store(slot, LABEL, 0);
    this.#waiting[slot] = 1;
    this.#removed.push(slot);
    this.#options.vacated(slot);
  }

  #clear(slot: number): void {
    for (const word of [TARGET, ACTION, CONTEXT])
      if (this.#word(slot, word) !== 0) this.#store(slot, word, 0);
  }

  #read(slot: number): PlacedLabel {
    const kind = this.#word(slot, ACTION) & ((1 << Limit.LIMIT_LABEL_SESSION_SHIFT) - 1);
    const action = verbOf(kind);
    const [context, label, target] = [
      this.#word(slot, CONTEXT),
      this.#word(slot, LABEL),
      this.#word(slot, TARGET),
    ];
    return { context, label, action, target, slot };
  }

  #word(slot: number, word: number): number {
    return this.#words[slot * WORDS + word] ?? 0;
  }

  #store(slot: number, word: number, value: number): void {
    Atomics.store(this.#words, slot * WORDS + word, value);
  }
}

function keyOf(context: number, label: number): number {
  return context * (LAST + 1) + label;
}

/** Of a slot that is not in use: whichever. */
function verbOf(action: number): LabelVerb {
  if (action === LabelAction.LABEL_SWAP) return 'swap';
  return action === LabelAction.LABEL_POP ? 'pop' : 'deliver';
}

function checkLabel(entry: Label, operation: string): void {
  const { context, label, action, target } = entry;
  if (!isWord(context) || context === 0)
    throw wrongArgument(operation, 'context', 'tunnelContext(id), wireContext(id) or vifContext(id)');
  if (!Number.isInteger(label) || label < FIRST || label > LAST) {
    throw wrongArgument(operation, 'label', `an integer from ${FIRST} to ${LAST}`);
  }
  if (!Object.hasOwn(ACTIONS, action)) throw wrongArgument(operation, 'action', "'deliver', 'swap' or 'pop'");
  if (!isWord(target) || target === 0)
    throw wrongArgument(operation, 'target', 'the id of a vif or path, or a context');
}

function isWord(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= 0xffffffff;
}

function labelError(
  code: 'LABEL_SPACE' | 'LABEL_IN_USE' | 'LABEL_UNKNOWN',
  operation: string,
  { context, label }: LabelKey,
  detail: string,
): DataPlaneError {
  const where = Object.entries(contextOwner(context)).flat().join(' ');
  return new DataPlaneError({ code, operation, subject: `label ${label} of ${where}`, detail });
}
