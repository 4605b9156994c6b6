/** A deployment's authority in a folder, credentials of it, and a NodeService over TLS. */
import { cpSync } from 'node:fs';
import { join } from 'node:path';

import { type Client, connect } from '../../src/api/client.js';
import { createLogger } from '../../src/api/log.js';
import { NodeService } from '../../src/api/node.js';
import {
  type ApiServer,
  type Authorize,
  type Handlers,
  implement,
  startServer,
} from '../../src/api/server.js';
import { type TlsTarget } from '../../src/api/connection.js';
import { Authority, type IssueOptions } from '../../src/identity/authority.js';
import { Credentials } from '../../src/identity/credentials.js';
import { DEPLOYMENT, issue, principal } from '../identity/support.js';
import { handlers, type Service, temporaryFolder } from './support.js';

export const SERVER = principal('agent/acme/P');

/** Clients made, servers started, credentials opened: all closed together. */
export class TlsBench {
  readonly folder = temporaryFolder();
  readonly lines: string[] = [];
  readonly #ends: (() => Promise<void> | void)[] = [];
  #authority: Authority | undefined;

  path(...parts: string[]): string {
    return join(this.folder.path, ...parts);
  }

  get authority(): Authority {
    if (!this.#authority) throw new Error('begin() first');
    return this.#authority;
  }

  async begin(): Promise<this> {
    this.#authority = await Authority.init(this.path('ca'), DEPLOYMENT);
    return this;
  }

  /** A directory, issued. */
  issue(path: string, options: IssueOptions & { into?: string } = {}): Promise<string> {
    return issue(this.authority, path, options);
  }

  async open(directory: string): Promise<Credentials> {
    const credentials = await Credentials.open(directory, { watch: false });
    this.#ends.push(() => credentials.close());
    return credentials;
  }

  async credentials(path: string, options: IssueOptions & { into?: string } = {}): Promise<Credentials> {
    return this.open(await this.issue(path, options));
  }

  async serve(
    own: Partial<Handlers<Service>>,
    authorize: Authorize = () => undefined,
    credentials?: Credentials,
  ): Promise<ApiServer> {
    const server = await startServer({
      tls: { address: '127.0.0.1:0', credentials: credentials ?? (await this.credentials('agent/acme/P')) },
      services: [implement(NodeService, handlers(own))],
      log: createLogger({ component: 'test', level: 'debug', write: (line) => this.lines.push(line) }),
      authorize,
    });
    this.#ends.push(() => server.stop(500));
    return server;
  }

  client(
    server: Pick<ApiServer, 'address'>,
    credentials: Credentials,
    expected: TlsTarget['server'] = SERVER,
  ): Client<Service> {
    const client = connect(NodeService, { address: server.address, credentials, server: expected });
    this.#ends.push(() => client.close());
    return client;
  }

  /** As whoever carries files from machine to machine does. */
  copyTrust(into: string): void {
    for (const name of ['authorities.pem', 'revoked.pem']) cpSync(this.path('ca', name), join(into, name));
  }

  async close(): Promise<void> {
    for (const end of this.#ends.toReversed()) await end();
    this.folder.remove();
  }
}
