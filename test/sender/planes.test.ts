/*
 * Two whole data planes, a wire, and a sender each: sessions come up, fail and come back with nobody else in it. Times
 * are only compared with what the data plane itself has measured.
 *
 *   sender ─ e2 ══ e3 (cabernet_channel) ─▶ wire 1 (cabernet_port) ══ the same of the other
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  BfdState,
  Session,
  SessionHeard,
  SessionKey,
  SessionSent,
  SessionState,
  SweepControl,
} from '../../gen/layout.js';
import { type XdpLink } from '../../native/lib/index.js';
import { Instance } from '../support/instance.js';
import { contextWord, emptyTables, type Tables } from '../support/tables.js';

const SENDER = fileURLToPath(new URL('../../build/native-tools/bfd-sender', import.meta.url));
const { BFD_DOWN, BFD_UP } = BfdState;
const WIRE = 40;
const WIRE_CONTEXT = { wire: 1 };
const FIRST_LABEL = 3001;
/** µs and multiplier, by session. The last one outlives a sender. */
const SESSIONS = [
  { interval: 1000, multiplier: 3 },
  { interval: 1000, multiplier: 3 },
  { interval: 10_000, multiplier: 3 },
  { interval: 100_000, multiplier: 100 },
] as const;
const LASTING = SESSIONS.length - 1;
const PATIENCE = 25_000;

function ip(...args: readonly string[]): void {
  const { status, stderr } = spawnSync('ip', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`ip ${args.join(' ')}: ${stderr}`);
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

const macs = { a: '02:00:00:00:0a:01', b: '02:00:00:00:0b:01' };

function tables(own: string, far: string): Tables {
  return {
    ...emptyTables(),
    ports: [{ ifindex: WIRE, role: 'underlay' }],
    hops: [{ id: 1, ifindex: WIRE, room: 1514, source: own, destination: far }],
    wires: [{ id: 1, kind: 'lsp', ifindex: WIRE, hop: 1 }],
    labels: SESSIONS.map((_, id) => {
      const target = 1;
      return { context: WIRE_CONTEXT, label: FIRST_LABEL + id, action: 'deliver', target };
    }),
    vifs: [{ id: 1, node: 1, veth: 3, path: 1, mtu: 1400, mac: own }],
    paths: SESSIONS.map((_, id) => ({ id: id + 1, label: FIRST_LABEL + id, wire: 1 })),
  };
}

class Machine {
  readonly folder: string;
  readonly #instance: Instance;
  readonly #links: XdpLink[] = [];
  #sender: ChildProcess | undefined;

  private constructor(instance: Instance, name: string) {
    this.#instance = instance;
    this.folder = `/sys/fs/bpf/cbpl-${process.pid}-${name}`;
  }

  static async start(name: 'a' | 'b'): Promise<Machine> {
    const far = name === 'a' ? 'b' : 'a';
    const instance = await Instance.start(tables(macs[name], macs[far]), {}, 2);
    const machine = new Machine(instance, name);
    mkdirSync(machine.folder);
    for (const map of ['sessions', 'sessions_heard', 'session_states', 'sessions_sent', 'sweep_control'])
      instance.map(map).pin(`${machine.folder}/${map}`);
    for (const end of ['e2', 'e3']) ip('-n', machine.namespace, 'link', 'set', end, 'up');
    machine.#attach('cabernet_channel', 3);
    return machine;
  }

  get namespace(): string {
    return this.#instance.netns.slice('/run/netns/'.length);
  }

  #attach(program: string, ifindex: number): void {
    const netns = this.#instance.netns;
    this.#links.push(this.#instance.object.program(program).attachXdp(ifindex, { mode: 'native', netns }));
  }

  /** The wire is there. */
  async begin(): Promise<void> {
    const instance = this.#instance;
    ip('-n', this.namespace, 'link', 'set', 'wire', 'up');
    this.#attach('cabernet_port', WIRE);
    const program = instance.object.program('cabernet_egress');
    instance.map('devices').setDevice(WIRE, { ifindex: WIRE, program }, { netns: instance.netns });
    SESSIONS.forEach(({ interval, multiplier }, id) => {
      const [context, label] = [contextWord(WIRE_CONTEXT), FIRST_LABEL + id];
      instance.map('session_ends').update(SessionKey.encode({ context, label }), u32(id));
      const intent = { minTx: interval, minRx: interval, multiplier, flags: 0, restore: 0 };
      const place = { path: id + 1, context, label, vif: 1, index: id };
      const unmeasured = { measureInterval: 0, maxLoss: 0, maxDelay: 0, maxVariation: 0, hold: 0 };
      const rest = { discriminator: 0x10000 + id, ...unmeasured };
      instance.map('sessions').update(u32(id), Session.encode({ ...intent, ...place, ...rest }));
    });
    const control = { period: 1_000_000, end: SESSIONS.length, ticks: 0n, last: 0n, worst: 0n };
    instance.map('sweep_control').update(u32(0), SweepControl.encode(control));
    const armed = await instance.object.program('cabernet_arm').testRun({ data: Buffer.alloc(64) });
    expect(armed.retval).toBe(2);
    this.startSender();
  }

  startSender(): void {
    const command = [SENDER, '--maps', this.folder, '--interface', 'e2'];
    this.#sender = spawn('nsenter', [`--net=${this.#instance.netns}`, '--', ...command], {
      stdio: ['ignore', 'inherit', 'inherit'],
    });
  }

  async killSender(): Promise<void> {
    const sender = this.#sender;
    if (!sender) return;
    this.#sender = undefined;
    const exit = once(sender, 'exit');
    sender.kill('SIGKILL');
    await exit;
  }

  #read<T>(map: string, id: number, codec: { decode(view: DataView, offset: number): T }): T {
    const bytes = this.#instance.map(map).lookup(u32(id));
    if (!bytes) throw new Error(`no ${map} ${id}`);
    return codec.decode(new DataView(bytes.buffer, bytes.byteOffset), 0);
  }

  state(id: number): SessionState {
    return this.#read('session_states', id, SessionState);
  }
  heard(id: number): SessionHeard {
    return this.#read('sessions_heard', id, SessionHeard);
  }
  sent(id: number): SessionSent {
    return this.#read('sessions_sent', id, SessionSent);
  }
  /** The longest that a tick of the sweep came after the one before; ns. */
  worst(): bigint {
    return this.#read('sweep_control', 0, SweepControl).worst;
  }

  async stop(): Promise<void> {
    await this.killSender();
    for (const link of this.#links) link.close();
    this.#instance.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

async function until(what: string, isSo: () => boolean): Promise<void> {
  const deadline = Date.now() + PATIENCE;
  while (!isSo()) {
    if (Date.now() > deadline) throw new Error(`not within ${PATIENCE} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

let a: Machine;
let b: Machine;

const stateOf = (machine: Machine, id: number): number => machine.state(id).word & 0xff;
const ids = SESSIONS.map((_, id) => id);
const allUp = async (): Promise<void> =>
  until('all sessions are up', () => ids.every((id) => [a, b].every((m) => stateOf(m, id) === BFD_UP)));

beforeAll(async () => {
  a = await Machine.start('a');
  b = await Machine.start('b');
  const end = (machine: Machine, mac: string): string[] => [
    ...['wire', 'index', String(WIRE), 'netns', machine.namespace, 'address', mac],
  ];
  ip('link', 'add', 'name', ...end(a, macs.a), 'type', 'veth', 'peer', 'name', ...end(b, macs.b));
  await a.begin();
  await b.begin();
});

afterAll(async () => {
  await a?.stop();
  await b?.stop();
});

test('sessions come up by themselves, and ask and answer until the fast intervals are known', async () => {
  await allUp();
  await until('the peers know', () =>
    ids.every((id) =>
      [a, b].every((machine) => {
        const { interval, multiplier } = SESSIONS[id] ?? { interval: 0, multiplier: 0 };
        const heard = machine.heard(id);
        return (
          heard.minTx === interval &&
          heard.minRx === interval &&
          heard.multiplier === multiplier &&
          heard.finals > 0 &&
          heard.polls > 0 &&
          machine.sent(id).interval === interval
        );
      }),
    ),
  );
  // refused is only what came before the session had begun
  const refused = (): number[] => ids.flatMap((id) => [a, b].map((machine) => machine.heard(id).refused));
  const before = refused();
  const packets = b.heard(0).packets;
  await until('more of them', () => b.heard(0).packets > packets + 100n);
  expect(refused()).toEqual(before);
});

test('a sender that is killed: the other side knows within its detection time', async () => {
  await allUp();
  const lasting = b.state(LASTING).changes;
  await a.killSender();
  await until('down', () => [0, 1, 2].every((id) => stateOf(b, id) === BFD_DOWN));
  let expired = 0;
  for (const id of [0, 1, 2]) {
    const { word, lastHeard, leftUp } = b.state(id);
    const { interval, multiplier } = SESSIONS[id] ?? { interval: 0, multiplier: 0 };
    const silent = leftUp - lastHeard;
    // on a busy machine the other may have seen a failure, and said so, just before it was killed
    if (word >> 8 !== 1) continue;
    expired++;
    // not earlier, and at the first tick of the sweep that could know
    expect(silent).toBeGreaterThan(BigInt(interval * multiplier * 1000));
    expect(silent).toBeLessThanOrEqual(BigInt(interval * multiplier * 1000) + b.worst());
  }
  expect(expired).toBeGreaterThan(0);
  // whose sender is dead hears it from the other: neighbour signalled session down
  await until('the other, too', () => [0, 1, 2].every((id) => stateOf(a, id) !== BFD_UP));
  expect([0, 1, 2].some((id) => a.state(id).word >> 8 === 3)).toBe(true);
  // and by another sender everything comes back, what had not failed yet without a change
  a.startSender();
  await allUp();
  const packets = b.heard(LASTING).packets;
  await until('it goes on', () => b.heard(LASTING).packets > packets + 3n);
  expect(b.state(LASTING).changes).toBe(lasting);
});
