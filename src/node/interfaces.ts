/**
 * The machine's interfaces that the data plane runs on: its own wires, and the ports where stations' cables end.
 * An interface is named once, by the operator or by an Apply; from then on it is followed by its index, so that a
 * renamed one stays what it is, and one that comes back under the name is taken up again.
 */
import { type Link, type NetlinkEvent } from '../../native/lib/index.js';
import { Limit, PortRole } from '../../gen/layout.js';
import { type DataPlane } from '../dataplane/index.js';
import {
  closeFilter,
  type InterfaceRole,
  openFilter,
  prepareOffloads,
  type PromiscuousMemory,
} from '../nic/index.js';
import { silence } from './namespace.js';
import { type NetState } from './net-state.js';

export type { InterfaceRole } from '../nic/index.js';

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
  stripsTags: boolean;
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
  /** Something was set on an interface, or taken back. */
  readonly changed: (name: string, what: string) => void;
}

/** The interface is there and must not be used as it is. */
class Unfit extends Error {
  override readonly name = 'Unfit';
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
  readonly #memory: PromiscuousMemory;
  #work: Promise<void> = Promise.resolve();

  constructor(options: InterfacesOptions) {
    this.#options = options;
    const { ports } = options.plane;
    // In the pinned record, so that it outlives this process. What is taken back later is what was set, and no more.
    this.#memory = {
      isOurs: (index) => (ports.read(index).flags & Limit.LIMIT_PORT_PROMISCUOUS) !== 0,
      note: (index, ours) => ports.setBits(index, 'flags', Limit.LIMIT_PORT_PROMISCUOUS, ours),
    };
    for (const name of options.underlay) {
      this.#underlay.set(name, {
        name,
        role: 'underlay',
        vif: 0,
        index: undefined,
        problem: 'no such interface',
        stripsTags: false,
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

  /** Why labels cannot be taken there, where the port and VLAN give them their meaning; empty: they can. */
  wireProblem(index: number): string {
    for (const place of this.#underlay.values()) {
      if (place.index !== index) continue;
      if (place.problem !== '' || !place.stripsTags) return place.problem;
      return 'the card takes VLAN tags off before XDP sees them: every VLAN’s frames would pass for the wire’s';
    }
    return 'no underlay interface';
  }

  isNamedUnderlay(name: string): boolean {
    return this.#underlay.has(name);
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
        place = {
          name,
          role: 'port',
          vif,
          index: undefined,
          problem: 'no such interface',
          stripsTags: false,
        };
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

  /** What an earlier agent set on interfaces that are no ports any more is taken back. */
  forgetOthers(): Promise<void> {
    return this.#queue(async () => {
      const { plane } = this.#options;
      const ports = new Set(Array.from(this.#ports.values(), ({ index }) => index));
      for (let index = 1; index < plane.ports.capacity; index++) {
        if (this.#memory.isOurs(index) && !ports.has(index)) await this.#closeFilter(index);
      }
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
    const changed = new Set<number>();
    let resync = false;
    for (const event of events) {
      if (event.type === 'resync') resync = true;
      else if (event.what === 'link') changed.add(event.object.index);
    }
    if (!resync && changed.size === 0) return;
    this.#queue(() => this.#lookAll((index) => resync || changed.has(index))).catch(this.#options.failed);
  }

  async #lookAll(mayHaveChanged: (index: number) => boolean = () => false): Promise<void> {
    for (const place of [...this.#underlay.values(), ...this.#ports.values()]) {
      const { index, problem } = place;
      const kept = index !== undefined && problem === '';
      await this.#look(place);
      if (kept && place.index === index && mayHaveChanged(index)) await this.#keep(place);
    }
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
      await this.#prepare(place, link);
      const role = place.role === 'underlay' ? PortRole.PORT_UNDERLAY : PortRole.PORT_ACCESS;
      plane.setPort(link.index, { role, vif: place.vif });
      await plane.setDevice(link.index);
      await plane.attach(link.index, 'port');
      if (place.role === 'port') await silence(net.netns, link.name);
      await this.#filter(place, link);
      place.problem = '';
    } catch (error) {
      await this.#refuse(place, error);
    }
  }

  /** Somebody may have switched on again what must be off, or the other way round. */
  async #keep(place: Place): Promise<void> {
    const { net, portChanged, underlayChanged } = this.#options;
    const link = place.index === undefined ? undefined : net.links.get(place.index);
    if (!link) return;
    try {
      await this.#prepare(place, link);
      await this.#filter(place, link);
    } catch (error) {
      // one that goes at this moment is let go by the event that says so
      if ((await net.netlink.link(link.index)) === undefined) return;
      await this.#refuse(place, error);
      if (place.role === 'port') portChanged(place.name);
      else underlayChanged();
    }
  }

  async #refuse(place: Place, error: unknown): Promise<void> {
    const was = place.problem;
    place.problem = sentence(error);
    // it is tried again whenever a link changes, and told once
    if (place.problem !== was) this.#options.failed(error);
    // an earlier agent, or this one before it became so, may have had it forward
    if (error instanceof Unfit) await this.#let(place);
  }

  async #prepare(place: Place, link: Link): Promise<void> {
    const { net, underlayChanged } = this.#options;
    const { changed, problem, stripsTags = false } = await prepareOffloads(net.place(link.name), place.role);
    for (const what of changed) this.#options.changed(link.name, what);
    if (place.stripsTags !== stripsTags) {
      place.stripsTags = stripsTags;
      if (place.role === 'underlay') underlayChanged();
    }
    if (problem !== undefined) throw new Unfit(problem);
  }

  async #filter(place: Place, link: Link): Promise<void> {
    if (place.role !== 'port') return this.#closeFilter(link.index);
    const what = await openFilter(this.#options.net.netlink, link.index, this.#memory);
    if (what !== undefined) this.#options.changed(link.name, what);
  }

  async #closeFilter(index: number): Promise<void> {
    const { net, changed } = this.#options;
    const name = net.links.get(index)?.name ?? `interface ${index}`;
    const what = await closeFilter(net.netlink, index, this.#memory);
    if (what !== undefined) changed(name, what);
  }

  async #let(place: Place): Promise<void> {
    if (place.index === undefined) return;
    const { plane } = this.#options;
    try {
      await plane.detach(place.index);
      plane.clearPort(place.index);
      await plane.clearDevice(place.index);
      await this.#closeFilter(place.index);
    } catch (error) {
      // an interface that is gone has taken its program with it
      if (this.#options.net.links.has(place.index)) throw error;
    }
  }
}
