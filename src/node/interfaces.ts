/**
 * The machine's interfaces that the data plane runs on: its own wires, and the ports where stations' cables end.
 * An interface is named once, by the operator or by an Apply; from then on it is followed by its index, so that a
 * renamed one stays what it is, and one that comes back under the name is taken up again.
 */
import { type Link, type NetlinkEvent } from '../../native/lib/index.js';
import { PortRole } from '../../gen/layout.js';
import { type DataPlane } from '../dataplane/index.js';
import { silence } from './namespace.js';
import { type NetState } from './net-state.js';

export type InterfaceRole = 'underlay' | 'port';

export interface Attachment {
  readonly name: string;
  readonly role: InterfaceRole;
  /** The interface that bears the name, or bore it; undefined: there is none. */
  readonly index: number | undefined;
  /** Why the program does not run there; empty while it does. */
  readonly problem: string;
}

interface Place {
  name: string;
  role: InterfaceRole;
  vif: number;
  index: number | undefined;
  problem: string;
}

export interface InterfacesOptions {
  readonly plane: DataPlane;
  readonly net: NetState;
  /** Names of the machine's wires. */
  readonly underlay: readonly string[];
  /** Globs (`*`, `?`) of the interfaces offered to stations. */
  readonly ports: readonly string[];
  /** True if the interface is the machine's end of a vif. */
  readonly isMachineEnd: (name: string) => boolean;
  /** The interface of a port has come, gone or changed. */
  readonly portChanged: (name: string) => void;
  /** A wire was taken into use, or is gone. */
  readonly underlayChanged: () => void;
  readonly failed: (error: unknown) => void;
}

/** `st-*` and the like; no other characters mean anything. */
export function matchesGlob(glob: string, name: string): boolean {
  const pattern = glob
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${pattern}$`, 's').test(name);
}

function sentence(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

export class Interfaces {
  readonly #options: InterfacesOptions;
  readonly #underlay = new Map<string, Place>();
  readonly #ports = new Map<string, Place>();
  #work: Promise<void> = Promise.resolve();

  constructor(options: InterfacesOptions) {
    this.#options = options;
    for (const name of options.underlay) {
      this.#underlay.set(name, {
        name,
        role: 'underlay',
        vif: 0,
        index: undefined,
        problem: 'no such interface',
      });
    }
  }

  /** Takes the wires that are there, and follows what comes. */
  async start(): Promise<void> {
    this.#options.net.listen((events) => this.#onEvents(events));
    await this.#queue(() => this.#lookAll());
  }

  isUnderlay(name: string): boolean {
    if (this.#underlay.has(name)) return true;
    const link = this.#options.net.linkByName(name);
    return link !== undefined && this.underlayOf(link) !== undefined;
  }

  offersPort(name: string): boolean {
    const { ports, isMachineEnd } = this.#options;
    return name !== 'lo' && !isMachineEnd(name) && ports.some((glob) => matchesGlob(glob, name));
  }

  /** The wire a link's frames pass: itself, or the one below a VLAN device; undefined if neither is ours. */
  underlayOf(link: Link): number | undefined {
    const physical = link.kind === 'vlan' ? link.peerIndex : link.index;
    for (const { index, problem } of this.#underlay.values()) {
      if (index !== undefined && index === physical && problem === '') return index;
    }
    return undefined;
  }

  /** True for a wire, and for what is on one. */
  concerns(link: Link): boolean {
    if (this.#underlay.has(link.name)) return true;
    for (const { index } of this.#underlay.values()) {
      if (index !== undefined && (index === link.index || index === link.peerIndex)) return true;
    }
    return false;
  }

  /** The wire of this name, or the one below the VLAN device of this name. */
  underlayIndex(name: string): number | undefined {
    const place = this.#underlay.get(name);
    if (place) return place.index;
    const link = this.#options.net.linkByName(name);
    return link && this.underlayOf(link);
  }

  /** The interface where a station's cable ends; the program runs there, for this vif, when the promise is kept. */
  claimPort(name: string, vif: number): Promise<Attachment> {
    return this.#queue(async () => {
      let place = this.#ports.get(name);
      if (place && place.vif !== vif) {
        await this.#let(place);
        place = undefined;
      }
      if (!place) {
        place = { name, role: 'port', vif, index: undefined, problem: 'no such interface' };
        this.#ports.set(name, place);
      }
      await this.#look(place);
      return place;
    });
  }

  releasePort(name: string, vif: number): Promise<void> {
    return this.#queue(async () => {
      const place = this.#ports.get(name);
      if (!place || place.vif !== vif) return;
      this.#ports.delete(name);
      await this.#let(place);
    });
  }

  port(name: string): Attachment | undefined {
    return this.#ports.get(name);
  }

  *all(): Generator<Attachment> {
    yield* this.#underlay.values();
    yield* this.#ports.values();
  }

  #queue<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#work.then(work);
    this.#work = done.then(
      () => undefined,
      () => undefined,
    );
    return done;
  }

  #onEvents(events: readonly NetlinkEvent[]): void {
    if (!events.some((event) => event.type === 'resync' || event.what === 'link')) return;
    this.#queue(() => this.#lookAll()).catch(this.#options.failed);
  }

  async #lookAll(): Promise<void> {
    for (const place of this.#underlay.values()) await this.#look(place);
    for (const place of this.#ports.values()) await this.#look(place);
  }

  /** Finds the interface and takes it, or lets go of one that is gone. */
  async #look(place: Place): Promise<void> {
    const { net, portChanged, underlayChanged } = this.#options;
    const was = `${place.index} ${place.problem}`;
    if (place.index !== undefined && !net.links.has(place.index)) {
      await this.#let(place);
      place.index = undefined;
      place.problem = 'no such interface';
    }
    if (place.index === undefined || place.problem !== '') {
      const link = place.index === undefined ? net.linkByName(place.name) : net.links.get(place.index);
      if (link) await this.#take(place, link);
    }
    if (`${place.index} ${place.problem}` === was) return;
    if (place.role === 'port') portChanged(place.name);
    else underlayChanged();
  }

  async #take(place: Place, link: Link): Promise<void> {
    const { plane, net } = this.#options;
    place.index = link.index;
    try {
      const role = place.role === 'underlay' ? PortRole.PORT_UNDERLAY : PortRole.PORT_ACCESS;
      plane.setPort(link.index, { role, vif: place.vif });
      await plane.setDevice(link.index);
      await plane.attach(link.index, 'port');
      if (place.role === 'port') await silence(net.netns, link.name);
      place.problem = '';
    } catch (error) {
      place.problem = sentence(error);
      this.#options.failed(error);
    }
  }

  async #let(place: Place): Promise<void> {
    if (place.index === undefined) return;
    const { plane } = this.#options;
    try {
      await plane.detach(place.index);
      plane.clearPort(place.index);
      await plane.clearDevice(place.index);
    } catch (error) {
      // an interface that is gone has taken its program with it
      if (this.#options.net.links.has(place.index)) throw error;
    }
  }
}
