/*
 * Agents as processes of their own, from dist/, each in its machine's namespace, and clients to them.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Client, connect } from '../../src/api/client.js';
import { type Message } from '../../src/api/message.js';
import { NodeService } from '../../src/api/node.js';
import { type cabernet } from '../../gen/cabernet.js';
import { ip, netns, type Resource } from './machines.js';

export type NodeClient = Client<cabernet.node.v1.NodeService>;

const main = fileURLToPath(new URL('../../dist/src/node/main.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'cabernet-node-'));
const running = new Map<string, ChildProcess>();
const clients = new Map<string, NodeClient>();

const program = `
const [, main, options] = process.argv;
const { runNode } = await import(main);
await runNode(JSON.parse(options));
process.exit(0);
`;

export function client(machine: string): NodeClient {
  let found = clients.get(machine);
  if (!found) clients.set(machine, (found = connect(NodeService, { socketPath: socketOf(machine) })));
  return found;
}

function socketOf(machine: string): string {
  return join(folder, `${machine}.sock`);
}

function spawnAgent(machine: string, stderr: 'inherit' | 'pipe'): ChildProcess {
  const ns = netns(machine);
  const links = JSON.parse(ip('-n', ns, '-j', 'link')) as { ifname: string }[];
  const options = {
    name: machine,
    socket: socketOf(machine),
    pinDir: `/sys/fs/bpf/${ns}`,
    netnsPrefix: `${ns}.`,
    interfaces: links.map((link) => link.ifname).filter((name) => name.startsWith('to-')),
    ports: ['st-*'],
    logLevel: process.env['CABERNET_TEST_LOG'] ? 'debug' : 'error',
  };
  const command = [process.execPath, '--input-type=module', '-e', program, main, JSON.stringify(options)];
  return spawn('nsenter', [`--net=/run/netns/${ns}`, '--', ...command], {
    stdio: ['ignore', 'inherit', stderr],
  });
}

export async function start(machine: string): Promise<NodeClient> {
  running.set(machine, spawnAgent(machine, 'inherit'));
  clients.get(machine)?.close();
  clients.delete(machine);
  const made = client(machine);
  await made.ready(30_000);
  return made;
}

/** A second one beside the first: how it ends, and what it says. */
export async function startAgain(machine: string): Promise<{ status: number | null; stderr: string }> {
  const child = spawnAgent(machine, 'pipe');
  let stderr = '';
  child.stderr?.on('data', (bytes: Buffer) => (stderr += bytes.toString()));
  const [status] = (await once(child, 'close')) as [number | null];
  return { status, stderr };
}

export async function end(machine: string, signal: NodeJS.Signals): Promise<number | null> {
  const child = running.get(machine);
  if (!child) return null;
  running.delete(machine);
  const exit = once(child, 'exit') as Promise<[number | null]>;
  child.kill(signal);
  const [status] = await exit;
  return status;
}

export async function endAll(): Promise<void> {
  for (const one of clients.values()) one.close();
  clients.clear();
  for (const machine of [...running.keys()]) await end(machine, 'SIGTERM');
  rmSync(folder, { recursive: true, force: true });
}

let epochs = 0n;

export function applyTo(
  machine: string,
  owner: string,
  resources: readonly Resource[],
  options: { epoch?: bigint; validateOnly?: boolean } = {},
): Promise<Message<cabernet.node.v1.ApplyResponse>> {
  const { epoch = ++epochs, validateOnly = false } = options;
  return client(machine).apply([
    { begin: { owner, epoch, validateOnly } },
    { resources: { resources } },
    { commit: { resourceCount: resources.length } },
  ]);
}
