/**
 * Virtual networks as their world calls them, and as machines do: there a service network's name has its providers' before
 * it. What agents say is read, and what they are asked is written, with the world's names: `iptv/P`, not `conn_iptv/P`.
 */
import { type NetworkPlan } from './layout.js';

const VNS = /\bvns\/([A-Za-z0-9_-]+)(?=\/)/g;

export class Naming {
  readonly #toPeople: ReadonlyMap<string, string>;
  readonly #toMachines: ReadonlyMap<string, string>;

  constructor(networks: readonly Pick<NetworkPlan, 'name' | 'vn'>[]) {
    this.#toPeople = new Map(networks.map(({ name, vn }) => [vn, name]));
    this.#toMachines = new Map(networks.map(({ name, vn }) => [name, vn]));
  }

  /** Every name in the texts of an agent's message. */
  forPeople<T>(message: T): T {
    return this.#toPeople.size === 0 ? message : (mapped(message, (text) => this.#up(text)) as T);
  }

  /** `vns/VN/…` */
  forMachines(name: string): string {
    return name.replace(VNS, (whole, network: string) => {
      const vn = this.#toMachines.get(network);
      return vn === undefined ? whole : `vns/${vn}`;
    });
  }

  #up(text: string): string {
    return text.replace(VNS, (whole, vn: string) => {
      const name = this.#toPeople.get(vn);
      return name === undefined ? whole : `vns/${name}`;
    });
  }
}

/** Bytes stay as they are. */
function mapped(value: unknown, map: (text: string) => string): unknown {
  if (typeof value === 'string') return value.includes('vns/') ? map(value) : value;
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value;
  if (Array.isArray(value)) return value.map((item) => mapped(item, map));
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, mapped(item, map)]));
}
