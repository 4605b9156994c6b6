/**
 * `GET /metrics` over HTTP, for Prometheus. What is told names every tenant of the process: serve it to operators only, on
 * a loopback or management address.
 */
import { createServer, type Server } from 'node:http';
import { type AddressInfo, isIP } from 'node:net';

import { type Metrics } from './metrics.js';

export interface MetricsServer {
  readonly port: number;
  close(): Promise<void>;
}

/** The address cannot be served on; the message is for the operator. */
export class MetricsAddressError extends Error {
  override readonly name = 'MetricsAddressError';
}

function parse(text: string): { host: string; port: number } {
  const [, six, four, digits] = /^(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)):([0-9]{1,5})$/.exec(text) ?? [];
  const host = six ?? four ?? '';
  const port = Number(digits);
  if (isIP(host) !== (six === undefined ? 4 : 6) || port > 65535) {
    throw new MetricsAddressError(
      `--metrics ${JSON.stringify(text)}: ADDRESS:PORT, such as 127.0.0.1:9464 or [::1]:9464`,
    );
  }
  return { host, port };
}

/** @param address `127.0.0.1:9464`, `[::1]:9464`; port 0: any */
export async function serveMetrics(address: string, metrics: Metrics): Promise<MetricsServer> {
  const at = parse(address);
  const server = createServer((request, response) => {
    const { method, url } = request;
    const known = url === '/metrics' || url?.startsWith('/metrics?');
    if (!known || (method !== 'GET' && method !== 'HEAD')) {
      response.writeHead(known ? 405 : 404, { 'content-type': 'text/plain' });
      response.end(known ? 'GET only\n' : 'There is /metrics.\n');
      return;
    }
    metrics.text().then(
      (text) => {
        response.writeHead(200, { 'content-type': metrics.contentType });
        response.end(method === 'HEAD' ? '' : text);
      },
      () => {
        response.writeHead(500, { 'content-type': 'text/plain' });
        response.end('The values cannot be read now.\n');
      },
    );
  });
  server.requestTimeout = 10_000;
  server.maxConnections = 16;
  await listen(server, at.host, at.port, address);
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}

async function listen(server: Server, host: string, port: number, address: string): Promise<void> {
  await new Promise<void>((done, fail) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      fail(
        new MetricsAddressError(`--metrics ${address} cannot be served on: ${error.code ?? error.message}`),
      );
    });
    server.listen(port, host, done);
  });
}
