/** What is to be under maintenance, and what passes it. Pure. */
import { types } from '../api/types.js';
import { type Bodies, type View } from './kinds.js';
import { machineOf } from './ledger.js';

type Link = Bodies['virtualLink'];

export class Drained {
  readonly #view: View;
  readonly #machines: ReadonlySet<string>;
  readonly #wires: ReadonlySet<string>;

  constructor(view: View) {
    const names = (list: readonly { readonly name: string; readonly drain: boolean }[]): string[] =>
      list.flatMap(({ name, drain }) => (drain ? [name] : []));
    this.#view = view;
    this.#machines = new Set(names(view.all('machine')));
    this.#wires = new Set([...names(view.all('wire')), ...names(view.all('peering'))]);
  }

  hasMachine(name: string): boolean {
    return this.#machines.has(name);
  }

  /** For a way between these machines, which it cannot avoid. `wire`: a wire or a peering. */
  isClosed(wire: string, ends: readonly string[]): boolean {
    if (this.#wires.has(wire)) return true;
    if (this.#machines.size === 0) return false;
    const { a, b } = this.#view.get('wire', wire) ?? {};
    return [a, b, this.#view.get('peering', wire)?.end].some(
      (end) => end && this.#machines.has(end.machine) && !ends.includes(end.machine),
    );
  }

  /** Whether the link passes something of it between its ends. */
  isOn(link: Link): boolean {
    const ends = endsOf(this.#view, link);
    return link.wires.some((wire) => this.isClosed(wire, ends));
  }
}

/** Machines here at which the link ends. */
export function endsOf(view: View, link: Link): readonly string[] {
  return [link.a, link.b].flatMap((end) => {
    const node = end?.provider === '' ? view.get('virtualNode', end.virtualNode) : undefined;
    return node ? [machineOf(node)] : [];
  });
}

export function isLsp({ kind }: Link): boolean {
  return kind === types.LinkKind.LINK_KIND_LSP;
}
