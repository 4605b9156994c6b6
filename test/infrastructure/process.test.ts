/** The controller as a process of its own, killed: what it had answered is there when it starts again. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { connect } from '../../src/api/client.js';
import { InfrastructureService } from '../../src/api/infrastructure.js';
import { RecordingAgent } from './agent.js';
import { eventually, link, node, type ProviderClient, until, wire } from './provider.js';

const main = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url));
let folder: string;
let child: ChildProcess;
let client: ProviderClient;
const agents: RecordingAgent[] = [];

async function start(): Promise<void> {
  const socket = join(folder, 'one.sock');
  const options = [
    '--name',
    'one',
    '--socket',
    socket,
    '--state',
    join(folder, 'state.db'),
    '--log-level',
    'error',
  ];
  child = spawn(process.execPath, [main, 'infrastructure', ...options], { stdio: 'inherit' });
  client = connect(InfrastructureService, { socketPath: socket });
  await client.ready(30_000);
}

async function kill(): Promise<void> {
  const exit = once(child, 'exit');
  child.kill('SIGKILL');
  client.close();
  await exit;
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cabernet-infra-'));
});
afterEach(async () => {
  await kill();
  for (const agent of agents) await agent.stop();
  rmSync(folder, { recursive: true, force: true });
});

test('killed between Reserve and Commit, and after', { timeout: 120_000 }, async () => {
  for (const [i, name] of ['P', 'M'].entries()) {
    agents[i] = new RecordingAgent(join(folder, `${name}.sock`));
    await agents[i]?.start();
  }
  await start();
  const machine = (name: string, host: number): object => ({
    machine: {
      name: `machines/${name}`,
      agent: `unix:${join(folder, `${name}.sock`)}`,
      addresses: [`100.127.0.${host}`],
    },
  });
  await client.update({
    resources: [machine('P', 1), machine('M', 3), wire('P', 'M'), { customer: { name: 'customers/conn' } }],
  });
  for (const name of ['P', 'M'])
    await until(client, `machines/${name}`, (one) => one.machine?.status?.state === 'ready');
  const { reservation } = await client.reserve({
    virtualNodes: [node('P'), node('M')],
    virtualLinks: [link('P', 'M')],
    requestId: 'r',
    holdSeconds: 3600,
  });
  await kill();
  await start();
  const held = await client.get({ name: 'customers/conn/reservations/r' });
  expect(held.resource?.reservation?.virtualLinks).toEqual(reservation?.virtualLinks);
  await client.commit({ name: 'customers/conn/reservations/r' });
  await kill();
  await start();
  await until(client, 'customers/conn/virtualLinks/P-M', (one) => one.virtualLink?.status?.state === 'ready');
  await eventually(
    () => agents.every((agent) => agent.resourcesOf('one').length === 4),
    'both machines have it',
  );
  await client.cancel({ name: 'customers/conn/reservations/r' });
  await kill();
  await start();
  await eventually(
    () => agents.every((agent) => agent.resourcesOf('one').length === 0),
    'both machines have forgotten it',
  );
});
