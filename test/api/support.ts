/** A NodeService for tests: every method there, those a test is about replaced; and the folder its socket is in. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { type Client, connect } from '../../src/api/client.js';
import { unimplemented } from '../../src/api/errors.js';
import { createLogger } from '../../src/api/log.js';
import { NodeService, type v1 } from '../../src/api/node.js';
import {
  type ApiServer,
  type Handlers,
  implement,
  type ServerOptions,
  startServer,
} from '../../src/api/server.js';

export type Service = InstanceType<typeof v1.NodeService>;

export function handlers(own: Partial<Handlers<Service>>): Handlers<Service> {
  const refuse = (): never => {
    throw unimplemented({ reason: 'NOT_TESTED', message: 'This test has no such method.' });
  };
  return {
    apply: refuse,
    getMachine: refuse,
    listVirtualNodes: refuse,
    listVifs: refuse,
    listTunnels: refuse,
    listWires: refuse,
    listBfdPeers: refuse,
    listPaths: refuse,
    listLabels: refuse,
    listRoutes: refuse,
    listNeighbours: refuse,
    listCounters: refuse,
    listDrops: refuse,
    watch: refuse,
    trace: refuse,
    capture: refuse,
    diagnose: refuse,
    ...own,
  };
}

export interface Bench {
  readonly folder: string;
  readonly socketPath: string;
  readonly server: ApiServer;
  readonly client: Client<Service>;
  /** What was logged, from `debug` up. */
  readonly lines: string[];
  close(): Promise<void>;
}

export function temporaryFolder(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'cab-api-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

export async function startBench(
  own: Partial<Handlers<Service>>,
  translate?: ServerOptions['translate'],
): Promise<Bench> {
  const folder = temporaryFolder();
  const lines: string[] = [];
  const socketPath = join(folder.path, 'run', 'agent.sock');
  const server = await startServer({
    socketPath,
    services: [implement(NodeService, handlers(own))],
    log: createLogger({ component: 'test', level: 'debug', write: (line) => lines.push(line) }),
    translate,
  });
  const client = connect(NodeService, { socketPath });
  return {
    folder: folder.path,
    socketPath,
    server,
    client,
    lines,
    close: async () => {
      client.close();
      await server.stop(500);
      folder.remove();
    },
  };
}

/** What the promise or the iteration failed with. */
export async function failure(work: Promise<unknown> | AsyncIterable<unknown>): Promise<unknown> {
  try {
    if (Symbol.asyncIterator in work) for await (const _ of work);
    else await work;
  } catch (error) {
    return error;
  }
  throw new Error('it did not fail');
}

/** A promise and its two ends. */
export function gate<T = void>(): { promise: Promise<T>; open: (value: T) => void } {
  let open: (value: T) => void = () => undefined;
  const promise = new Promise<T>((done) => (open = done));
  return { promise, open };
}
