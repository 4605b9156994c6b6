/**
 * What lsps and circuits are on one machine: wires, the ends of links, the labels that it swaps for others, and the ways
 * around wires that are cut.
 */
import { type ResourceDraft } from '../api/node.js';
import { types } from '../api/types.js';
import { v1 as node } from '../api/node.js';
import { type Hop, hopsAlong, interfaceOf, type LinkWay, portOf, waysOf } from './hops.js';
import { type Bodies, type View } from './kinds.js';
import { passes } from './ledger.js';
import { watchedWire } from './liveness.js';
import { WireLabels } from './wire-labels.js';

const { LinkKind } = types;

type Link = Bodies['virtualLink'];
type Wire = Bodies['wire'];
/** A link, or what leads around a wire, and bears its name. */
type Switched = Pick<Link, 'name' | 'kind'> & { readonly unrepaired?: true };

/** A resource, and the link that it is there for. */
interface WirePart {
  readonly origin: string;
  readonly resource: ResourceDraft;
}

/** In the context of a wire or a tunnel. */
type InContext = { readonly label: number } & ({ readonly wire: string } | { readonly tunnel: string });

/** Where a link ends on this machine: what its vif's path is made of, and what brings its frames. */
export interface CarriedEnd {
  readonly path: InContext;
  /** Of a circuit there is none. */
  readonly arrives: InContext | undefined;
  /** What brings its frames by the other way, while it is being moved. */
  readonly alsoArrives?: InContext | undefined;
}

export function byWire({ kind }: Link): boolean {
  return kind === LinkKind.LINK_KIND_LSP || kind === LinkKind.LINK_KIND_CIRCUIT;
}

/** Made once for each machine and round. */
export class WireComposer {
  readonly #view: View;
  readonly #machine: string;
  readonly #labels: WireLabels;
  readonly #wires = new Map<string, WirePart>();
  readonly #swaps: WirePart[] = [];
  /** Wires with a bypass, and those that one leads over. */
  readonly #watched = new Map<string, Wire>();
  readonly #bypassed: string[] = [];
  readonly #ends = new Map<string, CarriedEnd>();

  constructor(view: View, machine: string, except: ReadonlySet<string>) {
    this.#view = view;
    this.#machine = machine;
    this.#labels = new WireLabels(view);
    for (const link of view.all('virtualLink'))
      if (byWire(link) && passes(link.lease) && !except.has(link.name))
        for (const { hops, otherWay } of waysOf(view, link)) this.#along(link, hops, otherWay);
    for (const wire of view.all('wire'))
      if (wire.bypass.length > 0 && !except.has(wire.name)) this.#around(wire);
  }

  /** Undefined: the link is none of these, or does not end here. */
  endOf(link: string): CarriedEnd | undefined {
    return this.#ends.get(link);
  }

  /** Before all that stands on them. */
  get wires(): readonly WirePart[] {
    return [...this.#wires.values()].map((part): WirePart => {
      const { wire } = part.resource;
      const { path } = this.#ends.get(wire?.name ?? '') ?? {};
      if (!wire || !path || !('wire' in path)) return part;
      return { origin: part.origin, resource: { wire: { ...wire, bypass: path } } };
    });
  }

  /** What watches wires, and where bypasses around wires of this machine end. */
  get bypasses(): readonly WirePart[] {
    const watched = Array.from(this.#watched.values(), (wire) => ({
      origin: wire.name,
      resource: watchedWire(wire),
    }));
    const ended = this.#bypassed.flatMap((name): WirePart[] => {
      const { arrives } = this.#ends.get(name) ?? {};
      return arrives ? [{ origin: name, resource: { label: { ...arrives, continueOn: name } } }] : [];
    });
    return [...watched, ...ended];
  }

  get swaps(): readonly WirePart[] {
    return this.#swaps;
  }

  #along(link: Switched, hops: readonly Hop[], otherWay: LinkWay['otherWay']): void {
    for (const [i, hop] of hops.entries()) {
      if (hop.to === this.#machine) this.#pass(link, otherWay, hop, hops[i + 1]);
      if (i === 0 && hop.from === this.#machine) this.#pass(link, otherWay, undefined, hop);
    }
  }

  #around(wire: Wire): void {
    const ends = [wire.a?.machine ?? '', wire.b?.machine ?? ''];
    const hops = hopsAlong(this.#view, ends[0] ?? '', wire.bypass) ?? [];
    this.#along({ name: wire.name, kind: LinkKind.LINK_KIND_LSP, unrepaired: true }, hops, false);
    const concerned = [{ wire, from: ends[0], to: ends[1] }, ...hops];
    for (const { wire: one, from, to } of concerned)
      if (from === this.#machine || to === this.#machine) this.#watched.set(one.name, one);
    if (ends.includes(this.#machine)) this.#bypassed.push(wire.name);
  }

  /** `before` and `after`: towards the link's ends a and b. */
  #pass(
    link: Switched,
    otherWay: LinkWay['otherWay'],
    before: Hop | undefined,
    after: Hop | undefined,
  ): void {
    const labelAt = (machine: string, { wire }: Hop): number | undefined =>
      this.#labels.of(link.name, machine, wire.name, otherWay);
    const own = (hop: Hop): number | undefined => labelAt(this.#machine, hop);
    const far = (hop: Hop): number | undefined =>
      labelAt(hop.from === this.#machine ? hop.to : hop.from, hop);
    for (const hop of [before, after]) if (hop) this.#wire(link, hop);
    const end = before && after ? undefined : (before ?? after);
    if (end) {
      const [arriving, leaving] = [own(end), far(end)];
      if (arriving === undefined || leaving === undefined) return;
      const wire = end.wire.name;
      const arrives = arriving === 0 ? undefined : { wire, label: arriving };
      const known = this.#ends.get(link.name);
      // nothing is sent by the other way, and what comes by it is taken
      if (otherWay && known) this.#ends.set(link.name, { ...known, alsoArrives: arrives });
      if (!otherWay) this.#ends.set(link.name, { path: { wire, label: leaving }, arrives });
    } else if (before && after) {
      this.#swap(link, [before.wire.name, own(before)], [after.wire.name, far(after)]);
      this.#swap(link, [after.wire.name, own(after)], [before.wire.name, far(before)]);
    }
  }

  #swap(
    link: Switched,
    [wire, label]: [string, number | undefined],
    [on, next]: [string, number | undefined],
  ): void {
    if (label === undefined || next === undefined) return;
    const { unrepaired } = link;
    const swap = { wire: on, label: next, ...(unrepaired && { unrepaired }) };
    const resource = { label: { wire, label, swap } };
    this.#swaps.push({ origin: link.name, resource });
  }

  /** Links over the same wire share it: where it is refused, each of them is, and nothing else. */
  #wire({ name: origin, kind }: Switched, { wire, from, to }: Hop): void {
    const { name } = wire;
    if (this.#wires.has(name)) return;
    const far = portOf(this.#view, wire, from === this.#machine ? to : from);
    const lsp = kind === LinkKind.LINK_KIND_LSP;
    const resource = {
      wire: {
        name,
        kind: lsp ? node.WireKind.WIRE_KIND_LSP : node.WireKind.WIRE_KIND_CIRCUIT,
        interface: interfaceOf(wire, this.#machine),
        // without one the agent refuses it, and says so
        ...(far && { neighbourMac: far.mac }),
      },
    };
    this.#wires.set(name, { origin, resource });
  }
}
