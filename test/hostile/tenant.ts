/*
 * Eve, a tenant like any other: the world `three` with a network of hers beside `iptv`, and a way to send the agent of P
 * whatever bytes she likes, by its own socket. What must not change is read before and after as one picture.
 */
import { execFileSync } from 'node:child_process';

import { Client, credentials, Metadata } from '@grpc/grpc-js';

import { type cabernet } from '../../gen/cabernet.js';
import { type Client as ApiClient, connect } from '../../src/api/client.js';
import { ApiError, fromServiceError } from '../../src/api/errors.js';
import { type Message } from '../../src/api/message.js';
import { NodeService, v1 } from '../../src/api/node.js';
import { nodeNamespace, socketPath } from '../../src/world/place.js';
import { example, World } from '../support/worlds.js';

export type NodeClient = ApiClient<cabernet.node.v1.NodeService>;
/** As the generated encoder takes it: nothing is checked on this side. */
export type Resource = cabernet.node.v1.Resource.$Properties;
type Request = cabernet.node.v1.ApplyRequest.$Properties;

/** As the machine knows her. */
export const EVE = 'conn.eve';
export const IPTV = 'vns/conn_iptv/nodes/P';
export const CONN = 'vns/conn/nodes/P';
export const GAMES = 'vns/conn_eve_games/nodes/P';
export const TUNNEL = 'tunnels/to-100.127.0.2';

const network = `
  - name: games
    owner: eve
    over: conn
    # more than the tables hold of what is far from each other
    nodes: [{ name: P, share: { routes: 200000 } }, { name: M }]
    links:
      - { a: P, b: M, via: [Q] }

stations:
  - { name: gp, network: games, node: P, addresses: ['10.0.1.2/24', 'fd00:0:0:1::2/64'] }
  - { name: gm, network: games, node: M, addresses: ['10.0.3.2/24', 'fd00:0:0:3::2/64'] }
`;

/** Between her epochs, room for those of whoever puts her world back. */
const STEP = 1000n;

/** What must be the same before and after. */
export type Picture = Readonly<Record<string, unknown>>;

export class Hostile {
  /** Its controllers are dead: what she reaches is the agent's own affair. */
  readonly world = World.up(example('three').replace(/\nstations:\n/, network)).orphaned();
  readonly socket = socketPath(this.world.name, 'P');
  readonly client: NodeClient = connect(NodeService, { socketPath: this.socket });
  readonly #raw = new Client(`unix:${this.socket}`, credentials.createInsecure(), {
    'grpc.max_send_message_length': -1,
  });
  #epoch = 1000n;

  get #metadata(): Metadata {
    return new Metadata();
  }

  /** Sends encoded messages as the requests of a method; what the agent said. */
  call(method: string, ...requests: readonly Uint8Array[]): Promise<ApiError | Buffer> {
    return new Promise((resolve) => {
      const same = (bytes: Buffer): Buffer => bytes;
      const call = this.#raw.makeClientStreamRequest(
        `/cabernet.node.v1.NodeService/${method}`,
        same,
        same,
        this.#metadata,
        { deadline: Date.now() + 25_000 },
        (error, value?: Buffer) =>
          resolve(error ? fromServiceError(error, method) : (value ?? Buffer.alloc(0))),
      );
      call.on('error', () => undefined);
      for (const bytes of requests) call.write(Buffer.from(bytes));
      call.end();
    });
  }

  /** One stream of `owner`, as it should be. */
  async apply(
    owner: string,
    resources: readonly Resource[],
    begin: cabernet.node.v1.ApplyBegin.$Properties = {},
  ): Promise<ApiError | Message<cabernet.node.v1.ApplyResponse>> {
    const messages: Uint8Array[] = [
      request({ begin: { owner, epoch: Number((this.#epoch += STEP)), ...begin } }),
    ];
    for (let i = 0; i < resources.length; i += 5000) {
      messages.push(request({ resources: { resources: resources.slice(i, i + 5000) } }));
    }
    messages.push(request({ commit: { resourceCount: resources.length } }));
    const answer = await this.call('Apply', ...messages);
    if (answer instanceof ApiError) return answer;
    return NodeService.methods
      .get('apply')
      ?.response.decode(answer) as Message<cabernet.node.v1.ApplyResponse>;
  }

  /** All that the agent holds, and what is in the virtual nodes' namespaces. */
  async picture(): Promise<Picture> {
    const { client } = this;
    const { virtualNodes } = await client.listVirtualNodes({});
    const routes: unknown[] = [];
    for (const { virtualNode } of virtualNodes) {
      const node = virtualNode?.name ?? '';
      routes.push(node, (await client.listRoutes({ node })).routes);
    }
    const { owners, interfaces, tables } = await client.getMachine({});
    const kernel = ['conn_iptv', 'conn', 'conn_eve_games'].map((vn) => {
      const place = nodeNamespace(this.world.name, 'P', vn, 'P');
      const said = (...what: string[]): string =>
        execFileSync('ip', ['-n', place, ...what], { encoding: 'utf8' });
      return [said('-br', 'link'), said('-br', 'address'), said('route'), said('-6', 'route')];
    });
    return {
      // routes are counted with the neighbours, which come and go
      nodes: virtualNodes.map(({ virtualNode, owner, namespace, vifs }) => [
        virtualNode,
        owner,
        namespace,
        vifs,
      ]),
      vifs: (await client.listVifs({})).vifs,
      tunnels: (await client.listTunnels({})).tunnels,
      // what is heard goes on all the time
      paths: (await client.listPaths({})).paths.map(({ liveness, measurement, ...path }) => ({
        ...path,
        degraded: measurement?.degraded,
        session: liveness && [liveness.state, liveness.remoteState, liveness.discriminator],
      })),
      labels: (await client.listLabels({})).labels,
      routes,
      owners: owners.filter(({ resources }) => resources > 0),
      interfaces: interfaces.map(({ name, role, xdpMode }) => `${name} ${role} ${xdpMode}`),
      tables: tables
        .filter(({ table }) => ['nodes', 'vifs', 'paths', 'tunnels', 'labels'].includes(table))
        .map(({ table, used }) => `${table} ${used}`),
      kernel,
    };
  }

  /** Whoever eve attacked has noticed nothing. */
  reaches(network: 'iptv' | 'games' = 'iptv'): boolean {
    const station = network === 'iptv' ? 'iptv/hp' : 'games/gp';
    return this.world.ping(station, '10.0.3.2').received === 3;
  }

  close(): void {
    this.client.close();
    this.#raw.close();
    this.world.down();
  }
}

export function request(message: Request): Uint8Array {
  return v1.ApplyRequest.encode(message).finish();
}

/** What an answer says of a refusal. */
export function refusal(answer: unknown): unknown {
  if (!(answer instanceof ApiError)) return { accepted: answer };
  const { status, reason, field } = answer;
  return field === undefined ? { status, reason } : { status, reason, field };
}
