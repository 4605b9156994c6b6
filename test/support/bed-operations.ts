/*
 * Random operations against the providers of the world of test/worlds/kills.test.ts: such that what comes of all of them
 * together depends on nothing but what is wanted in the end, and that no provider has a reason to refuse in the end.
 */
import { type Wire } from '../../src/api/infrastructure.js';
import { type Link as ConnectivityLink } from '../../src/api/connectivity.js';
import { type Link as ServiceLink } from '../../src/api/service.js';
import { types } from '../../src/api/types.js';
import { type Draft, nameOf, type Operators, type RouteDraft } from './bed-operator.js';

const { LinkKind } = types;

/** Numbers that a seed determines (mulberry32). */
export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** 0 to 1, without 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  }

  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  one<T>(of: readonly T[]): T {
    const chosen = of[this.below(of.length)];
    if (chosen === undefined) throw new Error('nothing to choose from');
    return chosen;
  }
}

/** Of a world's infrastructure, connectivity and service providers. */
export const OPERATED = { own: 'one', other: 'two', conn: 'conn', service: 'iptv' } as const;

/** One operation; undefined: there is nothing to do it with now. */
type Operation = () => Promise<boolean> | undefined;

/** What may be done, and how often compared with the others. */
export class Operations {
  readonly #operators: Operators;
  readonly #dice: Dice;
  readonly #ports: ReadonlyMap<string, Draft>;
  #count = 0;

  /** `stations`: whose cables there are. */
  constructor(operators: Operators, dice: Dice) {
    this.#operators = operators;
    this.#dice = dice;
    const stations = this.#resources(OPERATED.service, 'stations/');
    this.#ports = new Map(stations.map((draft) => [nameOf(draft), draft]));
  }

  /** Does one; says which, and what came of it. */
  async next(): Promise<string> {
    for (;;) {
      const [name, operation] = this.#dice.one(this.#operations);
      this.#count++;
      const done = operation();
      if (done) return `${name}${(await done) ? '' : ' refused'}`;
    }
  }

  readonly #operations: readonly (readonly [string, Operation])[] = (() => {
    const weighted: readonly (readonly [number, string, Operation])[] = [
      [4, 'service link', () => this.#addServiceLink()],
      [3, 'service link gone', () => this.#dropOne(OPERATED.service, 'links/L')],
      [3, 'service link changed', () => this.#changeServiceLink()],
      [2, 'service node', () => this.#addServiceNode()],
      [2, 'service node gone', () => this.#dropServiceNode()],
      [1, 'service node changed', () => this.#changeServiceNode()],
      [2, 'station', () => this.#addStation()],
      [2, 'station gone', () => this.#dropOne(OPERATED.service, 'stations/')],
      [3, 'static route', () => this.#addRoute()],
      [1, 'static route gone', () => this.#dropOne(OPERATED.service, 'nodes/', '/routes/')],
      [2, 'SetRoutes', () => this.#setRoutes()],
      [4, 'link', () => this.#addLink()],
      [3, 'link gone', () => this.#dropOne(OPERATED.conn, 'links/X')],
      [2, 'link changed', () => this.#changeLink()],
      [2, 'node', () => this.#addNode()],
      [1, 'node gone', () => this.#dropNode()],
      [1, 'node changed', () => this.#changeNode()],
      [1, 'quota of a service', () => this.#quota(OPERATED.conn, OPERATED.service)],
      [1, 'quota', () => this.#quota(this.#dice.one([OPERATED.own, OPERATED.other]), OPERATED.conn)],
      [1, 'wire', () => this.#changeWire()],
      [1, 'machine', () => this.#changeMachine()],
    ];
    return weighted.flatMap(([weight, name, operation]) =>
      Array.from({ length: weight }, () => [name, operation] as const),
    );
  })();

  #resources(provider: string, prefix: string): Draft[] {
    return [...this.#operators.of(provider).resources.values()].filter((draft) =>
      nameOf(draft).startsWith(prefix),
    );
  }

  #has(provider: string, name: string): boolean {
    return this.#operators.of(provider).resources.has(name);
  }

  #dropOne(provider: string, prefix: string, within = ''): Promise<boolean> | undefined {
    const names = this.#resources(provider, prefix)
      .map(nameOf)
      .filter((name) => name.includes(within));
    return names.length === 0 ? undefined : this.#operators.delete(provider, this.#dice.one(names));
  }

  // ---- the service

  #nodes(): string[] {
    return this.#resources(OPERATED.service, 'nodes/')
      .map(nameOf)
      .filter((name) => !name.includes('/routes/'));
  }

  #addServiceLink(): Promise<boolean> | undefined {
    const dice = this.#dice;
    const a = dice.one(this.#nodes());
    const others = this.#nodes().filter((name) => name !== a && `${name}2` !== a && name !== `${a}2`);
    if (others.length === 0 || this.#resources(OPERATED.service, 'links/L').length > 8) return undefined;
    const b = dice.one(others);
    const ends = [a, b].sort().join(' ');
    const id = this.#count;
    return this.#operators.update(OPERATED.service, {
      link: {
        ...{ name: `links/L${id}`, a, b, vifA: `a${id}`, vifB: `b${id}`, mtu: dice.one([1400, 1500]) },
        ...{ metric: 1 + dice.below(5), slo: this.#slo(), payload: 1 + dice.below(2) },
        via: ends === 'nodes/M nodes/P' && dice.next() < 0.5 ? ['offers/Q'] : [],
      },
    });
  }

  #slo(): NonNullable<ServiceLink['slo']> {
    const slo = { bitsPerSecond: 0n, delayUs: 0, lossPpm: 0, availabilityPpm: 0 };
    return this.#dice.one([
      slo,
      { ...slo, delayUs: 40_000 + this.#dice.below(1000) },
      { ...slo, bitsPerSecond: 1_000_000n * BigInt(1 + this.#dice.below(3)) },
    ]);
  }

  #changeServiceLink(): Promise<boolean> | undefined {
    const links = this.#resources(OPERATED.service, 'links/L').flatMap((draft) =>
      'link' in draft && draft.link ? [draft.link as ServiceLink] : [],
    );
    if (links.length === 0) return undefined;
    const link = this.#dice.one(links);
    const change: Partial<ServiceLink> = this.#dice.one([
      { metric: 1 + this.#dice.below(5) },
      { slo: this.#slo() },
      { mtu: this.#dice.one([1400, 1450, 1500]) },
      { vifA: `c${this.#count}` },
      ...([link.a, link.b].sort().join(' ') === 'nodes/M nodes/P'
        ? [{ via: link.via.length === 0 ? ['offers/Q'] : [] }]
        : []),
    ]);
    return this.#operators.update(OPERATED.service, { link: { ...link, ...change } });
  }

  #addServiceNode(): Promise<boolean> | undefined {
    const missing = ['Q', 'P2'].filter(
      (one) => !this.#has(OPERATED.service, `nodes/${one}`) && this.#has(OPERATED.conn, `nodes/${one}`),
    );
    if (missing.length === 0) return undefined;
    const one = this.#dice.one(missing);
    return this.#operators.update(OPERATED.service, {
      node: { name: `nodes/${one}`, offer: `offers/${one}` },
    });
  }

  #dropServiceNode(): Promise<boolean> | undefined {
    // with links or a station it is refused
    const nodes = this.#nodes().filter((name) => name !== 'nodes/P' && name !== 'nodes/M');
    return nodes.length === 0 ? undefined : this.#operators.delete(OPERATED.service, this.#dice.one(nodes));
  }

  #changeServiceNode(): Promise<boolean> {
    const name = this.#dice.one(this.#nodes());
    const share = {
      ...{ cpuMillis: this.#dice.below(20), routes: 1000 + this.#dice.below(1000) },
      ...{ neighbours: 100 + this.#dice.below(100), vifs: 40, labels: 0 },
    };
    const offer = name.replace('nodes/', 'offers/');
    return this.#operators.update(OPERATED.service, { node: { name, offer, share } });
  }

  #addStation(): Promise<boolean> | undefined {
    const missing = [...this.#ports].filter(([name]) => !this.#has(OPERATED.service, name));
    if (missing.length === 0) return undefined;
    const [, draft] = this.#dice.one(missing);
    if (!('station' in draft) || !draft.station) return undefined;
    if (!this.#has(OPERATED.service, draft.station.node ?? '')) return undefined;
    return this.#operators.update(OPERATED.service, draft);
  }

  #addRoute(): Promise<boolean> {
    const node = this.#dice.one(this.#nodes());
    return this.#operators.update(OPERATED.service, {
      route: {
        ...{ name: `${node}/routes/r${this.#dice.below(4)}`, destination: `10.9.${this.#count % 250}.0/24` },
        ...{ type: 2 + this.#dice.below(2), announce: this.#dice.next() < 0.5 },
      },
    });
  }

  #setRoutes(): Promise<boolean> {
    const node = this.#dice.one(this.#nodes());
    const routes = Array.from({ length: this.#dice.below(30) }, (_, i): RouteDraft => ({
      ...{ destination: `10.10.${i}.0/24`, type: 2, announce: this.#dice.next() < 0.3 },
    }));
    return this.#operators.setRoutes(OPERATED.service, node, routes);
  }

  // ---- connectivity

  /** Beside the others, and too narrow for the service: no link of that has two ways that are as good. */
  #addLink(): Promise<boolean> | undefined {
    const dice = this.#dice;
    if (this.#resources(OPERATED.conn, 'links/X').length > 8) return undefined;
    const [a, b, kind] = dice.one([
      ...[
        ['nodes/P', 'nodes/Q', LinkKind.LINK_KIND_TUNNEL] as const,
        ['nodes/P', 'nodes/Q', LinkKind.LINK_KIND_LSP] as const,
      ],
      ...[
        ['nodes/Q', 'nodes/M', LinkKind.LINK_KIND_TUNNEL] as const,
        ['nodes/M', 'nodes/P', LinkKind.LINK_KIND_TUNNEL] as const,
      ],
    ]);
    const id = this.#count;
    return this.#operators.update(OPERATED.conn, {
      link: {
        ...{ name: `links/X${id}`, a, b, vifA: `x${id}`, vifB: `y${id}`, mtu: 1300, kind },
        slo: { bitsPerSecond: BigInt(dice.below(4)) * 1_000_000n },
      },
    });
  }

  /** In place: tunnels within one provider only. */
  #changeLink(): Promise<boolean> | undefined {
    const links = this.#resources(OPERATED.conn, 'links/').flatMap((draft) =>
      'link' in draft && draft.link ? [draft.link as ConnectivityLink] : [],
    );
    const inside = links.filter(
      ({ a, b, kind }) => ![a, b].includes('nodes/M') && kind !== LinkKind.LINK_KIND_LSP,
    );
    const link = this.#dice.one(inside);
    const most = link.name.startsWith('links/X') ? 4 : 50;
    const bitsPerSecond = BigInt(1 + this.#dice.below(most)) * 1_000_000n + (most === 50 ? 100_000_000n : 0n);
    return this.#operators.update(OPERATED.conn, { link: { ...link, slo: { bitsPerSecond } } });
  }

  /** Another one at P, with a link: one purchase. */
  #addNode(): Promise<boolean> | undefined {
    return this.#has(OPERATED.conn, 'nodes/P2') ? undefined : this.#buyNode();
  }

  async #buyNode(): Promise<boolean> {
    const done = await this.#operators.update(
      OPERATED.conn,
      {
        node: {
          ...{ name: 'nodes/P2', supplier: `suppliers/${OPERATED.own}`, offer: 'offers/P' },
          share: { cpuMillis: 100, vifs: 100, routes: 20_000, labels: 1000, neighbours: 2000 },
        },
      },
      {
        link: {
          ...{ name: 'links/P2-Q', a: 'nodes/P2', b: 'nodes/Q', vifA: 'to-Q', vifB: 'to-P2', mtu: 1504 },
          slo: { bitsPerSecond: 100_000_000n },
        },
      },
    );
    // a service that asks for it earlier is refused, and asks again minutes later
    await this.#operators.rest([OPERATED.conn]);
    return done;
  }

  #dropNode(): Promise<boolean> | undefined {
    if (!this.#has(OPERATED.conn, 'nodes/P2') || this.#has(OPERATED.service, 'nodes/P2')) return undefined;
    return this.#operators.delete(OPERATED.conn, 'links/P2-Q', 'nodes/P2');
  }

  #changeNode(): Promise<boolean> {
    const nodes = this.#resources(OPERATED.conn, 'nodes/');
    const draft = this.#dice.one(nodes);
    if (!('node' in draft) || !draft.node) throw new Error(`${nameOf(draft)} is no node`);
    const share = {
      ...draft.node.share,
      cpuMillis: 100 + this.#dice.below(50),
      neighbours: 2000 + this.#count,
    };
    return this.#operators.update(OPERATED.conn, { node: { ...draft.node, share } });
  }

  // ---- all that sell

  #quota(provider: string, customer: string): Promise<boolean> {
    return this.#operators.update(provider, {
      customer: { name: `customers/${customer}`, virtualLinks: 50 + this.#dice.below(50), virtualNodes: 20 },
    });
  }

  // ---- infrastructure

  #changeWire(): Promise<boolean> | undefined {
    const [draft] = this.#resources(OPERATED.own, 'wires/');
    if (!draft || !('wire' in draft) || !draft.wire) return undefined;
    const wire: Partial<Wire> = { metric: 1 + this.#dice.below(9), delayUs: 500 + this.#dice.below(1000) };
    return this.#operators.update(OPERATED.own, { wire: { ...draft.wire, ...wire } });
  }

  #changeMachine(): Promise<boolean> {
    const draft = this.#dice.one(this.#resources(OPERATED.own, 'machines/'));
    if (!('machine' in draft) || !draft.machine) throw new Error(`${nameOf(draft)} is no machine`);
    const had = (draft.machine.ports ?? []).filter((port) => !port.startsWith('spare'));
    const ports = [...had, ...Array.from({ length: this.#dice.below(3) }, (_, i) => `spare${i}`)];
    return this.#operators.update(OPERATED.own, { machine: { ...draft.machine, ports } });
  }
}
