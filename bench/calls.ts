/*
 * Calls a second of a controller's process, `cabernet service`: over TCP with mutual TLS 1.3 beside its unix socket, in turns.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { type Client, type ClientOptions, connect } from '../src/api/client.js';
import type { cabernet } from '../gen/cabernet.js';
import { ServiceNetworkService } from '../src/api/service.js';
import { types } from '../src/api/types.js';
import { Authority } from '../src/identity/authority.js';
import { Credentials } from '../src/identity/credentials.js';
import { namedBy } from '../src/identity/principal.js';
import { packageRoot } from '../src/world/place.js';
import { median, round, row, type Row } from './report.js';
import { undoAtExit } from './undo.js';

type ServiceClient = Client<cabernet.service.v1.ServiceNetworkService>;

const rounds = 3;
const inFlight = 64;
const calls = 2000;
const watches = 1;
/** With `network` 1000 resources. */
const nodes = 999;
const deployment = 'bench.cabernet.test';

/** Nobody supplies it: what is measured is the API. */
function resources(folder: string) {
  const names = Array.from({ length: nodes }, (_, i) => `nodes/n${i}`);
  const supplierAddress = `unix:${join(folder, 'nobody.sock')}`;
  return [
    { network: { name: 'network', supplier: 'conn', supplierAddress } },
    ...names.map((name) => ({ node: { name } })),
  ];
}

/** One that nobody listens at. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address ? address.port : 0;
}

/** Calls a second, so many in flight. */
async function unary(client: ServiceClient): Promise<number> {
  let left = calls;
  const start = performance.now();
  const one = async (): Promise<void> => {
    while (left-- > 0) await client.get({ name: `nodes/n${left % nodes}` });
  };
  await Promise.all(Array.from({ length: inFlight }, one));
  return calls / ((performance.now() - start) / 1000);
}

/** Messages a second: all there is, watched some times over. */
async function streamed(client: ServiceClient): Promise<number> {
  let messages = 0;
  const start = performance.now();
  for (let i = 0; i < watches; i++) {
    for await (const { type } of client.watch({ includeCurrent: true })) {
      messages++;
      if (type === types.EventType.EVENT_TYPE_SYNCED) break;
    }
  }
  if (messages < watches * nodes) throw new Error(`only ${messages} messages came`);
  return messages / ((performance.now() - start) / 1000);
}

class Program {
  readonly #child: ChildProcess;
  readonly #end: () => void;

  constructor(args: readonly string[]) {
    const stdio = ['ignore', 'ignore', 'inherit'] as const;
    this.#child = spawn(process.execPath, [join(packageRoot(), 'bin', 'cabernet'), ...args], {
      stdio: [...stdio],
    });
    this.#end = undoAtExit(() => this.#child.kill('SIGKILL'));
  }

  async stop(): Promise<void> {
    const ended = once(this.#child, 'exit');
    const running = this.#child.exitCode === null && this.#child.signalCode === null;
    this.#end();
    if (running) await ended;
  }
}

async function measured(folder: string): Promise<Row[]> {
  const authority = await Authority.init(join(folder, 'ca'), deployment);
  const [server, operator] = ['service/bench', 'operator/bench'].map((name) =>
    namedBy(name, deployment, 'name'),
  );
  if (!server || !operator) throw new Error('nobody');
  const [own, theirs] = [join(folder, 'server'), join(folder, 'operator')];
  await authority.issue(server, own);
  await authority.issue(operator, theirs);
  const address = `127.0.0.1:${await freePort()}`;
  const socketPath = join(folder, 'api.sock');
  const program = new Program([
    ...['service', '--name', 'bench', '--socket', socketPath, '--state', join(folder, 'state.db')],
    ...['--listen', address, '--credentials', own, '--log-level', 'error'],
  ]);
  const credentials = await Credentials.open(theirs, { watch: false });
  const open = (target: ClientOptions): ServiceClient => connect(ServiceNetworkService, target);
  const clients = { tls: open({ address, credentials, server }), unix: open({ socketPath }) };
  try {
    for (const client of Object.values(clients)) await client.ready(30_000);
    await clients.unix.update({ resources: resources(folder) });
    const rates = { tls: [] as number[][], unix: [] as number[][] };
    // the first is to warm up
    for (let i = 0; i <= rounds; i++)
      for (const over of ['tls', 'unix'] as const) {
        const pair = [await unary(clients[over]), await streamed(clients[over])];
        if (i > 0) rates[over].push(pair);
        process.stderr.write(`  ${over}: ${pair.map(round).join(' calls/s, ')} messages/s\n`);
      }
    const of = (over: 'tls' | 'unix', which: number): number =>
      round(median(rates[over].map((pair) => pair[which] ?? 0)));
    return [`Get, ${inFlight} in flight, mutual TLS`, 'Watch of 1 000 resources, mutual TLS'].map((what, i) =>
      row({
        ...{ bench: 'control', case: what, unit: i === 0 ? 'calls/s' : 'messages/s', value: of('tls', i) },
        ...{ peer: 'unix socket', peerValue: of('unix', i) },
      }),
    );
  } finally {
    for (const client of Object.values(clients)) client.close();
    credentials.close();
    await program.stop();
  }
}

export async function callRates(): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), 'cabernet-bench-'));
  try {
    return await measured(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
