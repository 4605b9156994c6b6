/*
 * `ip` in a network namespace.
 */
import { execFileSync, spawnSync } from 'node:child_process';

import { createNetns, deleteNetns } from '../native/lib/index.js';
import { undoAtExit } from './undo.js';

/** One line each, as for `ip -batch`; throws what `ip` says. */
export function ip(namespace: string, ...lines: readonly string[]): void {
  const input = `${lines.join('\n')}\n`;
  execFileSync('ip', ['-netns', namespace, '-batch', '-'], { input, stdio: ['pipe', 'ignore', 'pipe'] });
}

/** Seconds that `ip -batch` takes for the same routes by the same kind of link, in a namespace of its own. */
export async function ipBatch(networks: readonly string[]): Promise<number> {
  const namespace = `bench-ip-${process.pid}`;
  await createNetns(namespace);
  const remove = undoAtExit(() => spawnSync('ip', ['netns', 'delete', namespace]));
  try {
    const veth = 'link add far up type veth peer name near';
    ip(namespace, veth, 'link set near up', 'address add 10.255.0.1/24 dev far');
    const lines = networks.map((network) => `route add ${network} via 10.255.0.2 dev far`);
    const start = process.hrtime.bigint();
    ip(namespace, ...lines);
    return Number(process.hrtime.bigint() - start) / 1e9;
  } finally {
    await deleteNetns(namespace);
    remove();
  }
}
