/**
 * Taking over from an earlier agent, while traffic goes on: the names say what each id stands for, the namespaces
 * what their tenants put into them. What is there is left as it is, or put right; nothing that an owner wanted is
 * swept before that owner's next stream. Only what stands for nothing (a step that was cut short) is given back.
 */
import { type Agent } from './agent.js';
import { slotsOf } from './carriages.js';
import { MACHINE_END } from './vifs.js';
import { type LabelIntent, type VifIntent } from './model.js';
import {
  type Named,
  readBfdPeer,
  readLabel,
  readNode,
  readOwner,
  readTunnel,
  readVif,
  readWire,
} from './names.js';
import { type Step } from './plan.js';
import { Holding } from './registry.js';

/** Everything with an id, as the names have it. */
interface Found {
  readonly vifs: Map<number, Named<VifIntent>>;
  readonly labels: Map<number, Named<LabelIntent>>;
}

export async function adopt(agent: Agent): Promise<void> {
  const { log } = agent.options;
  const holdings = readHoldings(agent);
  const found: Found = { vifs: new Map(), labels: new Map() };
  await adoptNodes(agent, holdings);
  adoptTunnels(agent, holdings);
  adoptWires(agent, holdings);
  adoptBfdPeers(agent, holdings);
  readVifs(agent, holdings, found);
  readLabels(agent, holdings, found);
  for (const holding of holdings.values()) agent.registry.replace(holding);

  for (const [id, { owner, intent }] of found.vifs) agent.vifs.adopt(intent, owner, id);
  for (const { owner, intent } of found.labels.values()) agent.labels.adopt(owner, intent);
  await agent.underlay.resolveAll();
  agent.wires.resolveAll();
  for (const wire of agent.wires.all) agent.bypasses.adopt(wire);
  for (const wire of agent.wires.all) agent.bypasses.settle(wire.intent.name);
  const steps: Step[] = [];
  for (const { intent } of agent.bfdPeers.all)
    steps.push({ kind: 'bfdPeer', name: intent.name, remove: false });
  for (const { intent } of found.vifs.values()) steps.push({ kind: 'vif', name: intent.name, remove: false });
  for (const { intent } of found.labels.values()) {
    steps.push({ kind: 'label', place: { context: intent.context, label: intent.label }, remove: false });
  }
  for (const step of steps) await attempt(agent, step);
  await adoptContents(agent, holdings);
  for (const { name } of agent.nodes.all) agent.states.touch(name);
  for (const { intent } of agent.underlay.all) agent.states.touch(intent.name);
  for (const { intent } of agent.wires.all) agent.states.touch(intent.name);
  await settleWires(agent);
  await agent.plane.peers.sweep(agent.bfdPeers.ids().sessions);
  releaseOrphans(agent);
  await detachStrangers(agent);
  try {
    agent.settleShares();
  } catch (error) {
    log.warn('adopt', { shares: String(error) });
  }
  const resources = [...holdings.values()].reduce((sum, holding) => sum + holding.size, 0);
  log.info('adopted', { owners: holdings.size, resources, deferred: agent.applier.leftover });
}

/** What cannot be put right now is left to the next Apply. */
async function attempt(agent: Agent, step: Step): Promise<void> {
  try {
    await agent.take(step);
  } catch (error) {
    agent.options.log.warn('adopt', { step: step.kind, error: String(error) });
    agent.applier.defer(agent.ownerOf(step) ?? '', [step]);
  }
}

function readHoldings(agent: Agent): Map<string, Holding> {
  const holdings = new Map<string, Holding>();
  for (const [id, text] of agent.plane.names.entries('owner')) {
    const row = readOwner(text);
    if (!row) continue;
    holdings.set(row.owner, new Holding(row.owner, row.epoch));
    agent.adoptOwner(row.owner, id);
  }
  return holdings;
}

/** Adds to an owner's holding; one whose own record was not reached yet has seen no epoch. */
function hold(holdings: Map<string, Holding>, named: Named<Parameters<Holding['add']>[0]>): boolean {
  let holding = holdings.get(named.owner);
  if (!holding) holdings.set(named.owner, (holding = new Holding(named.owner, 0n)));
  return holding.add(named.intent);
}

async function adoptNodes(agent: Agent, holdings: Map<string, Holding>): Promise<void> {
  for (const [id, text] of [...agent.plane.names.entries('node')]) {
    const named = readNode(text);
    if (!named || agent.nodes.get(named.intent.name) || !hold(holdings, named)) continue;
    try {
      await agent.nodes.adopt(named.intent, named.owner, id);
    } catch (error) {
      agent.options.log.warn('adopt', { node: named.intent.name, error: String(error) });
      agent.applier.defer(named.owner, [{ kind: 'node', name: named.intent.name, remove: false }]);
    }
  }
}

function adoptTunnels(agent: Agent, holdings: Map<string, Holding>): void {
  for (const [id, text] of [...agent.plane.names.entries('tunnel')]) {
    const named = readTunnel(text);
    if (!named || agent.underlay.get(named.intent.name) || !hold(holdings, named)) continue;
    agent.underlay.adopt(named.intent, named.owner, id);
  }
}

function adoptWires(agent: Agent, holdings: Map<string, Holding>): void {
  for (const [id, text] of [...agent.plane.names.entries('wire')]) {
    const named = readWire(text);
    if (!named || agent.wires.get(named.intent.name) || !hold(holdings, named)) continue;
    agent.wires.adopt(named.intent, named.owner, id);
  }
}

function adoptBfdPeers(agent: Agent, holdings: Map<string, Holding>): void {
  for (const [id, text] of [...agent.plane.names.entries('bfdPeer')]) {
    const named = readBfdPeer(text);
    if (!named || agent.bfdPeers.get(named.intent.name) || !hold(holdings, named)) continue;
    agent.bfdPeers.adopt(named.intent, named.owner, id);
  }
}

/** A circuit leads to the vif whose path names it, or to none; an arriving frame finds no wire that is no more. */
async function settleWires(agent: Agent): Promise<void> {
  for (const { intent, vif } of agent.wires.all) {
    const paths = agent.vifs.byId(vif)?.intent.paths ?? [];
    if (vif !== 0 && !paths.some(({ below }) => below.name === intent.name)) agent.wires.forget(intent.name);
  }
  await agent.wires.sweep();
}

function readVifs(agent: Agent, holdings: Map<string, Holding>, found: Found): void {
  for (const [id, text] of agent.plane.names.entries('vif')) {
    const link = agent.plane.links.read(id);
    const rows = slotsOf(link.order).flatMap(
      (slot) => agent.plane.names.get('path', link.paths[slot] ?? 0) ?? [],
    );
    const named = readVif(text, rows);
    if (named && hold(holdings, named)) found.vifs.set(id, named);
  }
}

function readLabels(agent: Agent, holdings: Map<string, Holding>, found: Found): void {
  for (const [slot, text] of agent.plane.names.entries('label')) {
    const named = readLabel(text);
    if (named && hold(holdings, named)) found.labels.set(slot, named);
  }
}

/** The namespaces are the store of addresses and routes; whose they are, the node's tenant says. */
async function adoptContents(agent: Agent, holdings: Map<string, Holding>): Promise<void> {
  for (const node of agent.nodes.all) {
    await node.contents.adopt();
    const owner = node.intent.tenant;
    for (const intent of node.contents.addresses.values()) hold(holdings, { owner, intent });
    for (const intent of node.contents.routes.values()) hold(holdings, { owner, intent });
    try {
      await node.mirror.start();
    } catch (error) {
      agent.options.log.warn('adopt', { node: node.name, error: String(error) });
    }
  }
  for (const holding of holdings.values()) agent.registry.replace(holding);
}

/** Ids, labels and devices that nothing stands for. */
function releaseOrphans(agent: Agent): void {
  const { plane } = agent;
  const slots = agent.labels.slots();
  for (const label of [...plane.labels.entries()]) {
    if (slots.has(label.slot)) continue;
    plane.labels.remove(label);
    plane.names.delete('label', label.slot);
  }
  const nodes = new Set(Array.from(agent.nodes.all, (node) => node.id));
  const vifs = new Set(Array.from(agent.vifs.all, (vif) => vif.id));
  const underlay = agent.underlay.ids();
  const wires = agent.wires.ids();
  const peers = agent.bfdPeers.ids();
  const nextHops = new Set<number>();
  for (const node of agent.nodes.all) for (const id of node.mirror.nextHopIds()) nextHops.add(id);
  const used = [
    ['vif', vifs],
    ['path', agent.paths.ids()],
    ['session', new Set([...agent.carriages.sessionIds(), ...peers.sessions])],
    ['tunnel', underlay.tunnels],
    ['wire', wires.wires],
    ['underlayHop', new Set([...underlay.hops, ...wires.hops, ...peers.hops])],
    ['nextHop', nextHops],
    ['node', nodes],
  ] as const;
  for (const [table, ids] of used) {
    for (const id of plane.allocated(table)) if (!ids.has(id)) plane.release(table, id);
  }
}

/** Programs on interfaces that are none of ours any more, and devices of vifs that were never finished. */
async function detachStrangers(agent: Agent): Promise<void> {
  const { plane, net } = agent;
  const ours = new Set<number>();
  for (const { index } of agent.interfaces.all()) if (index !== undefined) ours.add(index);
  for (const vif of agent.vifs.all) if (vif.links) ours.add(vif.links.machine);
  ours.add(agent.sender.channel);
  for (const index of plane.attached().keys()) {
    if (ours.has(index)) continue;
    await plane.detach(index);
    plane.clearPort(index);
    await plane.clearDevice(index);
  }
  for (const index of plane.devices()) if (!ours.has(index)) await plane.clearDevice(index);
  await agent.interfaces.forgetOthers();
  for (const link of [...net.links.values()]) {
    const unfinished = MACHINE_END.test(link.name) && link.kind === 'veth' && link.alias?.startsWith('vns/');
    if (unfinished && !ours.has(link.index)) await net.netlink.deleteLink(link.index).catch(() => undefined);
  }
}
