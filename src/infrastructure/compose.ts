/** What the provider itself wants on one machine: tunnels, virtual nodes, the vifs of virtual links and their labels. */
import { type ResourceDraft } from '../api/node.js';
import { type NodeShare, types } from '../api/types.js';
import { ratesOf } from '../controller/rates.js';
import { type CarriedEnd, WireComposer } from './compose-wires.js';
import { type Bodies, type View } from './kinds.js';
import { type Label, tunnelName } from './labels.js';
import { customerOf, machineOf, passes } from './ledger.js';
import { watchedNeighbour, watchedPath } from './liveness.js';
import { nameDown, ownerDown } from './rename.js';
import { Rest } from './rest.js';
import { heldOf } from './sold.js';

/** A resource, and the lease, segment, wire or neighbour that it is there for. */
export interface Part {
  readonly origin: string;
  readonly resource: ResourceDraft;
}

/**
 * @param except leases that the agent has refused, which are not to stand in the way of others
 * @param limitsOver of the virtual nodes over a leased one, in sum
 */
export function composeProvider(
  view: View,
  machine: string,
  except: ReadonlySet<string>,
  limitsOver: (lease: string) => NodeShare,
): readonly Part[] {
  const parts: Part[] = [];
  const nodes = new Map<string, string>();
  for (const node of view.all('virtualNode')) {
    if (machineOf(node) !== machine || except.has(node.name)) continue;
    const customer = customerOf(node.name);
    const name = nameDown(customer, node.node);
    if (passes(node.lease)) nodes.set(node.name, name);
    const { routeSource } = node;
    const tenant = ownerDown(customer, '');
    const held = heldOf(node.share, limitsOver(node.name));
    const resource = { virtualNode: { name, tenant, routeSource, ...held } };
    parts.push({ origin: node.name, resource });
  }
  const rest = new Rest(view);
  const ends = view
    .all('virtualLink')
    .filter((link) => passes(link.lease) && !except.has(link.name))
    .flatMap((link) => {
      const { name, mtu, payload } = link;
      const bits = soldBits(link) || rest.of(link.wires);
      return [link.a, link.b].flatMap((end) => {
        const node = nodes.get(end?.virtualNode ?? '');
        return end && node !== undefined
          ? [{ link: name, vif: `${node}/vifs/${end.vif}`, mtu, payload, bits }]
          : [];
      });
    });
  for (const segment of view.all('segment')) {
    const { name, virtualNode, vif, mtu, payload, outward, committed, releasing } = segment;
    const node = nodes.get(virtualNode);
    if (outward !== '' || !committed || releasing || node === undefined || except.has(name)) continue;
    const bits = segment.bounds?.bitsPerSecond || rest.of(segment.wires);
    ends.push({ link: name, vif: `${node}/vifs/${vif}`, mtu, payload, bits });
  }
  const wires = new WireComposer(view, machine, except);
  const neighbours = (view.get('machine', machine)?.neighbours ?? [])
    .map((neighbour): Part => {
      const origin = `${machine}/neighbours/${neighbour.name}`;
      return { origin, resource: watchedNeighbour(neighbour) };
    })
    .filter(({ origin }) => !except.has(origin));
  return [
    ...neighbours,
    ...parts,
    ...wires.wires,
    ...composeEnds(view, machine, ends, wires),
    ...wires.swaps,
    ...wires.bypasses,
  ];
}

/** A circuit has all of its wire. */
function soldBits({ kind, achieved, slo }: Bodies['virtualLink']): bigint {
  const sold = kind === types.LinkKind.LINK_KIND_CIRCUIT ? achieved : slo;
  return sold?.bitsPerSecond ?? 0n;
}

interface End {
  readonly link: string;
  /** As the agent calls it. */
  readonly vif: string;
  readonly mtu: number;
  readonly payload: Bodies['virtualLink']['payload'];
  /** That it may carry each way, a second; 0: as many as it likes. */
  readonly bits: bigint;
}

/** Each end with what carries it: a wire, or a tunnel, which links between the same machines share. */
function composeEnds(
  view: View,
  machine: string,
  ends: readonly End[],
  wires: WireComposer,
): readonly Part[] {
  const labels = new Map<string, { own?: Label; far?: { readonly label: number } }>();
  for (const label of view.all('label')) {
    if (label.link === '' || label.wire !== '') continue;
    const pair = labels.get(label.link) ?? {};
    if (label.name.startsWith(`${machine}/labels/`)) pair.own = label;
    else pair.far = label;
    labels.set(label.link, pair);
  }
  // of other providers' machines, which have told theirs
  for (const { name, link, remoteLabel } of view.all('segment')) {
    const pair = labels.get(link === '' ? name : link);
    if (pair && remoteLabel !== 0) pair.far = { label: remoteLabel };
  }
  const arrivalInterface = singleHome(view, machine);
  const tunnels = new Map<string, Part>();
  const parts: Part[] = [];
  const tunnelEnd = (origin: string): CarriedEnd | undefined => {
    const { own, far } = labels.get(origin) ?? {};
    if (!own || !far) return undefined;
    const { localAddress, remoteAddress, udpChecksum } = own;
    const tunnel = tunnelName(remoteAddress);
    if (!tunnels.has(tunnel))
      tunnels.set(tunnel, {
        // of the first link: where it is refused, each link over it is, and nothing else
        origin,
        resource: { tunnel: { name: tunnel, localAddress, remoteAddress, udpChecksum, arrivalInterface } },
      });
    return { path: { tunnel, label: far.label }, arrives: { tunnel, label: own.label } };
  };
  for (const { link: origin, vif, mtu, payload, bits } of ends) {
    const carried = wires.endOf(origin) ?? tunnelEnd(origin);
    if (!carried) continue;
    const { arrives, alsoArrives } = carried;
    parts.push({
      origin,
      resource: {
        vif: {
          name: vif,
          mtu,
          link: { paths: [watchedPath(carried, payload)], payload },
          ...ratesOf(bits, mtu),
        },
      },
    });
    for (const label of [arrives, alsoArrives])
      if (label) parts.push({ origin, resource: { label: { ...label, deliver: vif } } });
  }
  return [...tunnels.values(), ...parts];
}

/** The one interface that everything for this machine arrives at; empty where there are several. */
function singleHome(view: View, machine: string): string {
  const interfaces = new Set<string>();
  for (const { a, b } of view.all('wire'))
    for (const end of [a, b]) if (end?.machine === machine) interfaces.add(end.interface);
  for (const { end } of view.all('peering')) if (end?.machine === machine) interfaces.add(end.interface);
  const [first = '', ...more] = interfaces;
  return more.length === 0 ? first : '';
}
