/** What is to blame for a link that does not carry: of the provider's own, what the links that carry do not pass. Pure. */
import { type Leased } from '../history/lease.js';
import { type Fault, type Violation } from '../history/violations.js';
import { type Bodies, type View } from './kinds.js';
import { machineOf } from './ledger.js';

type Link = Bodies['virtualLink'];

export interface Circumstances {
  readonly view: View;
  readonly provider: string;
  /** Links that carry now, as far as is known. */
  readonly carries: (link: string) => boolean;
}

/** What happened, as anybody may know. */
export const WORDS: Readonly<Record<Violation['what'], string>> = {
  availability: 'Nothing arrived from the other end',
  loss: 'More was lost on the way than is promised',
  delay: 'The way took longer than is promised',
  variation: 'The delay of the way varied too much',
};

export function judge(
  { view, provider, carries }: Circumstances,
  leased: Leased,
  { what }: Violation,
): { readonly cause: string; readonly fault: Fault } {
  const link = view.get('virtualLink', leased.name);
  const resources = link ? suspects(view, link, carries) : [];
  const where = resources.length === 1 ? ` by ${resources[0] ?? ''}` : '';
  return {
    cause: `${WORDS[what]}${where}.`,
    fault: { layer: 'infrastructure', provider, lease: '', resources },
  };
}

function suspects(view: View, link: Link, carries: (link: string) => boolean): readonly string[] {
  const sound = new Set(
    view
      .all('virtualLink')
      .filter(({ name }) => name !== link.name && carries(name))
      .flatMap(({ wires }) => wires),
  );
  const wires = link.wires.filter((wire) => !sound.has(wire));
  const down = machinesOf(view, link).filter(
    (name) => view.get('machine', name)?.status?.state === 'unreachable',
  );
  // where every wire of it carries others it is not a wire, or not for all that passes
  return [...down, ...(wires.length > 0 ? wires : link.wires)];
}

function machinesOf(view: View, link: Link): readonly string[] {
  const ends = [link.a, link.b].flatMap((end) => {
    const node = view.get('virtualNode', end?.virtualNode ?? '');
    return node ? [machineOf(node)] : [];
  });
  const passed = link.wires.flatMap((name) => {
    const wire = view.get('wire', name);
    return [wire?.a?.machine, wire?.b?.machine].flatMap((machine) => machine ?? []);
  });
  return [...new Set([...ends, ...passed])];
}
