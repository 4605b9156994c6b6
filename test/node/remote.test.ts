/** An agent that is called over TCP, with certificates as `cabernet ca` issues them. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { type Client, connect } from '../../src/api/client.js';
import { Status } from '../../src/api/errors.js';
import { NodeService, type v1 } from '../../src/api/node.js';
import { Credentials } from '../../src/identity/credentials.js';
import { failure } from '../api/support.js';
import { principal } from '../identity/support.js';

const COMMAND = fileURLToPath(new URL('../../bin/cabernet', import.meta.url));

type NodeClient = Client<InstanceType<typeof v1.NodeService>>;

let folder: string;
let pinDir: string;
let agent: ChildProcess | undefined;
let address = '';
const ends: (() => void)[] = [];

function command(...words: string[]): { status: number | null; out: string; err: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [COMMAND, ...words], {
    cwd: folder,
    encoding: 'utf8',
  });
  return { status, out: stdout, err: stderr };
}

function issue(name: string, out: string): string {
  expect(command('ca', 'issue', name, '--directory', 'ca', '--out', out).status).toBe(0);
  return join(folder, out);
}

function nodeArguments(credentials: string): string[] {
  return [
    ...['node', '--name', 'P', '--socket', join(folder, 'P.sock'), '--pin-dir', pinDir],
    ...['--listen', '127.0.0.1:0', '--credentials', credentials, '--provider', 'acme'],
  ];
}

/** Resolves with where it listens; rejects with what it said if it ends instead. */
async function started(child: ChildProcess): Promise<string> {
  let said = '';
  return new Promise((done, fail) => {
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      const where = /serving .*address=(\S+)/.exec(said)?.[1];
      if (where !== undefined) done(where);
    });
    child.once('close', () => fail(new Error(said)));
  });
}

async function client(directory: string): Promise<NodeClient> {
  const credentials = await Credentials.open(directory, { watch: false });
  const made = connect(NodeService, { address, credentials, server: principal('agent/acme/P') });
  ends.push(() => made.close());
  return made;
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cabernet-remote-'));
  pinDir = `/sys/fs/bpf/${folder.split('/').at(-1)}`;
  expect(command('ca', 'init', '--directory', 'ca', '--deployment', 'example.net').status).toBe(0);
  agent = spawn(process.execPath, [COMMAND, ...nodeArguments(issue('agent/acme/P', 'P'))], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  address = await started(agent);
});

afterAll(async () => {
  for (const end of ends) end();
  if (agent && agent.exitCode === null) {
    const exit = once(agent, 'exit');
    agent.kill('SIGTERM');
    await exit;
  }
  rmSync(folder, { recursive: true, force: true });
  rmSync(pinDir, { recursive: true, force: true });
});

test('its provider may write, operators read, others nothing', async () => {
  const empty = [{ begin: { owner: 'acme', epoch: 1n } }, { commit: { resourceCount: 0 } }];
  const ours = await client(issue('infrastructure/acme', 'acme'));
  expect((await ours.getMachine({})).name).toBe('P');
  expect((await ours.apply(empty)).epoch).toBe(1n);

  const alice = await client(issue('operator/alice', 'alice'));
  expect((await alice.getMachine({})).name).toBe('P');
  expect((await alice.listCounters({})).counters).toEqual([]);
  const reads = { status: Status.PERMISSION_DENIED, reason: 'OPERATORS_READ' };
  expect(await failure(alice.apply(empty))).toMatchObject({ ...reads, operation: 'Apply' });
  expect(await failure(alice.capture({}))).toMatchObject({ ...reads, operation: 'Capture' });

  for (const name of ['infrastructure/evil', 'connectivity/acme', 'agent/acme/P']) {
    const other = await client(issue(name, name.replaceAll('/', '-')));
    expect(await failure(other.getMachine({}))).toMatchObject({
      status: Status.PERMISSION_DENIED,
      reason: 'NOT_OUR_PROVIDER',
      operation: 'GetMachine',
    });
  }
});

test('the command line reads from it, without being root of its machine', () => {
  issue('operator/bob', 'bob');
  const remote = ['--address', address, '--credentials', 'bob', '--server', 'agent/acme/P'];
  const got = command('get', 'machines', '-o', 'json', ...remote);
  expect(got.err).toBe('');
  expect(JSON.parse(got.out)).toMatchObject([{ machine: 'P', agent: 'running' }]);
  expect(command('doctor', ...remote).out).toMatch(/^P\n {2}ok/);

  const wrong = command('get', 'machines', ...remote.slice(0, -1), 'agent/acme/Q');
  expect(wrong.status).toBe(1);
  expect(wrong.err).toContain('is not called: it is spiffe://example.net/agent/acme/P');
  expect(command('get', 'machines', ...remote.slice(0, 4)).err).toContain('--server agent/PROVIDER/MACHINE');
  expect(command('get', 'links', ...remote).err).toContain('needs a world');
});

test('an agent with the certificate of somebody else does not start', () => {
  for (const name of ['agent/acme/Q', 'agent/evil/P', 'infrastructure/acme']) {
    const directory = issue(name, `as-${name.replaceAll('/', '-')}`);
    const { status, err } = command(...nodeArguments(directory));
    expect(status).toBe(1);
    expect(err).toContain('it has to be agent/acme/P');
  }
  const { status, err } = command(...nodeArguments(join(folder, 'P')).slice(0, -2));
  // wrong usage
  expect(status).toBe(2);
  expect(err).toContain('--listen, --credentials and --provider go together');
});
