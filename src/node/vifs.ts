/**
 * The machine's vifs: a record of the data plane, a veth into the virtual node, and either a path or a station's
 * port. A record is complete before the vif is switched on, and switched off before anything is taken away.
 */
import { Limit, PortRole } from '../../gen/layout.js';
import { type Carrier, type DataPlane } from '../dataplane/index.js';
import { parseMac } from './address.js';
import { type Carriages } from './carriages.js';
import { type Interfaces } from './interfaces.js';
import { type VifIntent } from './model.js';
import { writeVif } from './names.js';
import { deleteLink, ensureVeth, type VifLinks } from './namespace.js';
import { type NetState } from './net-state.js';
import { type VirtualNode, type VirtualNodes } from './nodes.js';
import { failedStep } from './refusal.js';

/** What machineEndName() makes. */
export const MACHINE_END = /^cv[0-9a-z]{1,7}$/;

/** The machine's end of a vif's veth: short, and the same for as long as the vif has its id. */
export function machineEndName(id: number): string {
  return `cv${id.toString(36)}`;
}

export interface LiveVif {
  readonly name: string;
  readonly id: number;
  intent: VifIntent;
  owner: string;
  links: VifLinks | undefined;
  /** The port it holds. */
  port: string | undefined;
  up: boolean;
}

export interface VifsOptions {
  readonly plane: DataPlane;
  readonly net: NetState;
  readonly nodes: VirtualNodes;
  readonly carriages: Carriages;
  readonly interfaces: Interfaces;
  readonly changed: (name: string) => void;
  readonly failed: (error: unknown) => void;
}

export class Vifs {
  readonly #options: VifsOptions;
  readonly #live = new Map<string, LiveVif>();
  readonly #byId = new Map<number, LiveVif>();
  readonly #byMachineEnd = new Map<number, LiveVif>();
  /** Removed, their devices not yet. */
  readonly #leaving: { readonly id: number; readonly machine: number | undefined }[] = [];
  #clearing: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: VifsOptions) {
    this.#options = options;
  }

  get(name: string): LiveVif | undefined {
    return this.#live.get(name);
  }

  byId(id: number): LiveVif | undefined {
    return this.#byId.get(id);
  }

  get all(): IterableIterator<LiveVif> {
    return this.#live.values();
  }

  /** True for the machine's end of one of them, by its interface's index. */
  ofMachineEnd(index: number): LiveVif | undefined {
    return this.#byMachineEnd.get(index);
  }

  isMachineEnd(name: string): boolean {
    if (!MACHINE_END.test(name)) return false;
    const link = this.#options.net.linkByName(name);
    return link !== undefined && this.#byMachineEnd.has(link.index);
  }

  /** Takes over an earlier agent's record, before anything is put right. */
  adopt(intent: VifIntent, owner: string, id: number): void {
    const { plane, carriages } = this.#options;
    const vif = this.#insert(intent, owner, id);
    if (intent.paths.length > 0) carriages.adopt(id, intent);
    vif.up = (plane.vifs.read(id).flags & Limit.LIMIT_VIF_UP) !== 0;
  }

  /** There, connected and switched on, as wanted. */
  async ensure(intent: VifIntent, owner: string): Promise<void> {
    const { plane, nodes } = this.#options;
    const node = nodes.get(intent.node);
    if (!node) throw failedStep(intent.name, `there is no ${intent.node}`);
    const vif = this.#live.get(intent.name) ?? this.#insert(intent, owner, plane.allocate('vif'));
    vif.intent = intent;
    vif.owner = owner;
    writeVif(plane, vif.id, owner, intent);
    try {
      await this.#connect(vif, node);
      // before its port: from here on settle() sees whether its device is up
      this.#join(vif, node);
      await this.#attach(vif);
    } catch (error) {
      throw failedStep(intent.name, 'its device', error);
    }
    this.settle(vif.name);
  }

  /** Switched off, then taken apart. Nothing of the node's tables leads to it any more. */
  async remove(name: string): Promise<void> {
    const vif = this.#live.get(name);
    if (!vif) return;
    const { plane, nodes, carriages, interfaces } = this.#options;
    plane.vifs.set(vif.id, 'flags', 0);
    plane.vifs.write(vif.id, { port: 0 });
    carriages.drop(vif.id);
    const mirror = nodes.get(vif.intent.node)?.mirror;
    if (mirror) {
      mirror.removeVif(vif.intent.device);
      await mirror.publish();
    }
    if (vif.port !== undefined) await interfaces.releasePort(vif.port, vif.id);
    if (vif.links) this.#byMachineEnd.delete(vif.links.machine);
    this.#live.delete(name);
    this.#byId.delete(vif.id);
    plane.names.delete('vif', vif.id);
    this.#leaving.push({ id: vif.id, machine: vif.links?.machine });
  }

  /**
   * Takes away the devices of vifs that were removed, whose ids then go back. Not part of an Apply: the kernel needs
   * tens of milliseconds for each, unless it goes with its namespace.
   */
  clearAway(): Promise<void> {
    const leaving = this.#leaving.splice(0);
    this.#clearing = this.#clearing.then(async () => {
      for (const { id, machine } of leaving) {
        if (this.#closed) return;
        try {
          if (machine !== undefined) await this.#takeAway(machine);
          this.#options.plane.release('vif', id);
        } catch (error) {
          this.#options.failed(error);
        }
      }
    });
    return this.#clearing;
  }

  /** What is not taken away yet is the next agent's to find. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#clearing;
  }

  async #takeAway(machine: number): Promise<void> {
    const { net } = this.#options;
    await net.refreshLink(machine);
    // with the device goes its program: detaching it first would take as long again
    if (net.links.has(machine)) await deleteLink(net.netlink, machine);
    await net.refreshLink(machine);
    await this.#disconnect(machine);
  }

  /** Links over a tunnel, a wire or a vif lose their path. */
  cutOver(carrier: Carrier): void {
    for (const id of this.#options.carriages.cutOver(carrier)) {
      const vif = this.#byId.get(id);
      if (vif) this.#options.changed(vif.name);
    }
  }

  /** Its veth is gone. */
  lost(vif: LiveVif): void {
    if (vif.links) this.#byMachineEnd.delete(vif.links.machine);
    vif.links = undefined;
    this.settle(vif.name);
  }

  /** Up or down, and the port's interface, as things are now. */
  settle(name: string): void {
    const vif = this.#live.get(name);
    if (!vif) return;
    const { plane, nodes, interfaces } = this.#options;
    const inside = nodes.get(vif.intent.node)?.mirror.isUp(vif.intent.device) ?? false;
    const port = vif.port === undefined ? undefined : interfaces.port(vif.port);
    const ready = vif.port === undefined || (port?.index !== undefined && port.problem === '');
    const up = inside && ready && vif.links !== undefined;
    if (!up) plane.vifs.setBits(vif.id, 'flags', Limit.LIMIT_VIF_UP, false);
    plane.vifs.write(vif.id, { port: up ? (port?.index ?? 0) : 0 });
    if (up) plane.vifs.setBits(vif.id, 'flags', Limit.LIMIT_VIF_UP, true);
    vif.up = up;
    this.#options.changed(name);
  }

  /** For whoever routes in its namespace (RFC 2863); nothing here depends on it. False: it was so, or is not there. */
  async setDormant(name: string, dormant: boolean): Promise<boolean> {
    const vif = this.#live.get(name);
    const net = vif && this.#options.nodes.get(vif.intent.node)?.net;
    const index = vif?.links?.inside;
    const link = index === undefined ? undefined : net?.links.get(index);
    if (!net || !link || (link.operationalState === 'dormant') === dormant) return false;
    await net.netlink.setLink(
      link.index,
      // the mode is for when somebody in there sets it down and up again
      dormant
        ? { operationalState: 'dormant', linkMode: 'dormant' }
        : { operationalState: 'up', linkMode: 'default' },
    );
    await net.refreshLink(link.index);
    return true;
  }

  /** Why it is not up; empty while it is, as far as this machine's own part goes. */
  problem(vif: LiveVif): string {
    const { nodes, interfaces } = this.#options;
    const { intent } = vif;
    if (!vif.links) return 'no device';
    if (vif.port !== undefined) {
      const port = interfaces.port(vif.port);
      if (!port || port.problem !== '') return `port ${vif.port}: ${port?.problem ?? 'not claimed'}`;
      const link = port.index === undefined ? undefined : this.#options.net.links.get(port.index);
      if (!link?.up) return `port ${vif.port} is down`;
      if (!link.running) return `port ${vif.port} has no carrier`;
    }
    if (!nodes.get(intent.node)?.mirror.isUp(intent.device)) return 'set down in its namespace';
    const paths = this.#options.carriages.of(vif.id);
    if (intent.paths.length > 0 && !paths.some(({ path }) => path !== 0)) {
      return `${intent.paths.map(({ below }) => below.name).join(', ')} is not there`;
    }
    return '';
  }

  #insert(intent: VifIntent, owner: string, id: number): LiveVif {
    const vif: LiveVif = {
      name: intent.name,
      id,
      intent,
      owner,
      links: undefined,
      port: undefined,
      up: false,
    };
    this.#live.set(intent.name, vif);
    this.#byId.set(id, vif);
    return vif;
  }

  async #connect(vif: LiveVif, node: VirtualNode): Promise<void> {
    const { plane, net } = this.#options;
    const { intent, id } = vif;
    const links = await ensureVeth(net, node.net, {
      machineName: machineEndName(id),
      alias: intent.name,
      namespace: node.namespace,
      device: intent.device,
      mac: intent.mac,
      mtu: intent.mtu,
      arp: !intent.carriesIp,
    });
    const before = vif.links;
    if (before && before.machine !== links.machine) {
      this.#byMachineEnd.delete(before.machine);
      await this.#disconnect(before.machine);
    }
    plane.setPort(links.machine, { role: PortRole.PORT_VIF, vif: id });
    await plane.setDevice(links.machine);
    await plane.attach(links.machine, 'vif');
    vif.links = links;
    this.#byMachineEnd.set(links.machine, vif);
  }

  async #disconnect(machine: number): Promise<void> {
    const { plane, net } = this.#options;
    try {
      await plane.detach(machine);
      plane.clearPort(machine);
      await plane.clearDevice(machine);
    } catch (error) {
      // a veth that is gone has taken its program with it
      if (net.links.has(machine)) throw error;
    }
  }

  /** The record, but for whether it is up: where its frames go. */
  async #attach(vif: LiveVif): Promise<void> {
    const { plane, carriages, interfaces, nodes } = this.#options;
    const { intent, id, owner } = vif;
    const node = nodes.get(intent.node)?.id ?? 0;
    const mac = parseMac(intent.mac) ?? new Uint8Array(6);
    if (vif.port !== undefined && vif.port !== intent.port) {
      plane.vifs.write(id, { port: 0 });
      await interfaces.releasePort(vif.port, id);
      vif.port = undefined;
    }
    plane.vifs.setBits(id, 'flags', Limit.LIMIT_VIF_IP, intent.carriesIp);
    this.#meter(vif);
    plane.vifs.write(id, { node, veth: vif.links?.machine ?? 0, mtu: intent.mtu, mac });
    if (intent.paths.length > 0 || carriages.of(id).length > 0) await carriages.carry(id, intent, owner);
    if (intent.port !== undefined) {
      vif.port = intent.port;
      await interfaces.claimPort(intent.port, id);
    }
  }

  /** A meter is complete before the flag that leads to it. */
  #meter({ id, intent }: LiveVif): void {
    const { vifs, meters } = this.#options.plane;
    const flags = { sent: Limit.LIMIT_VIF_SENT_RATE, received: Limit.LIMIT_VIF_RECEIVED_RATE };
    for (const direction of ['sent', 'received'] as const) {
      const rate = intent[direction];
      if (rate) meters.set(id, direction, rate);
      vifs.setBits(id, 'flags', flags[direction], rate !== undefined);
    }
  }

  #join(vif: LiveVif, node: VirtualNode): void {
    if (!vif.links) return;
    const { intent, id } = vif;
    node.mirror.setVif(intent.device, {
      id,
      mac: parseMac(intent.mac) ?? new Uint8Array(6),
      index: vif.links.inside,
      carriesIp: intent.carriesIp,
    });
  }
}
