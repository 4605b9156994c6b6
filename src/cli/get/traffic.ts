/** `cabernet get`: where packets go, how many went there, and which went nowhere. */
import type { Row } from '../output.js';
import type { PathState } from '../../world/index.js';
import { type Found, type Kind, rowsOf } from './kind.js';
import { short } from '../names.js';
import { byName } from './network.js';
import { delay, describeImpairment } from '../units.js';

export const routes: Kind = {
  columns: [
    { key: 'node', title: 'NODE' },
    { key: 'destination', title: 'DESTINATION' },
    { key: 'nextHops', title: 'NEXT HOPS' },
    { key: 'source', title: 'SOURCE' },
  ],
  async read(_, agents) {
    const { answers, silent } = await agents.ask(async (agent) => {
      const names = (await agent.nodes()).map((node) => node.virtualNode?.name ?? '');
      return (await Promise.all(names.map((name) => agent.routes(name)))).flat();
    });
    const found = rowsOf(answers, ({ route, source }, machine): Found => {
      const node = short(route?.node ?? '');
      const hops = route?.nextHops.map((hop) => {
        const vif = hop.vif.replace(/^.*\/vifs\//, '');
        const weight = hop.weight > 1 ? ` weight ${hop.weight}` : '';
        return `${hop.gateway ? `${hop.gateway} ` : ''}${vif}${weight}`;
      });
      const nextHops = hops && hops.length > 0 ? hops.join(', ') : (TYPES[route?.type ?? 0] ?? '');
      return {
        row: { node, machine, destination: route?.destination ?? '', nextHops, source },
        names: [node, machine],
      };
    });
    return { found: byName(found, 'node'), silent };
  },
};

type Liveness = NonNullable<PathState['liveness']>;

type Measurement = NonNullable<PathState['measurement']>;

/** Whether it is taken now, how it is watched and how it does: empty where nobody does. */
function useOf({
  inUse,
  liveness,
  measurement,
}: Pick<PathState, 'inUse'> & { readonly liveness?: Liveness; readonly measurement?: Measurement }): Row {
  return {
    used: inUse ? 'yes' : 'no',
    watched: liveness ? watchedBy(liveness) : '',
    measured: measurement ? figuresOf(measurement) : '',
    ...(measurement && {
      lossPpm: Math.max(measurement.received?.lossPpm ?? 0, measurement.sent?.lossPpm ?? 0),
      delayUs: measurement.delayUs,
      variationUs: Math.max(measurement.received?.variationUs ?? 0, measurement.sent?.variationUs ?? 0),
      degraded: measurement.degraded,
    }),
    failures: liveness?.failures ?? '',
    failedNs: liveness ? String(liveness.failedNs) : '',
    lastHeardNs: liveness ? String(liveness.lastHeardNs) : '',
  };
}

function watchedBy({ intervalUs, detectionUs }: Liveness): string {
  if (intervalUs === 0) return 'not yet';
  return `every ${delay(intervalUs)}, down after ${delay(Number(detectionUs))}`;
}

/** Loss in and out, delay there and back: `loss 0 % / 3.1 %, 812 µs`; and what is broken. */
function figuresOf(measurement: Measurement): string {
  const { received, sent, delayUs, degraded, breaksLoss, breaksDelay, breaksVariation } = measurement;
  const broken = [breaksLoss ? 'loss' : '', breaksDelay ? 'delay' : '', breaksVariation ? 'variation' : ''];
  const why = broken.filter((word) => word !== '').join(', ');
  const loss = `loss ${percent(received?.lossPpm ?? 0)} / ${percent(sent?.lossPpm ?? 0)}`;
  const figures = delayUs === 0 ? loss : `${loss}, ${delay(delayUs)}`;
  if (degraded) return `${figures}, left for its ${why || 'past'}`;
  return why === '' ? figures : `${figures}, too much ${why}`;
}

function percent(ppm: number): string {
  return `${Number((ppm / 10_000).toFixed(2))} %`;
}

/** Of a link that has received copies (1+1): what became of them, the same at each of its paths. */
function mergeOf({ merge }: { readonly merge?: PathState['merge'] }): Row {
  if (!merge) return {};
  const { merged, duplicates, late, resets } = merge;
  return {
    merged: String(merged),
    duplicates: String(duplicates),
    late: String(late),
    resets: String(resets),
  };
}

/** By the API's RouteType. */
const TYPES = ['', '', 'blackhole', 'unreachable', 'local'];

export const paths: Kind = {
  columns: [
    { key: 'vif', title: 'VIF' },
    { key: 'machine', title: 'MACHINE' },
    { key: 'index', title: 'PATH', align: 'right' },
    { key: 'label', title: 'LABEL' },
    { key: 'below', title: 'RUNS OVER' },
    { key: 'used', title: 'USED' },
    { key: 'watched', title: 'WATCHED' },
    { key: 'measured', title: 'LOSS IN / OUT, DELAY' },
    { key: 'state', title: 'STATE' },
  ],
  async read(_, agents) {
    const { answers, silent } = await agents.ask((agent) => agent.paths());
    const found = rowsOf(answers, ({ vif, index, path, owner, below, state, ...rest }, machine): Found => {
      const name = short(vif);
      const label = path?.label ? String(path.label) : '';
      const chain = below.map(short).join(' > ');
      return {
        row: {
          vif: name,
          machine,
          index,
          label,
          owner,
          below: chain,
          ...useOf(rest),
          ...mergeOf(rest),
          state,
        },
        names: [name, machine],
      };
    });
    return { found: byName(found, 'vif'), silent };
  },
};

export const tunnels: Kind = {
  columns: [
    { key: 'tunnel', title: 'TUNNEL' },
    { key: 'machine', title: 'MACHINE' },
    { key: 'local', title: 'FROM' },
    { key: 'remote', title: 'TO' },
    { key: 'hops', title: 'NEXT HOPS' },
    { key: 'state', title: 'STATE' },
  ],
  async read(_, agents) {
    const { answers, silent } = await agents.ask((agent) => agent.tunnels());
    const found = rowsOf(answers, ({ tunnel, owner, hops, state }, machine): Found => {
      const name = (tunnel?.name ?? '').replace(/^tunnels\//, '');
      const ways = hops.map((hop) => `${hop.interface} ${hop.gateway}`.trim()).join(', ');
      const { localAddress: local = '', remoteAddress: remote = '', udpChecksum = false } = tunnel ?? {};
      const row = { tunnel: name, machine, owner, local, remote, checksum: udpChecksum, hops: ways, state };
      return { row, names: [name, machine] };
    });
    return { found, silent };
  },
};

export const wires: Kind = {
  columns: [
    { key: 'wire', title: 'WIRE' },
    { key: 'machine', title: 'MACHINE' },
    { key: 'kind', title: 'KIND' },
    { key: 'by', title: 'BY' },
    { key: 'neighbour', title: 'TO' },
    { key: 'mac', title: 'MAC' },
    { key: 'vif', title: 'CARRIES' },
    { key: 'state', title: 'STATE' },
    { key: 'bypass', title: 'BYPASS' },
    { key: 'bypassed', title: 'BY BYPASS' },
    { key: 'impairment', title: 'IMPAIRED' },
  ],
  async read(state, agents) {
    const { answers, silent } = await agents.ask((agent) => agent.wires());
    const found = rowsOf(answers, (one, machine): Found => {
      const { wire, owner, state: condition, mac, vif, bypassState, bypassedPackets } = one;
      const by = (wire?.bypass?.wire ?? '').replace(/^wires\//, '');
      const impairment = state?.impaired?.[`${machine}:${wire?.interface}`];
      const name = (wire?.name ?? '').replace(/^wires\//, '');
      const row = {
        wire: name,
        machine,
        owner,
        kind: WIRE_KINDS[wire?.kind ?? 0] ?? '',
        by: `${wire?.interface ?? ''}${wire?.vlan ? ` VLAN ${wire.vlan}` : ''}`,
        neighbour: wire?.neighbourAddress ?? '',
        mac,
        vif: short(vif),
        state: condition,
        bypass: by && `${by}, ${bypassState}`,
        bypassed: by ? String(bypassedPackets) : '',
        impairment: impairment ? describeImpairment(impairment) : '',
      };
      return { row, names: [name, machine] };
    });
    return { found, silent };
  },
};

/** By the API's WireKind. */
const WIRE_KINDS = ['', 'lsp', 'circuit'];

export const labels: Kind = {
  columns: [
    { key: 'machine', title: 'MACHINE' },
    { key: 'context', title: 'ARRIVING ON' },
    { key: 'label', title: 'LABEL' },
    { key: 'meaning', title: 'MEANS' },
    { key: 'owner', title: 'OWNER' },
  ],
  async read(_, agents) {
    const { answers, silent } = await agents.ask((agent) => agent.labels());
    const found = rowsOf(answers, ({ label, owner }, machine): Found => {
      const context = short(label?.tunnel ?? label?.wire ?? label?.vif ?? '');
      const swap = label?.swap;
      const meaning = swap
        ? `swap ${swap.label} on ${short(swap.tunnel ?? swap.wire ?? swap.vif ?? '')}`
        : label?.continueOn
          ? `pop, on as if on ${short(label.continueOn)}`
          : `deliver to ${short(label?.deliver ?? '')}`;
      const row = { machine, context, label: String(label?.label ?? ''), meaning, owner };
      return { row, names: [context, machine, short(label?.deliver ?? '')] };
    });
    return { found, silent };
  },
};

export const neighbours: Kind = {
  columns: [
    { key: 'vif', title: 'VIF' },
    { key: 'machine', title: 'MACHINE' },
    { key: 'address', title: 'ADDRESS' },
    { key: 'mac', title: 'MAC' },
    { key: 'state', title: 'STATE' },
  ],
  async read(_, agents) {
    const { answers, silent } = await agents.ask((agent) => agent.neighbours());
    const found = rowsOf(answers, ({ vif, address, mac, state }, machine): Found => {
      const name = short(vif);
      return { row: { vif: name, machine, address, mac, state }, names: [name, machine] };
    });
    return { found: byName(found, 'vif'), silent };
  },
};

export const counters: Kind = {
  columns: [
    { key: 'name', title: 'NAME' },
    { key: 'machine', title: 'MACHINE' },
    { key: 'receivedPackets', title: 'IN', align: 'right' },
    { key: 'receivedBytes', title: 'BYTES', align: 'right' },
    { key: 'sentPackets', title: 'OUT', align: 'right' },
    { key: 'sentBytes', title: 'BYTES', align: 'right' },
    { key: 'puntedPackets', title: 'PUNTED', align: 'right' },
    { key: 'receivedRefused', title: 'REFUSED IN', align: 'right' },
    { key: 'sentRefused', title: 'OUT', align: 'right' },
  ],
  counts: true,
  async read(_, agents) {
    const { answers, silent } = await agents.ask((agent) => agent.counters());
    const found = rowsOf(answers, (counter, machine): Found => {
      const name = short(counter.name);
      const row = {
        name,
        machine,
        receivedPackets: Number(counter.receivedPackets),
        receivedBytes: Number(counter.receivedBytes),
        sentPackets: Number(counter.sentPackets),
        sentBytes: Number(counter.sentBytes),
        puntedPackets: Number(counter.puntedPackets),
        receivedRefused: Number(counter.receivedRefused),
        sentRefused: Number(counter.sentRefused),
      };
      return { row, names: [name, machine] };
    });
    return { found: byName(found, 'name'), silent };
  },
};

export const drops: Kind = {
  columns: [
    { key: 'node', title: 'NODE' },
    { key: 'machine', title: 'MACHINE' },
    { key: 'reason', title: 'REASON' },
    { key: 'packets', title: 'PACKETS', align: 'right' },
    { key: 'description', title: 'WHY' },
  ],
  counts: true,
  async read(_, agents) {
    const { answers, silent } = await agents.ask((agent) => agent.drops());
    const found = rowsOf(answers, ({ node, reason, packets, description }, machine): Found => {
      const name = short(node);
      return {
        row: { node: name, machine, reason, packets: Number(packets), description },
        names: [name, machine],
      };
    });
    return { found, silent };
  },
};
