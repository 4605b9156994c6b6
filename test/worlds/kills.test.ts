/*
 * kill -9 at any moment: while the operators of all providers ask for things and give them back, agents and
 * controllers are killed and started again. In the end every provider has what was acknowledged, what is stored is what is
 * in memory, and every machine holds what a world holds in which only that was ever asked for.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';

import { type AnyResource, APIS, type Body, bodyOf } from '../../src/resources/api.js';
import { bring } from '../../src/world/business.js';
import { type Manifest } from '../../src/world/manifests.js';
import { stationNamespace } from '../../src/world/place.js';
import { Bed } from '../support/bed.js';
import { LISTED, MADE, nameOf, type Draft, Operators, type Wanted } from '../support/bed-operator.js';
import { Dice, Operations } from '../support/bed-operations.js';
import { pictureOf } from '../support/bed-picture.js';

const OPERATIONS = Number(process.env['CABERNET_KILLS_OPERATIONS'] ?? 100);
const seed = Number(process.env['CABERNET_KILLS_SEED'] ?? 1);

/** P and Q are of one provider, M of another; what is bought of both crosses peerings. */
const yaml = `
name: kills
machines: [{ name: P, provider: one }, { name: Q, provider: one }, { name: M, provider: two }]
wires: [{ a: P, b: Q }, { a: Q, b: M }, { a: P, b: M }]
networks:
  - name: conn
    nodes: [{ name: P }, { name: Q }, { name: M }]
    links:
      - { a: P, b: Q, slo: { bitsPerSecond: 100000000 } }
      - { a: Q, b: M, slo: { bitsPerSecond: 100000000 } }
      - { a: P, b: M, slo: { bitsPerSecond: 100000000 } }
  - name: iptv
    over: conn
    nodes: [{ name: P }, { name: Q }, { name: M }]
    links: [{ a: P, b: M, via: [Q] }]
  - name: talk
    over: conn
    nodes: [{ name: P }, { name: M }]
    links: [{ a: P, b: M }]
stations:
  - { name: hp, network: iptv, node: P, addresses: ['10.0.1.2/24', 'fd00:0:0:1::2/64'] }
  - { name: hq, network: iptv, node: Q, addresses: ['10.0.2.2/24', 'fd00:0:0:2::2/64'] }
  - { name: hm, network: iptv, node: M, addresses: ['10.0.3.2/24', 'fd00:0:0:3::2/64'] }
  - { name: tp, network: talk, node: P, addresses: ['10.0.1.2/24', 'fd00:0:0:1::2/64'] }
  - { name: tm, network: talk, node: M, addresses: ['10.0.3.2/24', 'fd00:0:0:3::2/64'] }
`;

const beds: Bed[] = [];
/** What happened when. */
const told: string[] = [];
const say = (text: string): void => void told.push(`${new Date().toISOString().slice(14, 23)} ${text}`);
let failed = false;

afterEach(({ task }) => {
  failed ||= task.result?.state === 'fail';
});
afterAll(() => {
  if (failed) process.stderr.write(`seed ${seed}\n${told.join('\n')}\n${beds[0]?.logs(40)}\n`);
  for (const bed of beds) bed.down();
}, 60_000);

const started = async (): Promise<Operators> => {
  const bed = await Bed.start(yaml);
  beds.push(bed);
  return new Operators(bed);
};

/** From the bottom up, as `up` does; known as wanted then. */
async function brought(operators: Operators, manifests: readonly Manifest[]): Promise<void> {
  await bring(manifests, ({ name }) => operators.bed.desk(name));
  for (const { name, resources } of manifests)
    for (const draft of resources) operators.of(name).resources.set(nameOf(draft), draft);
}

/** What is wanted in one world, in the words of another. `has`: as it is there. */
function translated(draft: Draft, has: AnyResource | undefined, from: Bed, to: Bed): Draft {
  if ('machine' in draft && draft.machine)
    return { machine: { ...draft.machine, agent: (draft.machine.agent ?? '').replace(from.name, to.name) } };
  const { assignedA, assignedB } = bodyOf(has) as { assignedA?: string[]; assignedB?: string[] };
  if (!('link' in draft) || !assignedA || !assignedB) return draft;
  // the lowest that were free when it was asked for
  return { link: { ...draft.link, addressesA: assignedA, addressesB: assignedB } };
}

let operators: Operators;

beforeAll(async () => {
  operators = await started();
  await brought(operators, operators.bed.manifests);
  await operators.rest();
}, 120_000);

async function killing(bed: Bed, dice: Dice, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await delay(dice.below(500));
    const first = dice.one(bed.members);
    const others = dice.next() < 0.25 ? bed.members.filter((one) => one !== first) : [];
    const names = others.length > 0 ? [first, dice.one(others)] : [first];
    say(`kill ${names.join(' ')}`);
    await bed.kill(...names);
    // some die before they have said a word
    if (dice.next() < 0.8) await bed.answering(names);
  }
  await bed.answering();
}

test(`${OPERATIONS} operations while everybody dies, seed ${seed}`, async () => {
  const { bed } = operators;
  const pinging = new Pinging(bed.name);
  const dice = new Dice(seed);
  const operations = new Operations(operators, dice);
  const stop = new AbortController();
  await pinging.ready;
  const killer = killing(bed, new Dice(seed + 1), stop.signal);
  killer.catch(() => stop.abort());
  try {
    for (let i = 0; i < OPERATIONS && !stop.signal.aborted; i++) {
      say(await operations.next());
      // sometimes they come to rest in between, sometimes not
      if (dice.next() < 0.2) await operators.rest(['conn', 'iptv'], 1000).catch(() => undefined);
    }
  } finally {
    stop.abort();
    await killer;
  }
  say('rest');
  await operators.rest();
  const { sent, lost } = await pinging.stop();
  // the last one may be on its way
  expect(lost.filter((sequence) => sequence < sent)).toEqual([]);
  expect(sent).toBeGreaterThan(100);
}, 240_000);

const lists = (provider: string): Promise<Map<string, AnyResource>> => {
  const { layer } = operators.of(provider);
  return operators.lists(provider, [...LISTED[layer], ...MADE[layer]]);
};

test('every provider has what was acknowledged, and nothing else', async () => {
  for (const { name, layer, resources } of operators.wanted.values()) {
    const has = await operators.lists(name, LISTED[layer]);
    expect([...has.keys()].sort(), name).toEqual([...resources.keys()].sort());
    for (const [one, draft] of resources) {
      const complete = APIS[layer].type.complete(draft) as AnyResource;
      expect(has.get(one), one).toMatchObject(onlySaid(draft, complete));
    }
  }
});

/** Of a resource what its draft has a word about. */
function onlySaid(draft: Draft, { kind = '', ...complete }: AnyResource): AnyResource {
  const body = complete[kind] as Readonly<Record<string, unknown>>;
  const said = Object.keys((draft as Readonly<Record<string, object>>)[kind] ?? {});
  // what the controller itself says of it
  const own = new Set(['status', 'price', 'achieved', 'lease', 'assignedA', 'assignedB', 'sold']);
  return {
    kind,
    [kind]: Object.fromEntries(Object.entries(body).filter(([key]) => said.includes(key) && !own.has(key))),
  };
}

/** What became leases, which is forgotten when they have ended and somebody looks. */
const isRecord = (name: string): boolean => name.includes('/reservations/');

/** What is not learned anew of a machine that answers, nor comes and goes with the paths of a link. */
function stored({ kind = '', ...resource }: AnyResource): unknown {
  const {
    status,
    state: _,
    violation: __,
    ...body
  } = resource[kind] as Body & { readonly state?: unknown; readonly violation?: unknown };
  const { generation, observedGeneration, reconciling, state, message } = status ?? {};
  const { links } = body as { readonly links?: readonly { readonly violation?: unknown }[] };
  return {
    ...body,
    ...(links && { links: links.map(({ violation: ___, ...link }) => link) }),
    status: { generation, observedGeneration, reconciling, state, message },
  };
}

test('what is stored is what was in memory', async () => {
  const providers = [...operators.wanted.keys()];
  await operators.rest();
  const kept = async (provider: string): Promise<unknown[]> =>
    [...(await lists(provider))].flatMap(([name, one]) => (isRecord(name) ? [] : [stored(one)]));
  const before = await Promise.all(providers.map(kept));
  await operators.bed.kill(...providers);
  await operators.bed.answering();
  await operators.rest();
  // what is watched below may have moved meanwhile, and comes to rest again
  for (const [i, provider] of providers.entries())
    await expect.poll(() => kept(provider), { timeout: 60_000, interval: 500 }).toEqual(before[i]);
}, 240_000);

test('nobody is in the middle of anything', async () => {
  for (const { name, layer } of operators.wanted.values()) {
    const left = operators.bed.stored(name).filter((key) => /^(?:deals|releases|quarantine)\//.test(key));
    expect(left, name).toEqual([]);
    if (layer !== 'infrastructure') continue;
    const reservations = await operators.lists(name, ['customers/-/reservations']);
    const uncommitted = [...reservations.values()]
      .map(bodyOf)
      .filter((one) => !('committed' in one && one.committed));
    expect(uncommitted, name).toEqual([]);
  }
});

test('machines hold what they hold where only that was ever asked for', async () => {
  const fresh = await started();
  const manifests = await Promise.all(
    [...operators.wanted.values()].map(async ({ layer, name, resources }: Wanted): Promise<Manifest> => {
      const has = await operators.lists(name, LISTED[layer]);
      const own = [...resources].filter(([one]) => !one.includes('/routes/'));
      return {
        ...{ layer, name },
        resources: own.map(([one, draft]) => translated(draft, has.get(one), operators.bed, fresh.bed)),
      };
    }),
  );
  await brought(fresh, manifests);
  for (const { name, resources, routes } of operators.wanted.values()) {
    for (const [node, drafts] of routes) expect(await fresh.setRoutes(name, node, drafts)).toBe(true);
    const own = [...resources.values()].filter((draft) => nameOf(draft).includes('/routes/'));
    if (own.length > 0) expect(await fresh.update(name, ...own)).toBe(true);
  }
  await fresh.rest();
  // next hops that lead to the same neighbours
  for (const { bed } of [fresh, operators]) await reached(bed);
  const expected = await pictureOf(fresh.bed.name, fresh.bed.agents);
  const seen = await pictureOf(operators.bed.name, operators.bed.agents);
  expect(seen).toEqual(expected);
}, 120_000);

/** Until one packet of that service has come back. */
async function reached(bed: Bed): Promise<void> {
  const pinging = new Pinging(bed.name, 1);
  await pinging.ready;
  await pinging.stop();
}

/** Packets of the service that nobody touches. */
class Pinging {
  readonly ready: Promise<void>;
  readonly #child: ChildProcess;
  #text = '';

  /** `ready` when this many have been answered. */
  constructor(name: string, many = 10) {
    const namespace = stationNamespace(name, 'talk', 'tp');
    const ping = ['ping', '-n', '-i', '0.02', '10.0.3.2'];
    this.#child = spawn('ip', ['netns', 'exec', namespace, ...ping], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.ready = new Promise((resolve, reject) => {
      this.#child.stdout?.on('data', (chunk: Buffer) => {
        this.#text += chunk.toString();
        if ((this.#text.match(/icmp_seq=/g)?.length ?? 0) >= many) resolve();
      });
      this.#child.on('exit', () => reject(new Error(this.#text)));
    });
    this.ready.catch(() => undefined);
  }

  async stop(): Promise<{ sent: number; received: number; lost: readonly number[] }> {
    const ended = once(this.#child, 'close');
    this.#child.kill('SIGINT');
    await ended;
    const [, sent, received] = /(\d+) packets transmitted, (\d+) received/.exec(this.#text) ?? [];
    const seen = new Set(
      [...this.#text.matchAll(/icmp_seq=(\d+) /g)].map(([, sequence]) => Number(sequence)),
    );
    const lost = Array.from({ length: Number(sent) }, (_, i) => i + 1).filter(
      (sequence) => !seen.has(sequence),
    );
    return { sent: Number(sent), received: Number(received), lost };
  }
}
