/** Diagnose */
import { readFileSync } from 'node:fs';
import { freemem, release } from 'node:os';

import { type cabernet } from '../../../gen/cabernet.js';
import { type Draft } from '../../api/message.js';
import { dropReasons } from '../../dataplane/index.js';
import {
  driverOf,
  type Finding,
  findingsOf,
  headroomFinding,
  readFacts,
  type Severity,
  situationHere,
} from '../../nic/index.js';
import { type Agent } from '../agent.js';
import { waysDown } from '../authority.js';
import { largestVifMtu } from '../hop.js';
import { bfdPeerState, bypassState, vifState, wireState } from '../states.js';

function finding(severity: Severity, subject: string, text: string): Finding {
  return { severity, subject, text };
}

/** Managed neighbours came with 5.16, what the programs need with 6.1. */
const OLDEST_KERNEL = [6, 1] as const;

function kernel(): Finding {
  const [major = 0, minor = 0] = release().split('.').map(Number);
  const old = major < OLDEST_KERNEL[0] || (major === OLDEST_KERNEL[0] && minor < OLDEST_KERNEL[1]);
  return old
    ? finding('error', 'kernel', `Linux ${release()} is older than ${OLDEST_KERNEL.join('.')}: upgrade it`)
    : finding('ok', 'kernel', `Linux ${release()}`);
}

function jit(): Finding[] {
  try {
    const on = readFileSync('/proc/sys/net/core/bpf_jit_enable', 'utf8').trim() !== '0';
    if (on) return [finding('ok', 'kernel', 'BPF programs are compiled (net.core.bpf_jit_enable)')];
    return [finding('warning', 'kernel', 'BPF programs are interpreted: set net.core.bpf_jit_enable to 1')];
  } catch {
    // not every kernel lets it be seen
    return [];
  }
}

function memory(agent: Agent): Finding {
  const bytes = agent.plane.use().reduce((sum, table) => sum + table.bytes, 0);
  const mib = (value: number): string => `${Math.round(value / 2 ** 20)} MiB`;
  return finding(
    'ok',
    'memory',
    `tables take ${mib(bytes)} of the kernel's memory; ${mib(freemem())} are free`,
  );
}

function tables(agent: Agent): Finding[] {
  return agent.plane
    .use()
    .filter(({ used, capacity }) => used > 0.9 * capacity)
    .map(({ table, used, capacity }) =>
      finding('warning', `table ${table}`, `${used} of ${capacity} are used: start the agent anew with more`),
    );
}

async function interfaces(agent: Agent): Promise<Finding[]> {
  const places = [...agent.interfaces.all()];
  const links = places.flatMap(({ index }) =>
    index === undefined ? [] : (agent.net.links.get(index) ?? []),
  );
  const { netns } = agent.net;
  const facts = await readFacts(links, netns === undefined ? {} : { netns });
  const byIndex = new Map(links.map((link, i) => [link.index, facts[i]]));
  return places.flatMap(({ name, role, index, problem }) => {
    const known = index === undefined ? undefined : byIndex.get(index);
    if (!known) return [finding(role === 'underlay' ? 'error' : 'warning', `interface ${name}`, problem)];
    const { jumbo } = agent.plane;
    return findingsOf(known, situationHere({ jumbo, role, taken: problem === '', problem }));
  });
}

/** Where frames arrived in front of which there was no room, as far as samples tell; else every interface in use. */
async function headroom(agent: Agent): Promise<Finding[]> {
  const isHeadroom = (reason: number): boolean => dropReasons[reason]?.name === 'HEADROOM';
  const drops = (await agent.plane.counters.drops()).filter(({ reason }) => isHeadroom(reason));
  const packets = drops.reduce((sum, drop) => sum + drop.packets, 0n);
  if (packets === 0n) return [];
  const sampled = agent.plane.samples.newest().filter(({ reason }) => isHeadroom(reason));
  const indices = new Set(sampled.map(({ ifindex }) => ifindex));
  if (indices.size === 0)
    for (const { index } of agent.interfaces.all()) if (index !== undefined) indices.add(index);
  const where: string[] = [];
  for (const index of indices) {
    const link = agent.net.links.get(index);
    if (link)
      where.push(
        `${link.name} (${(await driverOf(agent.net.place(link.name)))?.driver ?? link.kind ?? 'unknown driver'})`,
      );
  }
  return headroomFinding(packets, where);
}

function tunnels(agent: Agent): Finding[] {
  return Array.from(agent.underlay.all, ({ intent, condition, remark }) =>
    condition === 'up'
      ? finding('ok', intent.name, `up, to ${intent.remote}`)
      : finding('warning', intent.name, remark ? `${condition}: ${remark}` : condition),
  );
}

function wires(agent: Agent): Finding[] {
  return Array.from(agent.wires.all, (wire) => {
    const { intent, mac, remark } = wire;
    const [state, bypass] = [wireState(agent, intent.name), bypassState(agent, wire)];
    if (state === 'up' && (bypass === '' || bypass === 'ready'))
      return finding('ok', intent.name, `up, to ${mac} by ${intent.interface}`);
    const what = [remark ? `${state}: ${remark}` : state, ...(bypass ? [`bypass ${bypass}`] : [])];
    return finding('warning', intent.name, what.join('; '));
  });
}

function bfdPeers(agent: Agent): Finding[] {
  return Array.from(agent.bfdPeers.all, (peer) => {
    const state = bfdPeerState(agent, peer);
    const { intent, remark } = peer;
    const far = intent.wire ? `the other end of ${intent.wire}` : `${intent.remote} by ${intent.interface}`;
    if (state === 'up') return finding('ok', intent.name, `up, to ${far}`);
    return finding('warning', intent.name, remark ? `${state}: ${remark}` : state);
  });
}

/** A route, or an interface's MTU, may have changed since the Apply that checked it. */
function mtus(agent: Agent): Finding[] {
  const { registry, underlay, vifs } = agent;
  const found: Finding[] = [];
  for (const { name, intent } of vifs.all) {
    for (const { labels, lowest } of intent.paths.flatMap((path) => waysDown(registry, path) ?? [])) {
      const wire = agent.wires.get(lowest.name);
      const mtu = lowest.kind === 'tunnel' ? underlay.get(lowest.name)?.mtu : wire?.mtu;
      if (mtu === undefined) continue;
      const largest = largestVifMtu(mtu, labels, wire?.intent.type);
      if (intent.mtu <= largest) continue;
      found.push(
        finding('warning', name, `its MTU is ${intent.mtu}, but ${largest} is what fits ${lowest.name} now`),
      );
    }
  }
  return found;
}

function states(agent: Agent): Finding[] {
  const found: Finding[] = [];
  for (const vif of agent.vifs.all) {
    const state = vifState(agent, vif);
    if (state !== 'up') found.push(finding('warning', vif.name, state));
  }
  return found;
}

function unfinished(agent: Agent): Finding[] {
  const { leftover } = agent.applier;
  if (leftover === 0) return [];
  return [finding('error', 'apply', `${leftover} steps of an Apply failed or were not reached: apply again`)];
}

export async function diagnose(agent: Agent): Promise<Draft<cabernet.node.v1.DiagnoseResponse>> {
  const findings = [
    kernel(),
    ...jit(),
    memory(agent),
    ...tables(agent),
    ...(await interfaces(agent)),
    ...(await headroom(agent)),
    ...tunnels(agent),
    ...wires(agent),
    ...bfdPeers(agent),
    ...mtus(agent),
    ...states(agent),
    ...unfinished(agent),
  ];
  return { findings };
}
