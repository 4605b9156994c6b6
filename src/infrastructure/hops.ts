/** An explicit way from wire to wire, as an lsp or a circuit takes it. */
import { type Bodies, type View } from './kinds.js';
import { machineOf } from './ledger.js';

type Wire = Bodies['wire'];
type Link = Bodies['virtualLink'];
type Interface = NonNullable<Bodies['machine']['state']>['interfaces'][number];

/** One wire, in the direction from the link's end a to its end b. */
export interface Hop {
  readonly wire: Wire;
  readonly from: string;
  readonly to: string;
}

/** Undefined where the wires do not follow one another. */
export function hopsAlong(view: View, from: string, wires: readonly string[]): readonly Hop[] | undefined {
  const hops: Hop[] = [];
  let at = from;
  for (const name of wires) {
    const wire = view.get('wire', name);
    const [a, b] = [wire?.a?.machine, wire?.b?.machine];
    if (!wire || a === undefined || b === undefined || (a !== at && b !== at)) return undefined;
    const to = a === at ? b : a;
    hops.push({ wire, from: at, to });
    at = to;
  }
  return hops;
}

export interface LinkWay {
  readonly hops: readonly Hop[];
  /** It is the one that the link's `move` tells of. */
  readonly otherWay: boolean;
}

/** Of a leased lsp or circuit: the way that carries it first, then, while it is being moved, the other one. */
export function waysOf(view: View, link: Link): readonly LinkWay[] {
  const node = view.get('virtualNode', link.a?.virtualNode ?? '');
  if (!node) return [];
  return [link.wires, link.move?.wires ?? []].flatMap((wires, i): LinkWay[] => {
    const hops = wires.length > 0 ? hopsAlong(view, machineOf(node), wires) : undefined;
    return hops ? [{ hops, otherWay: i > 0 }] : [];
  });
}

/** What the machine's agent has told of its end of the wire: where labels come and go. */
export function portOf(view: View, wire: Wire, machine: string): Interface | undefined {
  const name = interfaceOf(wire, machine);
  const { state } = view.get('machine', machine) ?? {};
  return state?.interfaces.find((one) => one.name === name && one.role === 'underlay' && one.mac !== '');
}

export function interfaceOf({ a, b }: Wire, machine: string): string {
  return (a?.machine === machine ? a : b)?.interface ?? '';
}

/** Both ends have been told of. */
export function takesLabels(view: View, wire: Wire): boolean {
  return [wire.a, wire.b].every((end) => end && portOf(view, wire, end.machine) !== undefined);
}
