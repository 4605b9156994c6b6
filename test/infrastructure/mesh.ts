/*
 * What lsps and circuits are tried on, with recording agents: P - Q - M in a row, and A, which only forwards, beside Q. The way by A
 * is slower and has the better metric.
 */
import { expect } from 'vitest';

import { type Resource as Told } from '../../src/api/node.js';
import { types } from '../../src/api/types.js';
import { type RecordingAgent } from './agent.js';
import {
  conn,
  link,
  local,
  node,
  Provider,
  type ProviderClient,
  tariff,
  until,
  wire as anyWire,
} from './provider.js';

export const { LINK_KIND_TUNNEL: TUNNEL, LINK_KIND_LSP: LSP, LINK_KIND_CIRCUIT: CIRCUIT } = types.LinkKind;
export const MBIT = 1_000_000n;

/** The wires of each machine, by its interfaces. */
const WIRES = [
  ['P', 'Q', { metric: 2 }],
  ['Q', 'M', { metric: 2 }],
  ['P', 'A', { delayUs: 5000 }],
  ['A', 'M', { delayUs: 5000, bitsPerSecond: 500n * MBIT, riskGroups: ['duct'] }],
  ['A', 'Q', { metric: 10, mtu: 9000 }],
] as const;
export const MACHINES = ['P', 'Q', 'M', 'A'] as const;

/** Without a bypass, unless it is said otherwise. */
export const wire = (a: string, b: string, more: object = {}): object =>
  anyWire(a, b, { unprotected: true, ...more });

export let one: Provider;
export let operator: ProviderClient;
export let customer: ProviderClient;

export const mac = (from: string, to: string): string =>
  `02:00:00:00:0${MACHINES.findIndex((name) => name === from)}:0${MACHINES.findIndex((name) => name === to)}`;

/**
 * All of it up and ready; {@link one} and its clients are of this one until the next. Without bypasses, which have tests
 * of their own.
 */
export async function openMesh(unprotected = true): Promise<void> {
  one = new Provider();
  for (const name of MACHINES) {
    const agent = await one.agent(name);
    agent.interfaces = WIRES.flatMap(([a, b]) => (a === name ? [b] : b === name ? [a] : [])).map((other) => ({
      name: `to-${other}`,
      role: 'underlay',
      mac: mac(name, other),
    }));
  }
  await one.start();
  operator = one.as(local);
  await operator.update({
    resources: [
      ...MACHINES.map((name, i) => one.machine(name, i + 1, { transitOnly: name === 'A' })),
      ...WIRES.map(([a, b, more]) => wire(a, b, { ...more, unprotected })),
      tariff,
      { customer: { name: 'customers/conn' } },
      { customer: { name: 'customers/other' } },
    ],
  });
  for (const name of MACHINES)
    await until(operator, `machines/${name}`, (resource) => resource.machine?.status?.state === 'ready');
  customer = one.as(conn);
}

/** After the provider has been started again. */
export function clientsAnew(): void {
  [operator, customer] = [one.as(local), one.as(conn)];
}

export const agentOf = (name: string): RecordingAgent => {
  const agent = one.agents.get(name);
  if (!agent) throw new Error(`no agent ${name}`);
  return agent;
};
export const toldTo = (name: string): readonly Told[] => agentOf(name).resourcesOf('one');
export const linkName = (id: string): string => `customers/conn/virtualLinks/${id}`;

export const term = { expireTime: '2026-12-01T09:00:00Z', graceSeconds: 3600 };

/** Links between leased nodes P, M and Q; each with vifs of its own. */
export const between = (id: string, a: string, b: string, more: object = {}): object => ({
  ...link(a, b, more),
  name: linkName(id),
  a: { virtualNode: `customers/conn/virtualNodes/${a}`, vif: id },
  b: { virtualNode: `customers/conn/virtualNodes/${b}`, vif: id },
});

export async function leaseNodes(): Promise<void> {
  await customer.reserve({ virtualNodes: ['P', 'Q', 'M'].map((id) => node(id)), requestId: 'nodes' });
  await customer.commit({ name: 'customers/conn/reservations/nodes' });
}

export async function lease(...links: { name?: string }[]): Promise<void> {
  const ids = links.map(({ name }) => name?.split('/').at(-1) ?? '');
  const requestId = ids.join('.');
  await customer.reserve({ virtualLinks: links, requestId });
  await customer.commit({ name: `customers/conn/reservations/${requestId}` });
  for (const id of ids) await ready(id);
}

export const ready = (id: string): Promise<unknown> =>
  until(
    customer,
    linkName(id),
    ({ virtualLink }) => virtualLink?.status?.state === 'ready' && !virtualLink.status.reconciling,
  );

export async function leased(
  id: string,
): Promise<{ wires: readonly string[]; kind: number; shared?: object }> {
  const { resource } = await operator.get({ name: linkName(id) });
  if (!resource?.virtualLink) throw new Error(`no ${id}`);
  return resource.virtualLink;
}

export async function labels(): Promise<
  { name: string; link: string; label: number; upstream: string; wire: string }[]
> {
  const { resources } = await operator.list({ collection: 'machines/-/labels' });
  return resources.flatMap(({ label }) => (label ? [label] : []));
}

export async function noLabels(): Promise<void> {
  for (let left = await labels(); left.length > 0; left = await labels());
}

export async function soldOf(name: string): Promise<bigint | undefined> {
  return (await operator.get({ name: `wires/${name}` })).resource?.wire?.soldAToB;
}

/**
 * From the vif at one end to the vif at the other, as the agents have been told: by which wires, and where it is delivered.
 * Each label is looked up in the context of the wire it arrives on.
 */
export function walk(from: string, vif: string): string[] {
  let at = from;
  let path = toldTo(from).find((one) => one.vif?.name === vif)?.vif?.link?.paths[0];
  const steps: string[] = [];
  while (path?.wire !== undefined) {
    const sent: string = path.wire;
    const { label: number } = path;
    const there = toldTo(at).find((one) => one.wire?.name === sent)?.wire;
    expect(there?.kind).toBe(1);
    const next = there?.interface.slice('to-'.length) ?? '';
    expect(there?.neighbourMac).toBe(mac(next, at));
    at = next;
    steps.push(sent);
    const arrives = toldTo(at).find((one) => one.label?.wire === sent && one.label.label === number)?.label;
    if (arrives?.deliver !== undefined) return [...steps, `${at} ${arrives.deliver}`];
    path = arrives?.swap;
  }
  return [...steps, `${at}: lost`];
}

export const vifOf = (at: string, id: string): string => `vns/conn/nodes/${at}/vifs/${id}`;
