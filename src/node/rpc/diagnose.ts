/** Diagnose */
import { readFileSync } from 'node:fs';
import { cpus, freemem, release } from 'node:os';

import { type cabernet } from '../../../gen/cabernet.js';
import { type Draft } from '../../api/message.js';
import { type Driver, getChannels, getDriver, getFeatures, type Link } from '../../../native/lib/index.js';
import { type Agent } from '../agent.js';
import { labelsOf, tunnelOf } from '../authority.js';
import { largestVifMtu } from '../hop.js';
import { type Attachment } from '../interfaces.js';
import { vifState } from '../states.js';

type Finding = Draft<cabernet.node.v1.Finding>;
type Severity = 'ok' | 'warning' | 'error';

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

export async function driver(agent: Agent, name: string): Promise<Driver | undefined> {
  // virtual interfaces need not say
  return getDriver(agent.net.place(name)).catch(() => undefined);
}

async function queues(agent: Agent, link: Link): Promise<Finding[]> {
  const subject = `interface ${link.name}`;
  const channels = await getChannels(agent.net.place(link.name)).catch(() => undefined);
  const receive = channels ? channels.receive + channels.combined : link.numRxQueues;
  if (receive >= cpus().length)
    return [finding('ok', subject, `${receive} receive queues for ${cpus().length} CPUs`)];
  return [
    finding(
      'warning',
      subject,
      `${receive} receive queues for ${cpus().length} CPUs: one CPU a queue does the work`,
    ),
  ];
}

async function offloads(agent: Agent, link: Link): Promise<Finding[]> {
  const subject = `interface ${link.name}`;
  const features = await getFeatures(agent.net.place(link.name)).catch(() => undefined);
  if (!features) return [];
  const found: Finding[] = [];
  if (features.lro)
    found.push(finding('error', subject, 'LRO is on: frames are merged before XDP; ethtool -K … lro off'));
  if (features.rxvlan) {
    found.push(
      finding('warning', subject, 'VLAN tags are taken off before XDP sees them: ethtool -K … rxvlan off'),
    );
  }
  if (link.kind === 'veth' && features.tx) {
    found.push(finding('warning', subject, 'transmit checksums are left unfinished: ethtool -K … tx off'));
  }
  return found;
}

async function onInterface(agent: Agent, place: Attachment): Promise<Finding[]> {
  const subject = `interface ${place.name}`;
  const link = place.index === undefined ? undefined : agent.net.links.get(place.index);
  if (!link) return [finding(place.role === 'underlay' ? 'error' : 'warning', subject, place.problem)];
  const found: Finding[] = [];
  const by = (await driver(agent, link.name))?.driver ?? link.kind ?? 'unknown driver';
  if (place.problem !== '') found.push(finding('error', subject, `no program runs on it: ${place.problem}`));
  else if (link.xdp?.mode !== undefined && link.xdp.mode !== 'native') {
    found.push(finding('error', subject, `a program runs in ${link.xdp.mode} mode: detach it`));
  } else found.push(finding('ok', subject, `native XDP by ${by}, MTU ${link.mtu}`));
  if (!link.up) found.push(finding('warning', subject, 'is down: ip link set … up'));
  else if (!link.running) found.push(finding('warning', subject, 'has no carrier'));
  return [...found, ...(await queues(agent, link)), ...(await offloads(agent, link))];
}

function tunnels(agent: Agent): Finding[] {
  return Array.from(agent.underlay.all, ({ intent, condition, remark }) =>
    condition === 'up'
      ? finding('ok', intent.name, `up, to ${intent.remote}`)
      : finding('warning', intent.name, remark ? `${condition}: ${remark}` : condition),
  );
}

/** A route may have changed since the Apply that checked it. */
function mtus(agent: Agent): Finding[] {
  const { registry, underlay, vifs } = agent;
  const found: Finding[] = [];
  for (const { name, intent } of vifs.all) {
    const tunnel = intent.path && tunnelOf(registry, intent.path);
    const labels = intent.path && labelsOf(registry, intent.path);
    const mtu = tunnel === undefined ? undefined : underlay.get(tunnel)?.mtu;
    if (labels === undefined || mtu === undefined) continue;
    const largest = largestVifMtu(mtu, labels);
    if (intent.mtu <= largest) continue;
    found.push(
      finding('warning', name, `its MTU is ${intent.mtu}, but ${largest} is what fits ${tunnel} now`),
    );
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
  const interfaces: Finding[] = [];
  for (const place of agent.interfaces.all()) interfaces.push(...(await onInterface(agent, place)));
  const findings = [
    kernel(),
    ...jit(),
    memory(agent),
    ...tables(agent),
    ...interfaces,
    ...tunnels(agent),
    ...mtus(agent),
    ...states(agent),
    ...unfinished(agent),
  ];
  return { findings };
}
